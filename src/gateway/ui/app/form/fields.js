// A form from a JSON Schema. It holds no value: what it shows is given, and what is changed is told.
import { html, useEffect, useId, useState } from '../html.js';
import { initial, kindOf, optionsOf, pointer, resolve, variantOf, variantsOf, withoutNull } from './schema.js';

/**
 * @typedef {import('./schema.js').Book} Book
 * @typedef {import('./schema.js').Fault} Fault
 * @typedef {{ book: Book, faults: Fault[], chosen: Map<string, number> }} Context `chosen`: which variant is shown where
 * @typedef {{ schema: any, value: any, onChange: (value: any) => void, place: string, name?: string, required?: boolean, item?: boolean, context: Context, depth?: number }} FieldProps
 */

/** Formats that browsers have an input for. */
const INPUTS = /** @type {Record<string, string>} */ ({ email: 'email', 'idn-email': 'email', uri: 'url', iri: 'url', date: 'date', time: 'text', password: 'password' });
/** Names of texts that want more than a line. */
const LONG = /^(body|content|contents|text|prompt|code|script|sql|message|description|instructions|html|markdown|newText|old_?string|new_?string)$/i;
/** Forms within forms that are opened without being asked for. */
const MOST_DEPTH = 12;

/** What a field must be, in words. @param {any} schema */
function hints(schema) {
  const has = x => x !== undefined;
  const all = [];
  if (has(schema.minimum) && has(schema.maximum)) all.push(`${schema.minimum} to ${schema.maximum}`);
  else if (has(schema.minimum)) all.push(`at least ${schema.minimum}`);
  else if (has(schema.maximum)) all.push(`at most ${schema.maximum}`);
  if (has(schema.maxLength)) all.push(`at most ${schema.maxLength} characters`);
  if (has(schema.maxItems)) all.push(`at most ${schema.maxItems}`);
  if (schema.pattern) all.push(`matches ${schema.pattern}`);
  if (schema.format && !/^(textarea|uri|email|date|password)$/.test(schema.format)) all.push(schema.format);
  if (schema.examples?.length) all.push(`such as ${schema.examples.slice(0, 2).map(e => (typeof e === 'string' ? e : JSON.stringify(e))).join(', ')}`);
  return all.join(', ');
}

/** @param {FieldProps} props */
export function Field({ schema: raw, value, onChange, place, name, required = false, item = false, context, depth = 0 }) {
  const { book, faults } = context;
  const whole = resolve(raw, book, value), schema = resolve(withoutNull(whole, book), book, value);
  const id = useId();
  const own = faults.filter(fault => fault.place === place);
  const options = optionsOf(schema, book), variants = options ? null : variantsOf(schema, book);
  const kind = options ? 'options' : variants ? 'variants' : kindOf(schema);
  const label = schema.title ?? whole.title ?? name ?? 'Value', hint = hints(schema);
  const text = schema.description ?? whole.description;
  const boxed = kind === 'object' || kind === 'array' || kind === 'map' || kind === 'variants';
  const notes = html`${text && html`<span class="f-text">${text}</span>`}${hint && html`<span class="f-hint">${hint}</span>`}`;
  const errors = own.map((fault, n) => html`<span key=${n} class="f-error">${label} ${fault.text}</span>`);
  const props = { id, schema, value, onChange, place, name, required, context, depth, label, options, variants, described: `${id}-notes`, invalid: own.length > 0 };
  const given = value !== undefined;
  const clear = !required && given && depth > 0 && kind !== 'options' && html`<button type="button" class="link" onClick=${() => onChange(undefined)}>leave out<span class="unseen"> ${label}</span></button>`;
  const mark = required && !item ? html`<span class="f-need" title="needed" aria-hidden="true">*</span>` : '';
  const tech = name && label !== name ? html`<code class="f-name">${name}</code>` : '';
  if (depth === 0) return html`<div class="form">${kind === 'object' || kind === 'variants' ? html`<${Input} kind=${kind} ...${props} />` : html`<div class="field"><label for=${id}>${label}</label><${Input} kind=${kind} ...${props} /></div>`}<div class="f-errors" role="alert">${errors}</div></div>`;
  if (boxed) {
    const empty = !given && !required && !(kind === 'array' && schema.items && optionsOf(resolve(schema.items, book), book));
    return html`<fieldset class="f-box" aria-describedby=${`${id}-notes`}><legend>${label}${mark} ${tech} ${clear}</legend><div id=${`${id}-notes`} class="f-notes">${notes}</div>
      ${empty || depth > MOST_DEPTH ? html`<button type="button" class="small" onClick=${() => onChange(initial(schema, book, true) ?? (kind === 'array' ? [] : kind === 'variants' ? null : {}))}>Add ${label}</button>` : html`<${Input} kind=${kind} ...${props} />`}
      <div class="f-errors" role="alert">${errors}</div></fieldset>`;
  }
  if (kind === 'boolean') return html`<div class="f-row f-check"><div><input type="checkbox" id=${id} checked=${value === true} indeterminate=${!given} aria-describedby=${`${id}-notes`} onChange=${e => onChange(e.target.checked)} /><label for=${id}>${label}${mark}</label> ${tech} ${given ? clear : html`<span class="f-hint">not set</span>`}</div>
    <div id=${`${id}-notes`} class="f-notes">${notes}<span role="alert">${errors}</span></div></div>`;
  return html`<div class="f-row"><div class="f-label"><label for=${id}>${label}${mark}</label>${tech}${clear}</div><${Input} kind=${kind} ...${props} /><div id=${`${id}-notes`} class="f-notes">${notes}<span role="alert">${errors}</span></div></div>`;
}

