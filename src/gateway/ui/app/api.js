// Requests to the gateway: the header of our own, the token, errors as sentences, event streams.
import { signal } from './html.js';

const KEPT = 'mcproxy-token';

/** Whether the gateway asked for a token that the page does not have; `'wrong'` when it did not take ours. */
export const wantsToken = signal(/** @type {false | 'none' | 'wrong'} */ (false));

/** Where MCProxy is, without `/ui`: it may be below a path of a reverse proxy. */
export const base = new URL('..', document.baseURI).href.replace(/\/$/, '');

export const token = () => sessionStorage.getItem(KEPT) ?? '';

/** Keeps the token for as long as this tab is open. @param {string} value */
export function setToken(value) {
  if (value) sessionStorage.setItem(KEPT, value);
  else sessionStorage.removeItem(KEPT);
  wantsToken.value = false;
}

/** An error with what to do about it. */
export class Problem extends Error {
  /** @param {string} text @param {string | null} [remedy] @param {number} [status] */
  constructor(text, remedy = null, status = 0) {
    super(text);
    this.remedy = remedy;
    this.status = status;
  }
}

/** @param {unknown} error @returns {Problem} */
export function problem(error) {
  if (error instanceof Problem) return error;
  if (error instanceof TypeError) return new Problem('MCProxy does not answer.', 'Is it running? `mcproxy status` says. The page tries again by itself.');
  return new Problem(error instanceof Error ? error.message : String(error));
}

/** @param {Record<string, string>} [more] @returns {Record<string, string>} */
export const headers = (more = {}) => ({ 'X-MCProxy-UI': '1', ...(token() ? { Authorization: `Bearer ${token()}` } : {}), ...more });

/** @param {string} path below /ui/api @param {RequestInit} [init] */
async function request(path, init = {}) {
  const response = await fetch(`${base}/ui/api/${path}`, { ...init, headers: headers(/** @type {any} */ (init.headers)) });
  if (response.status === 401) wantsToken.value = token() ? 'wrong' : 'none';
  if (response.ok) return response;
  const said = await response.json().catch(() => null);
  throw new Problem(said?.error ?? `MCProxy answered with status ${response.status}.`, said?.remedy ?? null, response.status);
}

/** @param {string} path @param {AbortSignal} [signal] @returns {Promise<any>} */
export const get = async (path, signal) => (await request(path, { signal })).json();

/** @param {string} path @param {unknown} body @returns {Promise<any>} */
export const post = async (path, body) =>
  (await request(path, { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } })).json();

/** @param {string} path @param {AbortSignal} signal */
export const open = (path, signal) => request(path, { signal, headers: { Accept: 'text/event-stream' } });

/**
 * The events of a stream, one after the other. `aliveMs`: how long the stream may be silent, comments included.
 * @param {ReadableStream<Uint8Array>} body @param {number} [aliveMs]
 * @returns {AsyncGenerator<{ event: string, data: string }>}
 */
export async function* events(body, aliveMs) {
  const reader = body.pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
  let rest = '', event = 'message';
  /** @type {string[]} */
  let data = [];
  try {
    for (;;) {
      /** @type {any} */
      let timer;
      const late = aliveMs && new Promise((_, no) => { timer = setTimeout(() => no(new TypeError('the stream is silent')), aliveMs); });
      const { value, done } = await /** @type {any} */ (late ? Promise.race([reader.read(), late]) : reader.read()).finally(() => clearTimeout(timer));
      if (done) return;
      // A large answer comes as one line in many pieces.
      if (!/[\r\n]/.test(value)) { rest += value; continue; }
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = /** @type {string} */ (lines.pop());
      for (const line of lines) {
        if (line === '') {
          if (data.length) yield { event, data: data.join('\n') };
          event = 'message';
          data = [];
        } else if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
        else if (line.startsWith('event:')) event = line.slice(6).trim();
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
