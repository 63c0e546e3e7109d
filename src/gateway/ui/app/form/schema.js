// What a JSON Schema of 2020-12 says about a form: references followed, the kind of each field, first values, errors by place. Pure.
import { dereference, format, validate } from '../../vendor/libraries.js';

/**
 * @typedef {any} Schema
 * @typedef {{ root: Schema, lookup: any, broken: string | null }} Book a schema with what its references mean
 * @typedef {{ place: string, text: string }} Fault
 */

/** Formats are notes in 2020-12; these few are worth a word before the server has its own. */
Object.assign(format, {
  email: text => /^[^@\s]+@[^@\s]+$/.test(text),
  uri: text => URL.canParse(text),
  date: text => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)),
  'date-time': text => /^\d{4}-\d\d-\d\dT/i.test(text) && !Number.isNaN(Date.parse(text)),
});

/** Levels of references and merged parts that are followed. */
const MOST_STEPS = 40;
const DRAFT = '2020-12';

/** @param {Schema} schema @returns {Book} */
export function bookOf(schema) {
  const root = structuredClone(schema && typeof schema === 'object' ? schema : {});
  // The words of older drafts and newer ones mean the same here; an `$id` only moves the base of references.
  delete root.$id;
  try {
    return { root, lookup: dereference(root), broken: null };
  } catch (error) {
    return { root, lookup: null, broken: String(error) };
  }
}

/** @param {Schema} a @param {Schema} b */
const merge = (a, b) => ({
  ...a, ...b,
  ...((a.properties || b.properties) && { properties: { ...a.properties, ...b.properties } }),
  ...((a.required || b.required) && { required: [...new Set([...(a.required ?? []), ...(b.required ?? [])])] }),
});

/** A schema without `$ref`, `allOf` and `if`. @param {Schema} schema @param {Book} book @param {any} [value] @param {number} [steps] @returns {Schema} */
export function resolve(schema, book, value, steps = 0) {
  if (schema === true || schema === undefined || steps > MOST_STEPS) return {};
  if (schema === false) return { not: {} };
  let out = schema;
  if (out.$ref !== undefined) {
    const { $ref, ...beside } = out;
    const target = book.lookup?.[out.__absolute_ref__ ?? $ref];
    out = merge(resolve(target ?? {}, book, value, steps + 1), beside);
  }
  if (Array.isArray(out.allOf)) {
    const { allOf, ...beside } = out;
    out = allOf.map((/** @type {Schema} */ part) => resolve(part, book, value, steps + 1)).reduce(merge, beside);
  }
  if (out.if !== undefined) {
    const { if: condition, then, else: otherwise, ...beside } = out;
    const part = holds(condition, book, value ?? {}) ? then : otherwise;
    out = part === undefined ? beside : merge(beside, resolve(part, book, value, steps + 1));
  }
  return out;
}

/** @param {Schema} schema @param {Book} book @param {any} value */
function holds(schema, book, value) {
  try {
    return validate(value, schema, DRAFT, book.lookup).valid;
  } catch {
    return false;
  }
}

/** What a schema lets one choose from, if nothing else. @param {Schema} schema @param {Book} book @returns {{ value: any, title: string }[] | null} */
export function optionsOf(schema, book) {
  if (Array.isArray(schema.enum)) return schema.enum.map((value, n) => ({ value, title: String(schema.enumNames?.[n] ?? (typeof value === 'string' ? value : JSON.stringify(value))) }));
  const parts = (schema.oneOf ?? schema.anyOf)?.map((/** @type {Schema} */ part) => resolve(part, book));
  if (parts?.length && parts.every((/** @type {Schema} */ part) => part.const !== undefined)) return parts.map((/** @type {Schema} */ part) => ({ value: part.const, title: String(part.title ?? part.const) }));
  return null;
}

/** The forms that a value may have, if there are several. @param {Schema} schema @param {Book} book @returns {{ title: string, schema: Schema }[] | null} */
export function variantsOf(schema, book) {
  const many = schema.oneOf ?? schema.anyOf;
  if (Array.isArray(many)) {
    const { oneOf, anyOf, ...beside } = schema;
    const branch = Array.isArray(schema.oneOf) ? 'oneOf' : 'anyOf';
    return many.map((part, n) => {
      const inner = resolve(part, book);
      return { title: String(inner.title ?? inner.const ?? (inner.properties && constOf(inner)) ?? typeName(inner) ?? `form ${n + 1}`), schema: { ...merge({ ...beside, title: undefined, description: undefined, default: undefined }, inner), title: undefined }, branch };
    });
  }
  if (Array.isArray(schema.type) && schema.type.length > 1) return schema.type.map(type => ({ title: type, schema: { ...schema, type } }));
  return null;
}

/** What tells an object from its like: the first property that can only have one value. @param {Schema} schema */
const constOf = schema => Object.values(schema.properties).find(inner => inner?.const !== undefined)?.const;

/** @param {Schema} schema */
const typeName = schema => (schema.type === 'null' ? 'nothing' : Array.isArray(schema.type) ? schema.type.join(' or ') : schema.format ?? schema.type);