function Input(props) {
  switch (props.kind) {
    case 'options': return html`<${Options} ...${props} />`;
    case 'variants': return html`<${Variants} ...${props} />`;
    case 'object': return html`<${Members} ...${props} />`;
    case 'array': return html`<${Items} ...${props} />`;
    case 'map': return html`<${Pairs} ...${props} />`;
    case 'string': return html`<${Text} ...${props} />`;
    case 'number': case 'integer': return html`<${Numeric} ...${props} />`;
    case 'boolean': return html`<select id=${props.id} value=${String(props.value)} onChange=${e => props.onChange(e.target.value === 'true')}><option>false</option><option>true</option></select>`;
    case 'const': return html`<output id=${props.id} class="f-const">${JSON.stringify(props.schema.const)}${props.value === undefined && html` <button type="button" class="small" onClick=${() => props.onChange(props.schema.const)}>Set</button>`}</output>`;
    case 'null': return html`<output id=${props.id} class="f-const">null</output>`;
    default: return html`<${Raw} ...${props} />`;
  }
}

function Options({ id, value, onChange, required, options, described, invalid }) {
  const at = options.findIndex(option => JSON.stringify(option.value) === JSON.stringify(value));
  return html`<select id=${id} value=${String(at)} aria-describedby=${described} aria-invalid=${invalid} onChange=${e => onChange(options[e.target.value]?.value)}>
    ${(at < 0 || !required) && html`<option value="-1">${required ? 'Choose…' : 'not set'}</option>`}
    ${options.map((option, n) => html`<option key=${n} value=${String(n)}>${option.title}</option>`)}</select>`;
}

