// All about one server.
import { get } from '../api.js';
import { Bars } from '../chart.js';
import { clock, count, duration, exact, NONE, plural, size } from '../format.js';
import { Fragment, html, useEffect, useState } from '../html.js';
import { act, mayAct, now, state } from '../live.js';
import { Empty, Failure, Head, Json, Loading, Search, Section, Status, Sure, Time, toneOf, useLoaded, Words } from '../parts.js';
import { href, place } from '../router.js';

/** @import { Log, Row, ServerDetail, Tool } from '../types' */

const HINTS = /** @type {[string, unknown, string][]} */ ([
  ['readOnlyHint', true, 'only reads'], ['destructiveHint', true, 'destructive'], ['idempotentHint', true, 'may be repeated'], ['openWorldHint', true, 'reaches out'],
]);

/** @param {{ tool: Tool, most: number }} props */
function ToolRow({ tool, most }) {
  const hints = HINTS.filter(([key, value]) => tool.annotations?.[key] === value);
  return html`<li class="tool">
    <div class="tool-head"><a href=${href('try', [tool.name])}>${tool.name}</a>${tool.title && html`<span class="dim">${tool.title}</span>`}
      ${hints.map(([key, , text]) => html`<span key=${key} class=${`tag ${key === 'destructiveHint' ? 'warn' : ''}`}>${text}</span>`)}</div>
    ${tool.description && html`<p class="tool-text">${tool.description}</p>`}
    <div class="cost"><span class="num">≈ ${count(tool.tokens)} tokens</span><progress max=${most || 1} value=${tool.tokens ?? 0} aria-label=${`share of ${tool.name}`}></progress></div>
    <details><summary>Schema</summary><${Json} value=${tool.outputSchema ? { inputSchema: tool.inputSchema, outputSchema: tool.outputSchema } : tool.inputSchema} /></details>
  </li>`;
}

/** @param {{ detail: ServerDetail }} props */
function Catalogue({ detail }) {
  const [word, setWord] = useState('');
  const { tools } = detail, most = Math.max(0, ...tools.map(tool => tool.tokens ?? 0));
  const total = tools.reduce((sum, tool) => sum + (tool.tokens ?? 0), 0);
  const found = tools.filter(tool => `${tool.name} ${tool.title ?? ''} ${tool.description ?? ''}`.toLowerCase().includes(word.toLowerCase()));
  const others = [detail.resources && plural(detail.resources, 'resource'), detail.prompts && plural(detail.prompts, 'prompt')].filter(Boolean).join(', ');
  return html`<${Section} title="Tools" note=${tools.length ? `${tools.length}, ≈ ${count(total)} tokens in each list${others ? `; ${others}` : ''}` : others} acts=${tools.length > 8 && html`<${Search} label="Filter tools" value=${word} onInput=${setWord} />`}>
    ${tools.length === 0 ? html`<${Empty} title="It lists no tools.">A server that has not been ready yet shows its tools when it is.<//>` : html`<ul class="tools">${found.map(tool => html`<${ToolRow} key=${tool.name} tool=${tool} most=${most} />`)}</ul>`}
    ${tools.length > 0 && found.length === 0 && html`<p class="calm">No tool has “${word}” in its name or description.</p>`}
  <//>`;
}

/** @param {{ detail: ServerDetail }} props */
const Timeline = ({ detail }) => html`<${Section} title="Its life">
  ${detail.history.length === 0 ? html`<p class="calm">Nothing has happened yet.</p>` : html`<ol class="timeline" tabindex="0" aria-label="Its life">${[...detail.history].reverse().map((event, n) => html`<li key=${n}>
    <${Status} word=${event.state} /><span class="dim"><${Time} at=${event.at} /></span><p>${event.text}</p></li>`)}</ol>`}
<//>`;

/** @param {{ lines: Log[], label: string }} props */
export const Lines = ({ lines, label }) => html`<div class="log stderr" tabindex="0" role="group" aria-label=${label}>${lines.map((line, n) => html`<div key=${n} class=${`log-line ${line.level}`}><time title=${exact(line.at)}>${clock(line.at).slice(0, 8)}</time><span>${line.text}</span></div>`)}</div>`;