/** A schema that allows null beside one other form is that form, which may be left out. @param {Schema} schema @param {Book} book @returns {Schema} */
export function withoutNull(schema, book) {
  const many = schema.oneOf ?? schema.anyOf;
  if (Array.isArray(many)) {
    const rest = many.filter(part => resolve(part, book).type !== 'null');
    if (rest.length === many.length || rest.length === 0) return schema;
    const { oneOf, anyOf, ...beside } = schema;
    return rest.length === 1 ? merge(resolve(rest[0], book), beside) : { ...beside, [schema.oneOf ? 'oneOf' : 'anyOf']: rest };
  }
  if (Array.isArray(schema.type) && schema.type.includes('null')) {
    const rest = schema.type.filter(type => type !== 'null');
    return { ...schema, type: rest.length === 1 ? rest[0] : rest };
  }
  return schema;
}

/** @param {Schema} schema @returns {string} */
export function kindOf(schema) {
  if (schema.const !== undefined) return 'const';
  const type = schema.type ?? (schema.properties ? 'object' : schema.items || schema.prefixItems ? 'array' : undefined);
  if (type === 'object') return schema.properties ? 'object' : 'map';
  return typeof type === 'string' ? type : 'json';
}

/** The value that a form begins with; `undefined`: it is left out. @param {Schema} raw @param {Book} book @param {boolean} required @param {number} [depth] @returns {any} */
export function initial(raw, book, required, depth = 0) {
  const schema = resolve(raw, book);
  if (schema.const !== undefined) return required ? schema.const : undefined;
  if (schema.default !== undefined && schema.default !== null) return structuredClone(schema.default);
  if (!required || depth > 8) return undefined;
  const kind = kindOf(schema);
  if (kind === 'object') return members(schema, book, depth);
  const variants = variantsOf(schema, book);
  if (variants && !optionsOf(schema, book)) return initial(variants[0].schema, book, true, depth + 1);
  if (kind === 'array') return Array.from({ length: Math.min(schema.minItems ?? 0, 20) }, () => initial(schema.items ?? {}, book, true, depth + 1) ?? null);
  if (kind === 'map') return {};
  if (kind === 'boolean') return false;
  if (kind === 'null') return null;
  return undefined;
}

/** @param {Schema} schema @param {Book} book @param {number} depth */
function members(schema, book, depth) {
  /** @type {Record<string, any>} */
  const value = {};
  for (const [key, inner] of Object.entries(schema.properties)) {
    const first = initial(inner, book, (schema.required ?? []).includes(key), depth + 1);
    if (first !== undefined) value[key] = first;
  }
  return value;
}

/** Which variant a value is of; `-1`: of none. @param {{ schema: Schema }[]} variants @param {Book} book @param {any} value */
export function variantOf(variants, book, value) {
  const exact = variants.findIndex(({ schema }) => holds(schema, book, value));
  if (exact >= 0) return exact;
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  return variants.findIndex(({ schema }) => kindOf(resolve(schema, book)).replace('map', 'object').replace('integer', 'number') === type);
}

/** Keywords whose errors only say that there are others. */
const WRAPPERS = new Set(['$ref', 'properties', 'items', 'prefixItems', 'additionalProperties', 'patternProperties', 'allOf', 'if']);

/** What is wrong with a value, by place. @param {Book} book @param {any} value @param {Map<string, number>} chosen variants by place @returns {Fault[]} */
export function faults(book, value, chosen = new Map()) {
  if (book.broken) return [];
  let errors;
  try {
    errors = validate(value, book.root, DRAFT, book.lookup, false).errors;
  } catch {
    // A schema that the validator does not understand is the server's to judge by.
    return [];
  }
  /** @type {string[]} */
  const passed = [];
  /** @type {Fault[]} */
  const found = [];
  for (const { instanceLocation, keyword, keywordLocation, error } of errors) {
    if (passed.some(prefix => keywordLocation.startsWith(prefix))) continue;
    if (keyword === 'oneOf' || keyword === 'anyOf') {
      const group = errors.filter(other => other.keywordLocation.startsWith(`${keywordLocation}/`));
      const mine = `${keywordLocation}/${chosen.get(instanceLocation) ?? -1}/`;
      const own = group.some(other => other.keywordLocation.startsWith(mine) && other.keyword !== 'false');
      for (const branch of new Set(group.map(other => other.keywordLocation.slice(keywordLocation.length + 1).split('/')[0]))) {
        if (!own || `${keywordLocation}/${branch}/` !== mine) passed.push(`${keywordLocation}/${branch}/`);
      }
      if (!own) found.push({ place: instanceLocation, text: 'is of none of the forms it may have' });
    } else if (keyword === 'required') {
      const key = error.match(/property "(.*)"/s)?.[1] ?? '';
      found.push({ place: `${instanceLocation}/${pointer(key)}`, text: 'is needed' });
    } else if (!WRAPPERS.has(keyword)) {
      found.push({ place: instanceLocation, text: keyword === 'false' ? 'is not known to this tool' : error.replace(/^(String|Array|Instance) /, '').replace(/\.$/, '') });
    }
  }
  return found;
}

/** A key within a JSON pointer. @param {string | number} key */
export const pointer = key => encodeURI(String(key).replaceAll('~', '~0').replaceAll('/', '~1')).replaceAll('#', '%23');