function Variants({ id, value, onChange, place, name, context, depth, label, variants }) {
  const { book, chosen } = context;
  const fits = variantOf(variants, book, value);
  const [pick, setPick] = useState(Math.max(fits, 0));
  const type = value === undefined ? 'undefined' : Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;
  // The JSON beside the form may have made another of it.
  useEffect(() => { if (fits >= 0 && fits !== pick) setPick(fits); }, [type, fits]);
  chosen.set(place, pick);
  const { schema } = variants[pick] ?? variants[0];
  const choose = e => {
    const n = Number(e.target.value);
    chosen.set(place, n);
    setPick(n);
    onChange(initial(variants[n].schema, book, true) ?? undefined);
  };
  return html`<div class="f-variants"><label class="unseen" for=${id}>Form of ${label}</label><select id=${id} value=${String(pick)} onChange=${choose}>${variants.map((variant, n) => html`<option key=${n} value=${String(n)}>${variant.title}</option>`)}</select>
    <${Field} key=${pick} schema=${schema} value=${value} onChange=${onChange} place=${place} name=${name} required context=${{ ...context, faults: context.faults.filter((/** @type {Fault} */ fault) => fault.place !== place || kindOf(schema) !== 'object') }} depth=${kindOf(resolve(schema, book)) === 'object' ? 0 : depth + 1} /></div>`;
}

function Members({ schema, value, onChange, place, context, depth }) {
  const needed = new Set(schema.required ?? []);
  const set = (key, next) => {
    const all = { ...value };
    if (next === undefined) delete all[key];
    else all[key] = next;
    onChange(all);
  };
  const keys = Object.keys(schema.properties), others = Object.keys(value ?? {}).filter(key => !Object.hasOwn(schema.properties, key));
  if (keys.length === 0 && others.length === 0) return html`<p class="calm">It takes no arguments.</p>`;
  return html`<div class="f-members">${[...keys.filter(key => needed.has(key)), ...keys.filter(key => !needed.has(key))].map(key => html`<${Field} key=${key} name=${key} schema=${schema.properties[key]} value=${value?.[key]} required=${needed.has(key)}
      onChange=${next => set(key, next)} place=${`${place}/${pointer(key)}`} context=${context} depth=${depth + 1} />`)}
    ${others.map(key => html`<${Field} key=${`other/${key}`} name=${key} schema=${typeof schema.additionalProperties === 'object' ? schema.additionalProperties : {}} value=${value[key]} onChange=${next => set(key, next)} place=${`${place}/${pointer(key)}`} context=${context} depth=${depth + 1} />`)}</div>`;
}

function Items({ id, schema, value, onChange, place, context, depth, label, required }) {
  const items = Array.isArray(value) ? value : [];
  const of = n => schema.prefixItems?.[n] ?? schema.items ?? {};
  const options = schema.items && optionsOf(resolve(schema.items, context.book), context.book);
  if (options && !schema.prefixItems) {
    const has = option => items.some(item => JSON.stringify(item) === JSON.stringify(option.value));
    const less = option => {
      const rest = items.filter(item => JSON.stringify(item) !== JSON.stringify(option.value));
      return rest.length || required ? rest : undefined;
    };
    return html`<div class="f-checks">${options.map((option, n) => html`<label key=${n}><input type="checkbox" checked=${has(option)} onChange=${e => onChange(e.target.checked ? [...items, option.value] : less(option))} />${option.title}</label>`)}</div>`;
  }
  const set = (n, next) => onChange(items.map((item, at) => (at === n ? next ?? null : item)));
  const full = items.length >= (schema.maxItems ?? (schema.items === false ? schema.prefixItems?.length ?? 0 : Infinity));
  return html`<div class="f-items">${items.map((item, n) => html`<div key=${n} class="f-item"><${Field} name=${`${n + 1}`} schema=${of(n)} value=${item} required item onChange=${next => set(n, next)} place=${`${place}/${n}`} context=${context} depth=${depth + 1} />
      <button type="button" class="small" aria-label=${`Remove ${label} ${n + 1}`} onClick=${() => onChange(items.filter((_, at) => at !== n))}>Remove</button></div>`)}
    <button type="button" id=${id} class="small" disabled=${full} onClick=${() => onChange([...items, initial(of(items.length), context.book, true) ?? (kindOf(resolve(of(items.length), context.book)) === 'string' ? '' : null)])}>Add<span class="unseen"> to ${label}</span></button></div>`;
}