/** @param {{ row: Row }} props */
const Facts = ({ row }) => html`<dl class="figures">
  <div><dt>Calls</dt><dd>${count(row.callsTotal)}${row.inFlight ? html`<span class="dim">${row.inFlight} running</span>` : ''}</dd></div>
  <div><dt>Errors</dt><dd>${count(row.errorsTotal)}</dd></div>
  <div><dt>Median</dt><dd>${duration(row.p50Ms)}<span class="dim">p95 ${duration(row.p95Ms)}</span></dd></div>
  <div><dt>Memory</dt><dd>${size(row.memoryBytes || null)}</dd></div>
  <div><dt>Restarts</dt><dd>${count(row.restarts)}</dd></div>
  <div><dt>Revision</dt><dd>${row.era ?? NONE}<span class="dim">${row.transport ?? ''}</span></dd></div>
</dl>`;

/** @param {{ row: Row }} props */
function Acts({ row }) {
  const title = mayAct.value ? undefined : 'Your token may look, but not act.';
  const off = row.state === 'disabled' || row.state === 'stopped';
  return html`<${Fragment}>
    <a class="button" href=${href('logs', [], { server: row.name })}>Logs</a>
    <${Sure} label=${off ? 'Enable' : 'Disable'} sure=${off ? 'Enable until the next reload?' : 'Disable until the next reload?'} title=${title} disabled=${!mayAct.value} onClick=${() => act({ act: off ? 'enable' : 'disable', server: row.name })} />
    <button type="button" class="main" title=${title} disabled=${!mayAct.value || off} onClick=${() => act({ act: 'restart', server: row.name })}>Restart</button>
  <//>`;
}

export function Server() {
  const name = place.value.rest[0];
  const live = state.value?.servers.find(row => row.name === name);
  const { value: detail, error, again } = useLoaded(() => get(`servers/${encodeURIComponent(name)}`), [name, live?.state, live?.since]);
  // What it writes to stderr is no event; it is asked for while one looks.
  const tick = Math.floor(now.value / 5000);
  useEffect(() => { if (detail && !document.hidden) again(); }, [tick]);
  const row = live ?? detail?.row;
  if (!row || !detail) return html`<${Fragment}><${Head} title=${name} />${error ? html`<${Failure} error=${error} again=${again} />` : html`<${Loading} what=${`what is known of ${name}`} />`}<//>`;
  const info = row.serverInfo;
  return html`<${Fragment}>
    <${Head} title=${name} sub=${html`<${Status} word=${row.state} />${row.since ? html` for <${Time} at=${row.since} form="for" />` : ''}${info && html`<span class="dim"> · ${info.name} ${info.version}</span>`}`}><${Acts} row=${row} /><//>
    ${row.lastError && html`<div class=${`banner ${toneOf(row.state)}`}><strong><${Words} text=${row.lastError} /></strong>${row.remedy && html` <${Words} text=${row.remedy} />`}</div>`}
    ${row.state === 'starting' && row.saying && html`<div class="banner">It says: <code>${row.saying}</code></div>`}
    <${Facts} row=${row} />
    <div class="two">
      <div>
        ${row.callsPerMinute && html`<${Section} title="Calls"><${Bars} values=${row.callsPerMinute} /><//>`}
        <${Catalogue} detail=${detail} />
      </div>
      <div>
        <${Timeline} detail=${detail} />
        <${Section} title="stderr" note="the latest">${detail.stderr.length ? html`<${Lines} lines=${detail.stderr} label=${`What ${name} wrote to stderr`} />` : html`<p class="calm">It has written nothing.</p>`}<//>
        <${Section} title="Effective entry" note="defaults resolved, secrets masked"><div class="card pad"><${Json} value=${detail.entry} /></div><//>
      </div>
    </div>
  <//>`;
}
