// What all servers and MCProxy itself say, in one place.
import { get } from '../api.js';
import { clock, exact, plural } from '../format.js';
import { Fragment, html, useEffect, useLayoutEffect, useRef, useState } from '../html.js';
import { dropped, lines, state, watchLines } from '../live.js';
import { Choice, download, Empty, Failure, Head, Loading, Search, useLoaded } from '../parts.js';
import { place, refine } from '../router.js';

/** @import { Log } from '../types' */

const ORDER = ['trace', 'debug', 'info', 'notice', 'warn', 'warning', 'error', 'critical'];
const LEVELS = /** @type {[string, string][]} */ ([['', 'Every level'], ['info', 'Info and above'], ['warn', 'Warnings and errors'], ['error', 'Errors']]);
/** Lines that are in the page at once. */
const SHOWN = 1500;

/** @param {Log} line */
const plain = line => `${new Date(line.at).toISOString()} ${line.level.padEnd(7)} ${line.server ?? 'mcproxy'} ${line.text}`;

/** @param {{ line: Log }} props */
const Line = ({ line }) => html`<div class=${`log-line ${line.level}`}><time title=${exact(line.at)}>${clock(line.at)}</time><span class="log-server">${line.server ?? 'mcproxy'}</span><span>${line.level !== 'info' && html`<b>${line.level}</b> `}${line.text}</span></div>`;

export function Logs() {
  const { query } = place.value, word = query.get('q') ?? '', server = query.get('server') ?? '', level = query.get('level') ?? '';
  const [follow, setFollow] = useState(true);
  const box = useRef();
  const { value, error, again } = useLoaded(() => get('logs?limit=1000'), []);
  useEffect(() => {
    watchLines(true);
    return () => watchLines(false);
  }, []);
  useEffect(() => {
    if (!value) return;
    const loaded = /** @type {Log[]} */ (value.lines), last = loaded.at(-1)?.at ?? 0;
    lines.value = [...loaded, ...lines.peek().filter(line => line.at > last)];
  }, [value]);
  const least = ORDER.indexOf(level), needle = word.toLowerCase();
  const found = lines.value.filter(line => (!server || (line.server ?? 'mcproxy') === server) && (!level || ORDER.indexOf(line.level) >= least) && (!needle || line.text.toLowerCase().includes(needle)));
  useLayoutEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  });
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    setFollow(scrollHeight - scrollTop - clientHeight < 24);
  };
  const names = ['mcproxy', ...(state.value?.servers.map(row => row.name) ?? [])];
  return html`<${Fragment}>
    <${Head} title="Logs" sub="stderr and log lines of all servers, and what MCProxy thinks of them. Secrets are masked."><button type="button" disabled=${!found.length} onClick=${() => download('mcproxy.log', found.map(plain).join('\n') + '\n')}>Download</button><//>
    <div class="filters">
      <${Search} label="Filter lines" value=${word} onInput=${q => refine({ q })} />
      <${Choice} label="Server" value=${server} options=${[['', 'Every server'], ...names.map(name => [name, name])]} onChange=${server => refine({ server })} />
      <${Choice} label="Level" value=${level} options=${LEVELS} onChange=${level => refine({ level })} />
      <button type="button" aria-pressed=${follow} onClick=${() => setFollow(!follow)}>Follow</button>
      <span class="note">${plural(found.length, 'line')}${dropped.value.lines > 0 ? `, ${dropped.value.lines} more than could be sent` : ''}</span>
    </div>
    ${error && html`<${Failure} error=${error} again=${again} />`}
    ${!value && !error ? html`<${Loading} what="the logs" />` : found.length === 0
      ? !error && html`<${Empty} title=${lines.value.length ? 'No line is like that.' : 'Nothing has been said yet.'}>${lines.value.length ? 'Change the filters above.' : 'Lines appear here as servers write them.'}<//>`
      : html`<div class="log tall" ref=${box} onScroll=${scrolled} tabindex="0" role="log" aria-live="off" aria-label="Log lines">${found.slice(-SHOWN).map(line => html`<${Line} line=${line} />`)}</div>`}
  <//>`;
}