/** An object whose keys the schema does not name. @param {any} props */
function Pairs({ id, schema, value, onChange, place, context, depth, label }) {
  const [key, setKey] = useState('');
  const inner = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : {};
  const add = () => {
    if (key && !Object.hasOwn(value ?? {}, key)) onChange({ ...value, [key]: initial(inner, context.book, true) ?? (kindOf(resolve(inner, context.book)) === 'string' ? '' : null) });
    setKey('');
  };
  return html`<div class="f-members">${Object.keys(value ?? {}).map(name => html`<${Field} key=${name} name=${name} schema=${inner} value=${value[name]} onChange=${next => {
      const { [name]: _, ...rest } = value;
      onChange(next === undefined ? rest : { ...value, [name]: next });
    }} place=${`${place}/${pointer(name)}`} context=${context} depth=${depth + 1} />`)}
    <div class="f-add"><input id=${id} aria-label=${`Name of a new member of ${label}`} placeholder="name" value=${key} onInput=${e => setKey(e.target.value)} onKeyDown=${e => { if (e.key === 'Enter') { e.preventDefault(); add(); } }} /><button type="button" class="small" disabled=${!key} onClick=${add}>Add</button></div></div>`;
}

function Text({ id, schema, value, onChange, name, required, described, invalid }) {
  const change = e => onChange(e.target.value === '' && !required ? undefined : e.target.value);
  const shown = typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
  const props = { id, value: shown, onInput: change, 'aria-describedby': described, 'aria-invalid': invalid, 'aria-required': required, spellcheck: false, placeholder: schema.default != null ? String(schema.default) : undefined };
  const long = schema.format === 'textarea' || schema.contentMediaType || schema.maxLength > 200 || LONG.test(name ?? '') || shown.includes('\n') || shown.length > 80;
  if (long) return html`<textarea rows=${Math.min(14, Math.max(3, shown.split('\n').length + 1))} ...${props}></textarea>`;
  if (schema.format === 'date-time') {
    const local = Number.isNaN(Date.parse(shown)) ? '' : new Date(Date.parse(shown) - new Date(shown).getTimezoneOffset() * 60000).toISOString().slice(0, 19);
    return html`<input type="datetime-local" step="1" ...${props} value=${local} onInput=${e => onChange(e.target.value ? new Date(e.target.value).toISOString() : undefined)} />`;
  }
  return html`<input type=${INPUTS[schema.format] ?? 'text'} autocomplete="off" ...${props} />`;
}

/** What is no number stays as it was typed, and is found by the check. @param {any} props */
function Numeric({ id, value, onChange, required, described, invalid, schema }) {
  const [text, setText] = useState(value === undefined ? '' : String(value));
  useEffect(() => { if (value !== undefined ? Number(text) !== value && text !== String(value) : text !== '') setText(value === undefined ? '' : String(value)); }, [value]);
  const change = e => {
    const typed = e.target.value.trim();
    setText(typed);
    onChange(typed === '' ? undefined : Number.isFinite(Number(typed)) ? Number(typed) : typed);
  };
  return html`<input id=${id} class="f-number" type="text" inputmode="decimal" autocomplete="off" value=${text} onInput=${change} aria-describedby=${described} aria-invalid=${invalid} aria-required=${required} placeholder=${schema.default != null ? String(schema.default) : undefined} />`;
}

/** Where the schema says nothing: JSON. @param {any} props */
function Raw({ id, value, onChange, described, label }) {
  const [text, setText] = useState(value === undefined ? '' : JSON.stringify(value, null, 2));
  const [wrong, setWrong] = useState(false);
  const change = e => {
    setText(e.target.value);
    try {
      onChange(e.target.value.trim() === '' ? undefined : JSON.parse(e.target.value));
      setWrong(false);
    } catch {
      setWrong(true);
    }
  };
  return html`<div><textarea id=${id} class="mono" rows="3" value=${text} onInput=${change} spellcheck=${false} aria-describedby=${described} aria-invalid=${wrong} placeholder="JSON"></textarea>${wrong && html`<span class="f-error" role="alert">${label} is no JSON yet</span>`}</div>`;
}
