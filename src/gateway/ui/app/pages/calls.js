// Who called what, live.
import { get, post, problem } from '../api.js';
import { Strip, Waterfall } from '../chart.js';
import { clock, duration, exact, NONE, plural, size } from '../format.js';
import { Fragment, html, signal, useEffect, useState } from '../html.js';
import { calls, dropped, mayAct, merged, now, say } from '../live.js';
import { Choice, Empty, Failure, Head, Json, Loading, Search, Status, useLoaded } from '../parts.js';
import { href, place, refine } from '../router.js';

/** @import { Call, Capture } from '../types' */

const PAGE = 100;
/** How long the bodies of calls are kept at one go. */
const SECONDS = 60;
const OUTCOMES = /** @type {[string, string][]} */ ([['', 'Every outcome'], ['running', 'Running'], ['ok', 'OK'], ['tool-error', 'Error of the tool'], ['error', 'Error'], ['timeout', 'Timeout'], ['cancelled', 'Cancelled']]);

/** The name that `/mcp` lists it under, or what else was asked for. @param {Call} call */
const listed = ({ server, tool, method }) => (method === 'tools/call' ? `${server}__${tool}` : `${method} ${tool ?? ''}`);

const capture = signal(/** @type {Capture} */ ({ until: null, by: null }));

function Recorder() {
  const left = capture.value.until ? Math.min(SECONDS, Math.ceil((capture.value.until - now.value) / 1000)) : 0;
  const set = async seconds => {
    try {
      capture.value = await post('capture', { seconds });
      say(seconds ? `Arguments and results are kept for ${seconds} s; the log says so.` : 'Nothing more is kept.');
    } catch (error) {
      say(problem(error).message, true);
    }
  };
  return left > 0
    ? html`<button type="button" class="recording" onClick=${() => set(0)}>Recording, ${left} s left: stop</button>`
    : html`<button type="button" disabled=${!mayAct.value} title=${mayAct.value ? 'Arguments and results, with secrets masked. The log says who asked for it.' : 'Your token may look, but not record.'} onClick=${() => set(SECONDS)}>Record bodies for ${SECONDS} s</button>`;
}

/** @param {{ call: Call }} props */
function Detail({ call }) {
  const { value, error } = useLoaded(() => get(`calls/${call.id}`), [call.id, call.outcome, call.captured]);
  const all = value ?? call;
  const facts = /** @type {[string, any][]} */ ([
    ['When', exact(all.at)], ['Who', all.principal ?? 'without a token'], ['Client', all.client], ['Revision', all.era], ['Endpoint', all.endpoint], ['Method', all.method],
    ['Size', `${size(all.argumentBytes)} in, ${size(all.resultBytes)} out`],
  ]);
  return html`<div class="call-detail">
    ${all.error && html`<p class="bad-text">${all.error}</p>`}
    <div class="two even">
      <dl class="facts">${facts.filter(([, text]) => text).map(([term, text]) => html`<div key=${term}><dt>${term}</dt><dd>${text}</dd></div>`)}</dl>
      ${all.phases ? html`<${Waterfall} phases=${all.phases} />` : html`<p class="calm">It has not ended yet.</p>`}
    </div>
    ${error && html`<p class="note">${error.message}</p>`}
    ${all.captured && all.arguments !== undefined
      ? html`<div class="two even"><div><h2>Arguments</h2><div class="card pad"><${Json} value=${all.arguments} /></div></div><div><h2>Result</h2><div class="card pad"><${Json} value=${all.result ?? null} /></div></div></div>`
      : html`<p class="note">Arguments and results are kept only while bodies are recorded.</p>`}
    ${all.tool && all.method === 'tools/call' && html`<p><a class="button" href=${href('try', [listed(all)], all.captured ? { call: String(all.id) } : {})}>${all.captured ? 'Replay in the form' : 'Open the tool'}</a></p>`}
  </div>`;
}

