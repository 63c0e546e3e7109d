// The small things that all pages are made of.
import { exact, NONE, pretty, size, span } from './format.js';
import { html, useEffect, useId, useMemo, useRef, useState } from './html.js';
import { now, say } from './live.js';

/** What a state calls for: `ok`, `busy`, `warn`, `bad` or nothing. */
const TONES = /** @type {Record<string, string>} */ ({
  ready: 'ok', ok: 'ok', starting: 'busy', stopping: 'busy', running: 'busy', backoff: 'warn', 'needs-login': 'warn', cancelled: 'quiet',
  'tool-error': 'warn', blocked: 'bad', failed: 'bad', error: 'bad', timeout: 'bad', held: 'warn', approval: 'warn', config: 'bad', degraded: 'warn',
});

/** @param {string} word */
export const toneOf = word => TONES[word] ?? 'quiet';

/** A state in words, with a dot in its colour. */
export const Status = ({ word, text = word.replace('-', ' ') }) => html`<span class=${`status ${toneOf(word)}`}><i aria-hidden="true"></i>${text}</span>`;

/** A sentence in which `commands` are set as such. */
export const Words = ({ text }) => String(text).split(/`([^`\n]+)`/).map((part, n) => (n % 2 ? html`<code key=${n}>${part}</code>` : part));

/** A time as people say it, with the exact one on hover. */
export function Time({ at, form = 'ago' }) {
  if (at == null) return NONE;
  const passed = now.value - at;
  const text = form === 'for' ? span(passed) : passed < 1500 ? 'now' : `${span(passed)} ago`;
  return html`<time dateTime=${new Date(at).toISOString()} title=${exact(at)}>${text}</time>`;
}

/** The head of a page. */
export function Head({ title, sub, children }) {
  return html`<header class="head">
    <div><h1 tabindex="-1">${title}</h1>${sub && html`<p class="sub">${sub}</p>`}</div>
    ${children && html`<div class="acts">${children}</div>`}
  </header>`;
}

/** A part of a page. */
export function Section({ title, note, acts, class: name = '', children }) {
  const id = useId();
  return html`<section class=${`part ${name}`} aria-labelledby=${id}>
    <div class="part-head"><h2 id=${id}>${title}</h2>${note && html`<span class="note">${note}</span>`}${acts && html`<div class="acts">${acts}</div>`}</div>
    ${children}
  </section>`;
}

/** Where there is nothing, and why. */
export const Empty = ({ title, children }) => html`<div class="empty"><p class="empty-title">${title}</p><div class="empty-text">${children}</div></div>`;

export const Loading = ({ what }) => html`<div class="loading" role="status"><span></span><span></span><span></span><p>Loading ${what}…</p></div>`;

/** What went wrong, and what to do. */
export const Failure = ({ error, again }) => html`<div class="failure" role="alert">
  <p><strong><${Words} text=${error.message} /></strong></p>
  ${error.remedy && html`<p><${Words} text=${error.remedy} /></p>`}
  ${again && html`<button type="button" onClick=${again}>Try again</button>`}
