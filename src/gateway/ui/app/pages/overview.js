// What needs somebody, and a row for each server.
import { known, Sparkline } from '../chart.js';
import { count, duration, NONE, plural, size } from '../format.js';
import { Fragment, html } from '../html.js';
import { about, act, connection, failure, mayAct, state } from '../live.js';
import { Copy, Empty, Failure, Head, Loading, Section, Status, Time, toneOf, Words } from '../parts.js';
import { href } from '../router.js';

/** @import { Need, Row, State } from '../types' */

const KINDS = /** @type {Record<string, string>} */ ({ blocked: 'cannot start', failed: 'fails', 'needs-login': 'wants a login', held: 'is held back', approval: 'waits for approval', config: 'configuration', degraded: 'degraded' });

/** A command in a remedy can be copied. */
const Remedy = ({ remedy }) => {
  const command = remedy?.match(/`(mcproxy [^`]+)`/)?.[1];
  return remedy && (command ? html`<p class="remedy"><${Words} text=${remedy} /> <${Copy} text=${command} /></p>` : html`<p class="remedy"><${Words} text=${remedy} /></p>`);
};

/** @param {{ need: Need }} props */
const NeedCard = ({ need }) => html`<li class=${`need ${toneOf(need.kind)}`}>
  <${Status} word=${need.kind} text=${KINDS[need.kind]} />
  <div>
    <p class="need-text">${need.server && html`<strong>${need.server}</strong>: `}<${Words} text=${need.text.split('\n')[0]} /></p>
    <${Remedy} remedy=${need.remedy} />
  </div>
  <div class="acts">
    ${need.kind === 'held' && need.approval && html`<button type="button" disabled=${!mayAct.value} onClick=${() => act({ act: 'approve', approval: need.approval, server: need.server })}>Approve</button>`}
    ${need.held && html`<${Fragment}><button type="button" disabled=${!mayAct.value} onClick=${() => act({ act: 'allow', held: need.held, server: need.server })}>Allow</button><button type="button" disabled=${!mayAct.value} onClick=${() => act({ act: 'refuse', held: need.held, server: need.server })}>Refuse</button><//>`}
    ${(need.kind === 'failed' || need.kind === 'blocked') && need.server && html`<button type="button" disabled=${!mayAct.value} onClick=${() => act({ act: 'restart', server: need.server })}>Restart</button>`}
    ${need.server ? html`<a class="button" href=${href('server', [need.server])}>Look<span class="unseen"> at ${need.server}</span></a>` : need.kind === 'config' && html`<a class="button" href="#/config">Look<span class="unseen"> at the configuration</span></a>`}
  </div>
</li>`;

/** @param {{ row: Row }} props */
function ServerRow({ row }) {
  const last = row.callsPerMinute && known(row.callsPerMinute).at(-1), tone = toneOf(row.state);
  return html`<tr class=${tone}>
    <th scope="row"><a href=${href('server', [row.name])}>${row.name}</a><span class="dim">${row.serverInfo?.version ?? row.transport ?? ''}</span></th>
    <td data-label="State"><${Status} word=${row.state} /><span class="dim">${row.state === 'starting' && row.saying ? row.saying : html`${row.since ? html`for <${Time} at=${row.since} form="for" />` : ''}`}</span></td>
    <td data-label="Calls a minute" class="spark-cell"><${Sparkline} values=${row.callsPerMinute} /><span class="num">${last == null ? NONE : count(last)}</span></td>
    <td data-label="p50 / p95" class="num">${duration(row.p50Ms)}<span class="dim">${duration(row.p95Ms)}</span></td>
    <td data-label="Errors" class=${`num ${row.errorsTotal ? 'some' : 'zero'}`}>${count(row.errorsTotal)}<span class="dim">${row.callsTotal ? `of ${count(row.callsTotal)}` : ''}</span></td>
    <td data-label="Memory" class="num">${size(row.memoryBytes || null)}</td>
    <td data-label="Restarts" class=${`num ${row.restarts ? 'some' : 'zero'}`}>${count(row.restarts)}</td>
    <td data-label="Tools" class="num">${count(row.tools)}<span class="dim">${row.tokens ? `≈ ${count(row.tokens)} tok` : ''}</span></td>
    <td data-label="Revision" class="num era">${row.era ?? NONE}</td>
  </tr>`;
}

const Figure = ({ label, value, sub }) => html`<div><dt>${label}</dt><dd>${value}${sub && html`<span class="dim">${sub}</span>`}</dd></div>`;

/** @param {{ known: State }} props */
function Figures({ known }) {
  const { gateway = /** @type {any} */ ({}), totals = /** @type {any} */ ({}), servers } = known;
  const rate = gateway.callsPerSecond;
  return html`<dl class="figures">
    <${Figure} label="Servers ready" value=${servers.filter(row => row.state === 'ready').length} sub=${`of ${servers.length}`} />
    <${Figure} label="Calls a second" value=${rate == null ? NONE : rate < 10 ? rate.toFixed(1) : count(rate)} />
    <${Figure} label="Sessions" value=${count(gateway.sessions)} />
    <${Figure} label="Tools" value=${count(totals.tools)} sub=${totals.tokens ? `≈ ${count(totals.tokens)} tokens` : ''} />
    <${Figure} label="Gateway's memory" value=${size(gateway.memoryBytes)} />
  </dl>`;
}

const First = () => html`<${Empty} title="No server is configured yet.">
  <p>Add one to ${about.value ? html`<code>${about.value.configPath}</code>` : 'the configuration'}, or on the command line:</p>
  <p><code>mcproxy add time -- uvx mcp-server-time</code></p>
  <p>It shows up here a moment later; nothing has to be restarted.</p>
<//>`;

export function Overview() {
  const known = state.value;
  if (!known) return html`<${Fragment}><${Head} title="Overview" />${connection.value === 'lost' && failure.value ? html`<${Failure} error=${failure.value} />` : html`<${Loading} what="the servers" />`}<//>`;
  const { needs, servers } = known;
  return html`<${Fragment}>
    <${Head} title="Overview" sub=${about.value && html`Up for <${Time} at=${about.value.startedAt} form="for" />`} />
    <${Figures} known=${known} />
    ${servers.length > 0 && html`<${Section} title="Needs you" note=${needs.length ? plural(needs.length, 'matter') : ''}>
      ${needs.length ? html`<ul class="needs">${needs.map((need, n) => html`<${NeedCard} key=${`${need.kind}/${need.server}/${n}`} need=${need} />`)}</ul>` : html`<p class="calm">Nothing. Every enabled server does its work.</p>`}
    <//>`}
    <${Section} title="Servers">
      ${servers.length === 0 ? html`<${First} />` : html`<div class="scroll"><table class="rows servers">
        <thead><tr><th scope="col">Server</th><th scope="col">State</th><th scope="col">Calls a minute</th><th scope="col" class="num">p50 / p95</th><th scope="col" class="num">Errors</th><th scope="col" class="num">Memory</th><th scope="col" class="num">Restarts</th><th scope="col" class="num">Tools</th><th scope="col" class="num">Revision</th></tr></thead>
        <tbody>${servers.map(row => html`<${ServerRow} key=${row.name} row=${row} />`)}</tbody>
      </table></div>`}
    <//>
  <//>`;
}
