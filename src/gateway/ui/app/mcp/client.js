// The page as a client of MCP 2026-07-28: requests without a session, and calls that take several rounds because a server asks.
import { base, events, token } from '../api.js';
import { headersOf, VERSION } from './headers.js';

/**
 * @typedef {{ method: string, params: any }} Question
 * @typedef {{ name: string, arguments: any, inputSchema?: any, capabilities?: any, logLevel?: string }} Order
 * @typedef {{ onMessage: (message: any) => void, ask: (questions: Record<string, Question>) => Promise<Record<string, any>>, signal: AbortSignal }} Ears
 */

/** Rounds of one call, after which a server asks for ever. */
const MOST_ROUNDS = 32;
/** Pages of a list. */
const MOST_PAGES = 200;
const KEY = 'io.modelcontextprotocol/';

/** An error that JSON-RPC or HTTP carried. */
export class McpError extends Error {
  /** @param {string} text @param {number | null} code @param {unknown} [data] */
  constructor(text, code, data) {
    super(text);
    this.code = code;
    this.data = data;
  }
}

/** What every request says of its client. @param {any} [capabilities] @param {string} [logLevel] */
export const meta = (capabilities = {}, logLevel) => ({
  [`${KEY}protocolVersion`]: VERSION,
  [`${KEY}clientInfo`]: { name: 'mcproxy-page', version: '1' },
  [`${KEY}clientCapabilities`]: capabilities,
  ...(logLevel && { [`${KEY}logLevel`]: logLevel }),
});

let lastId = 0;

/**
 * One request, to its response.
 * @param {string} method @param {any} params @param {{ inputSchema?: any, onMessage?: (message: any) => void, signal?: AbortSignal }} [options]
 * @returns {Promise<any>}
 */
export async function request(method, params, { inputSchema, onMessage, signal } = {}) {
  const id = ++lastId;
  const response = await fetch(`${base}/mcp`, {
    method: 'POST',
    signal,
    headers: {
      'Content-Type': 'application/json', Accept: 'application/json, text/event-stream', ...headersOf(method, params, inputSchema),
      ...(token() && { Authorization: `Bearer ${token()}` }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
  });
  const type = response.headers.get('Content-Type') ?? '';
  if (type.startsWith('text/event-stream') && response.body) {
    for await (const { data } of events(response.body)) {
      const message = JSON.parse(data);
      if (message.id === id && !message.method) return outcome(message);
      onMessage?.(message);
    }
    throw new McpError('The answer broke off before its end.', null);
  }
  const text = await response.text();
  /** @type {any} */
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    throw new McpError(text.slice(0, 300) || `MCProxy answered with status ${response.status}.`, null);
  }
  return outcome(message);
}

/** @param {any} message */
function outcome(message) {
  if (message.error) throw new McpError(message.error.message ?? 'an error without a message', message.error.code ?? null, message.error.data);
  return message.result;
}

/** Every tool, as clients see it. @returns {Promise<any[]>} */
export async function listTools() {
  const tools = [];
  let cursor;
  for (let page = 0; page < MOST_PAGES; page++) {
    const result = await request('tools/list', { ...(cursor !== undefined && { cursor }), _meta: meta() });
    tools.push(...(result.tools ?? []));
    cursor = result.nextCursor;
    if (cursor == null) break;
  }
  return tools;
}

/** Calls a tool, and lets the person answer what its server asks meanwhile. @param {Order} order @param {Ears} ears @returns {Promise<any>} */
export async function callTool(order, { onMessage, ask, signal }) {
  const _meta = { ...meta(order.capabilities, order.logLevel), progressToken: `page-${lastId + 1}` };
  const params = { name: order.name, arguments: order.arguments, _meta };
  const options = { inputSchema: order.inputSchema, onMessage, signal };
  let again = {};
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const result = await request('tools/call', { ...params, ...again }, options);
    if (result?.resultType !== 'input_required') return result;
    const questions = result.inputRequests ?? {};
    // A state without a question is brought back a little later.
    const inputResponses = Object.keys(questions).length ? await ask(questions) : await pause(1000, signal);
    again = { ...(inputResponses && { inputResponses }), ...(result.requestState !== undefined && { requestState: result.requestState }) };
  }
  throw new McpError(`The server asked ${MOST_ROUNDS} times; the page stops here.`, null);
}

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<undefined>} */
const pause = (ms, signal) => new Promise((done, no) => {
  const timer = setTimeout(() => done(undefined), ms);
  signal.addEventListener('abort', () => { clearTimeout(timer); no(new DOMException('cancelled', 'AbortError')); }, { once: true });
});