</div>`;

/** Puts a text on the clipboard, also where the page has no secure context. @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}

export function Copy({ text, label = 'Copy', class: name = '' }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1600);
    return () => clearTimeout(timer);
  }, [done]);
  const click = async () => {
    await copy(typeof text === 'string' ? text : text());
    setDone(true);
  };
  return html`<button type="button" class=${`small ${name}`} onClick=${click}>${done ? 'Copied' : label}</button>`;
}

/** A text to be taken away. */
export const Snippet = ({ text, label = 'Snippet' }) => html`<div class="snippet"><pre tabindex="0" role="group" aria-label=${label}>${text}</pre><${Copy} text=${text} /></div>`;

/** An act that asks once more before it does. */
export function Sure({ label, sure = 'Really?', disabled, title, onClick, class: name = '' }) {
  const [asked, setAsked] = useState(false);
  const click = () => {
    if (asked) onClick();
    setAsked(!asked);
  };
  return html`<button type="button" class=${`${name} ${asked ? 'sure' : ''}`} disabled=${disabled} title=${title} onClick=${click} onBlur=${() => setAsked(false)}>${asked ? sure : label}</button>`;
}

/** A text that is folded when it is long. */
export function Folded({ text, most = 2400, label = 'Text' }) {
  const [all, setAll] = useState(false);
  const long = text.length > most;
  return html`<div class="folded"><pre tabindex="0" role="group" aria-label=${label}>${long && !all ? `${text.slice(0, most)}…` : text}</pre>
    ${long && html`<div class="fold-acts"><button type="button" class="small" aria-expanded=${all} onClick=${() => setAll(!all)}>${all ? 'Fold' : `Show all, ${size(text.length)}`}</button><${Copy} text=${text} /></div>`}
  </div>`;
}

/** Members of an object or array that are shown before one asks for more. */
const MEMBERS = 50;

/** A JSON value that opens where one looks into it. */
export function Json({ value, name, depth = 0, roomy = true }) {
  const inner = value !== null && typeof value === 'object';
  const [open, setOpen] = useState(depth === 0 || (roomy && depth < 4));
  const [most, setMost] = useState(MEMBERS);
  // Of something large, only the first level is open.
  const room = useMemo(() => inner && roomy && pretty(value).length < 2000, [value]);
  const key = name !== undefined && html`<span class="json-key">${name}: </span>`;
  if (!inner) return html`<div class="json-line">${key}<span class=${`json-${typeof value}`}>${typeof value === 'string' ? JSON.stringify(value) : String(value)}</span></div>`;
  const members = Array.isArray(value) ? value.map((item, n) => /** @type {[string, any]} */ ([String(n), item])) : Object.entries(value);
  const brackets = Array.isArray(value) ? '[]' : '{}';
  if (members.length === 0) return html`<div class="json-line">${key}${brackets}</div>`;
  return html`<details class="json" open=${open} onToggle=${e => e.target === e.currentTarget && setOpen(e.currentTarget.open)}>
    <summary>${key}<span class="json-sum">${brackets[0]} ${members.length} ${brackets[1]}</span></summary>
    ${open && html`<div class="json-in">${members.slice(0, most).map(([member, item]) => html`<${Json} key=${member} name=${member} value=${item} depth=${depth + 1} roomy=${room} />`)}
      ${members.length > most && html`<button type="button" class="small" onClick=${() => setMost(most + 500)}>${members.length - most} more</button>`}</div>`}
  </details>`;
}

/** Tabs by the keyboard's arrows. */
export function Tabs({ label, tabs, value, onChange }) {
  const row = useRef();
  const keys = e => {
    const step = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0;
    if (!step) return;
    const at = (tabs.findIndex(([key]) => key === value) + step + tabs.length) % tabs.length;
    onChange(tabs[at][0]);
    row.current.children[at].focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} ref=${row} onKeyDown=${keys}>${tabs.map(([key, text]) => html`
    <button type="button" role="tab" key=${key} aria-selected=${key === value} tabindex=${key === value ? 0 : -1} onClick=${() => onChange(key)}>${text}</button>`)}</div>`;
}

/** A field with its label. */
export function Field({ label, hidden, children }) {
  const id = useId();
  return html`<div class="field"><label for=${id} class=${hidden ? 'unseen' : ''}>${label}</label>${children(id)}</div>`;
}

/** One of several words. */
export const Choice = ({ label, value, options, onChange }) => html`<${Field} label=${label} hidden>${id => html`
  <select id=${id} value=${value} onChange=${e => onChange(e.target.value)}>${options.map(([key, text]) => html`<option key=${key} value=${key}>${text}</option>`)}</select>`}<//>`;

/** What to look for; `/` leads there. */
export const Search = ({ label, value, onInput }) => html`<${Field} label=${label} hidden>${id => html`
  <input id=${id} type="search" class="search" placeholder=${label} value=${value} onInput=${e => onInput(e.target.value)} />`}<//>`;

/** Loads something, and says how that stands. @template T @param {() => Promise<T>} load @param {unknown[]} inputs @returns {{ value: T | null, error: any, again: () => void }} */
export function useLoaded(load, inputs) {
  const [got, setGot] = useState(/** @type {{ value: T | null, error: any }} */ ({ value: null, error: null }));
  const [round, setRound] = useState(0);
  useEffect(() => {
    let wanted = true;
    load().then(value => wanted && setGot({ value, error: null }), error => wanted && setGot(before => ({ value: before.value, error })));
    return () => { wanted = false; };
  }, [...inputs, round]);
  return { ...got, again: () => setRound(n => n + 1) };
}

/** Hands a file to the person who looks. @param {string} name @param {string} text */
export function download(name, text) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  say(`${name} was handed to the browser.`);
}
