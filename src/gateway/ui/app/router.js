// The address of what is shown, behind the `#`: `#/server/time?tab=log`.
import { signal } from './html.js';

/** @typedef {{ page: string, rest: string[], query: URLSearchParams }} Place */

/** @param {string} hash @returns {Place} */
export function parse(hash) {
  const [path, query] = hash.replace(/^#\/?/, '').split('?');
  const [page, ...rest] = path.split('/').map(part => {
    try { return decodeURIComponent(part); } catch { return part; }
  });
  return { page: page || 'overview', rest, query: new URLSearchParams(query) };
}

export const place = signal(parse(location.hash));
addEventListener('hashchange', () => { place.value = parse(location.hash); });

/** @param {string} page @param {(string | number)[]} [rest] @param {Record<string, string>} [query] */
export function href(page, rest = [], query = {}) {
  const q = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return `#/${[page, ...rest].map(part => encodeURIComponent(part)).join('/')}${q ? `?${q}` : ''}`;
}

/** Changes the query of the present place without a step in the history. @param {Record<string, string>} changes */
export function refine(changes) {
  const { page, rest, query } = place.peek();
  const all = { ...Object.fromEntries(query), ...changes };
  history.replaceState(null, '', href(page, rest, all));
  place.value = parse(location.hash);
}
