// The headers that repeat parts of a request of 2026-07-28. Pure.

export const VERSION = '2026-07-28';

const SUBJECTS = /** @type {Record<string, string>} */ ({ 'tools/call': 'name', 'prompts/get': 'name', 'resources/read': 'uri' });
const MOST_LEVELS = 32;

/** A text as a header's value. @param {string} text */
export function encode(text) {
  const marked = text.startsWith('=?base64?') && text.endsWith('?=');
  if (/^[ -~]*$/.test(text) && text.trim() === text && !marked) return text;
  return `=?base64?${btoa(String.fromCharCode(...new TextEncoder().encode(text)))}?=`;
}

/** The arguments that a tool wants repeated: where they are, and the header of each. @param {any} schema @param {string[]} [path] @returns {[string[], string][]} */
export function mirrored(schema, path = []) {
  if (!schema || typeof schema !== 'object' || path.length > MOST_LEVELS) return [];
  const name = schema['x-mcp-header'];
  const own = typeof name === 'string' && path.length > 0 && /^(string|integer|boolean)$/.test(schema.type) ? [/** @type {[string[], string]} */ ([path, `Mcp-Param-${name}`])] : [];
  return [...own, ...Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => mirrored(inner, [...path, key]))];
}

/** @param {string} method @param {any} params @param {any} [inputSchema] of the tool that is called @returns {Record<string, string>} */
export function headersOf(method, params, inputSchema) {
  /** @type {Record<string, string>} */
  const all = { 'MCP-Protocol-Version': VERSION, 'Mcp-Method': method };
  const subject = params[SUBJECTS[method]];
  if (typeof subject === 'string') all['Mcp-Name'] = encode(subject);
  if (method === 'tools/call') {
    for (const [path, header] of mirrored(inputSchema)) {
      const value = path.reduce((at, key) => at?.[key], params.arguments);
      if (value != null && typeof value !== 'object') all[header] = encode(String(value));
    }
  }
  return all;
}
