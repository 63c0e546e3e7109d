// What the page knows, kept up to date by one event stream.
import { get, events, open, post, problem, setToken, token, wantsToken } from './api.js';
import { batch, computed, signal } from './html.js';

/** @import { About, Call, Log, Need, Row, State } from './types' */

/** Most calls and log lines that the page keeps. */
const MOST_CALLS = 2000, MOST_LINES = 4000;
/** The gateway sends a comment every 15 s. */
const SILENCE = 40_000;
/** A page that is not looked at lets go of its stream after this. */
const UNSEEN = 60_000;

export const about = signal(/** @type {About | null} */ (null));
export const state = signal(/** @type {State | null} */ (null));
export const calls = signal(/** @type {Call[]} */ ([]));
export const lines = signal(/** @type {Log[]} */ ([]));
export const dropped = signal({ calls: 0, lines: 0 });
/** `loading`, then `live`, or `lost` while the page tries again. */
export const connection = signal(/** @type {'loading' | 'live' | 'lost'} */ ('loading'));
export const failure = signal(/** @type {import('./api.js').Problem | null} */ (null));
/** The present time, for relative times: one timer for all of them. */
export const now = signal(Date.now());
/** What was done last, for the announcer at the foot of the page. */
export const notice = signal(/** @type {{ text: string, bad: boolean } | null} */ (null));
/** Whether the log page is open, which alone costs the gateway the log lines. */
export const wantsLines = signal(false);

export const mayAct = computed(() => about.value?.mayAct ?? false);

/** How far the clock of the gateway is before ours. */
let skew = 0;
setInterval(() => { if (!document.hidden) now.value = Date.now() + skew; }, 1000);

/** @type {any} */
let noticeTimer;
/** Says something at the foot of the page. @param {string} text @param {boolean} [bad] */
export function say(text, bad = false) {
  notice.value = { text, bad };
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { notice.value = null; }, bad ? 12_000 : 5000);
}

/** Asks the supervisor to do something, and says what came of it. @param {Record<string, unknown>} order */
export async function act(order) {
  try {
    say((await post('act', order)).text ?? 'Done.');
    return true;
  } catch (error) {
    const { message, remedy } = problem(error);
    say(remedy ? `${message} ${remedy}` : message, true);
    return false;
  }
}

/** A call comes twice, when it starts and when it ends; the later one stands. Newest first. @param {Call[]} known @param {Call[]} news */
export function merged(known, news) {
  const ids = new Map(news.map(call => [call.id, call]));
  const kept = known.map(call => {
    const newer = ids.get(call.id);
    if (newer) ids.delete(call.id);
    return newer ?? call;
  });
  return [...[...ids.values()].sort((a, b) => b.id - a.id), ...kept].slice(0, MOST_CALLS);
}

/** @param {string} event @param {any} data */
function take(event, data) {
  const before = state.peek();
  if (event === 'state') state.value = data;
  else if (event === 'needs' && before) state.value = { ...before, needs: data.needs ?? data };
  else if (event === 'servers' && before) {
    /** @type {Map<string, Row>} */
    const changed = new Map(data.servers.map((/** @type {Row} */ row) => [row.name, row]));
    const gone = new Set(data.removed ?? []);
    const servers = before.servers.filter(row => !gone.has(row.name)).map(row => {
      const newer = changed.get(row.name);
      changed.delete(row.name);
      return newer ?? row;
    });
    state.value = { ...before, ...(data.gateway && { gateway: data.gateway }), ...(data.totals && { totals: data.totals }), servers: [...servers, ...changed.values()] };
  } else if (event === 'calls') {
    calls.value = merged(calls.peek(), data.calls);
    if (data.dropped) dropped.value = { ...dropped.peek(), calls: dropped.peek().calls + data.dropped };
  } else if (event === 'logs') {
    lines.value = [...lines.peek(), ...data.lines].slice(-MOST_LINES);
    if (data.dropped) dropped.value = { ...dropped.peek(), lines: dropped.peek().lines + data.dropped };
  }
}

/** @type {AbortController | null} */
let current = null;
/** @type {any} */
let again;

/** Opens the stream, in place of the one that there is. */
export async function connect() {
  clearTimeout(again);
  current?.abort();
  const mine = (current = new AbortController());
  try {
    const told = await get('about', mine.signal);
    skew = told.now ? told.now - Date.now() : 0;
    about.value = told;
    const stream = await open(wantsLines.peek() ? 'events?logs=1' : 'events', mine.signal);
    for await (const { event, data } of events(/** @type {any} */ (stream.body), SILENCE)) {
      if (mine !== current) return;
      batch(() => {
        connection.value = 'live';
        failure.value = null;
        take(event, JSON.parse(data));
      });
    }
    throw new TypeError('the stream ended');
  } catch (error) {
    if (mine !== current || mine.signal.aborted) return;
    failure.value = problem(error);
    connection.value = 'lost';
    if (!wantsToken.peek()) again = setTimeout(connect, 2000 + Math.random() * 1000);
  }
}

/** @param {string} value */
export function enter(value) {
  setToken(value);
  connection.value = 'loading';
  connect();
}

export const leave = () => {
  setToken('');
  location.reload();
};

/** Asks for the log lines, or no longer. @param {boolean} wanted */
export function watchLines(wanted) {
  if (wantsLines.peek() === wanted) return;
  wantsLines.value = wanted;
  connect();
}

/** @type {any} */
let unseen;
document.addEventListener('visibilitychange', () => {
  clearTimeout(unseen);
  if (document.hidden) unseen = setTimeout(() => { current?.abort(); current = null; }, UNSEEN);
  else if (!current) connect();
});

export const hasToken = () => token() !== '';