/** @param {{ call: Call, most: number, open: boolean, toggle: () => void }} props */
function CallRow({ call, most, open, toggle }) {
  const [who, version] = (call.client ?? '').split('/');
  return html`<${Fragment}>
    <tr class=${open ? 'open' : ''} onClick=${toggle}>
      <td data-label="Time" class="num time"><time title=${exact(call.at)}>${clock(call.at).slice(0, 8)}</time></td>
      <th scope="row"><button type="button" class="row-open" aria-expanded=${open} onClick=${e => { e.stopPropagation(); toggle(); }}>${listed(call)}</button>${call.captured && html`<span class="tag">recorded</span>`}</th>
      <td data-label="Who">${call.principal ?? html`<span class="zero">no token</span>`}<span class="dim" title=${version}>${who}</span></td>
      <td data-label="Outcome"><${Status} word=${call.outcome} /></td>
      <td data-label="In / out" class="num">${size(call.argumentBytes)}<span class="dim">${size(call.resultBytes)}</span></td>
      <td data-label="Took" class="num">${call.durationMs == null ? NONE : duration(call.durationMs)}</td>
      <td class="strip-cell"><${Strip} phases=${call.phases} most=${most} /></td>
    </tr>
    ${open && html`<tr class="detail"><td colspan="7"><${Detail} call=${call} /></td></tr>`}
  <//>`;
}

export function Calls() {
  const { query } = place.value, word = query.get('q') ?? '', server = query.get('server') ?? '', outcome = query.get('outcome') ?? '';
  const [open, setOpen] = useState(/** @type {number | null} */ (null));
  const [shown, setShown] = useState(PAGE);
  const [held, setHeld] = useState(/** @type {Call[] | null} */ (null));
  const { value: loaded, error, again } = useLoaded(() => get('calls?limit=2000'), []);
  useEffect(() => {
    if (!loaded) return;
    capture.value = loaded.capture ?? capture.peek();
    // What the stream told meanwhile is newer.
    calls.value = merged(loaded.calls, calls.peek());
  }, [loaded]);
  const all = held ?? calls.value;
  const servers = [...new Set(all.map(call => call.server).filter(Boolean))].sort();
  const needle = word.toLowerCase();
  const found = all.filter(call => (!server || call.server === server) && (!outcome || call.outcome === outcome) && (!needle || `${listed(call)} ${call.principal} ${call.client} ${call.error}`.toLowerCase().includes(needle)));
  const rows = found.slice(0, shown);
  // Most calls are to be told apart; the slowest few may fill their line.
  const times = rows.map(call => call.durationMs ?? 0).sort((a, b) => a - b), most = Math.max(1, times[Math.floor(times.length * 0.95)] ?? 1);
  return html`<${Fragment}>
    <${Head} title="Calls" sub="The last 2,000, as they happen. Arguments and results are not kept unless you record them."><${Recorder} /><//>
    <div class="filters">
      <${Search} label="Filter by tool, client or error" value=${word} onInput=${q => refine({ q })} />
      <${Choice} label="Server" value=${server} options=${[['', 'Every server'], ...servers.map(name => [name, name])]} onChange=${server => refine({ server })} />
      <${Choice} label="Outcome" value=${outcome} options=${OUTCOMES} onChange=${outcome => refine({ outcome })} />
      <button type="button" aria-pressed=${held !== null} onClick=${() => setHeld(held ? null : all)}>${held ? 'Go on' : 'Hold'}</button>
      <span class="note">${plural(found.length, 'call')}${dropped.value.calls > 0 ? `, ${dropped.value.calls} more than could be shown` : ''}</span>
    </div>
    ${error && html`<${Failure} error=${error} again=${again} />`}
    ${!loaded && !error && all.length === 0 ? html`<${Loading} what="the calls" />` : found.length === 0
      ? !error && html`<${Empty} title=${all.length ? 'No call is like that.' : 'Nothing has been called yet.'}>${all.length ? 'Change the filters above.' : html`<a href="#/connect">Connect a client</a>, or <a href="#/try">try a tool</a> yourself.`}<//>`
      : html`<table class="rows calls">
        <thead><tr><th scope="col">Time</th><th scope="col">Tool</th><th scope="col">Who</th><th scope="col">Outcome</th><th scope="col" class="num">In / out</th><th scope="col" class="num">Took</th><th scope="col"><span class="legend"><i class="ph-start"></i>start <i class="ph-queue"></i>queue <i class="ph-server"></i>server</span></th></tr></thead>
        <tbody>${rows.map(call => html`<${CallRow} key=${call.id} call=${call} most=${most} open=${open === call.id} toggle=${() => setOpen(open === call.id ? null : call.id)} />`)}</tbody>
      </table>`}
    ${found.length > shown && html`<p class="more"><button type="button" onClick=${() => setShown(shown + 300)}>Show more of ${found.length}</button></p>`}
  <//>`;
}
