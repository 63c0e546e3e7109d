// The configuration as it is on disk, with what is wrong in it, and what a reload would do.
import { get } from '../api.js';
import { plural } from '../format.js';
import { Fragment, html } from '../html.js';
import { act, mayAct } from '../live.js';
import { Empty, Failure, Head, Loading, Section, Status, useLoaded, Words } from '../parts.js';
import { href } from '../router.js';

/** @import { ConfigView, Problem } from '../types' */

const CHANGES = /** @type {Record<string, string>} */ ({ added: 'is started', removed: 'is stopped', changed: 'is started anew, while the old one serves' });

/** @param {{ problem: Problem }} props */
const Note = ({ problem }) => html`<div class=${`code-note ${problem.severity === 'error' ? 'bad' : 'warn'}`}><strong>${problem.severity === 'error' ? 'Error' : 'Warning'}:</strong> <${Words} text=${problem.message} />${problem.remedy && html` <span><${Words} text=${problem.remedy} /></span>`}</div>`;

/** @param {{ view: ConfigView }} props */
function Code({ view }) {
  const lines = /** @type {string} */ (view.text).replace(/\n$/, '').split('\n');
  return html`<div class="code" tabindex="0" role="group" aria-label="The configuration">${lines.map((line, n) => {
    const here = view.problems.filter(problem => problem.line === n + 1);
    return html`<${Fragment} key=${n}><div id=${`line-${n + 1}`} class=${`code-line ${here.some(p => p.severity === 'error') ? 'bad' : here.length ? 'warn' : ''}`}><span class="code-n">${n + 1}</span><code>${line || ' '}</code></div>${here.map((problem, at) => html`<${Note} key=${at} problem=${problem} />`)}<//>`;
  })}</div>`;
}

/** @param {string} id */
const jump = id => {
  const line = document.getElementById(id);
  line?.scrollIntoView({ block: 'center' });
};

export function Config() {
  const { value, error, again } = useLoaded(() => get('config'), []);
  const view = /** @type {ConfigView | null} */ (value);
  const reload = async () => { if (await act({ act: 'reload' })) again(); };
  const title = html`<${Head} title="Configuration" sub=${view ? html`<code>${view.path}</code>. The page never writes it.` : ''}>
    <button type="button" onClick=${again}>Look again</button>
    <button type="button" class="main" disabled=${!mayAct.value} title=${mayAct.value ? undefined : 'Your token may look, but not act.'} onClick=${reload}>Reload</button>
  <//>`;
  if (!view) return html`<${Fragment}>${title}${error ? html`<${Failure} error=${error} again=${again} />` : html`<${Loading} what="the configuration" />`}<//>`;
  const { problems, pending } = view;
  return html`<${Fragment}>${title}
    ${error && html`<${Failure} error=${error} again=${again} />`}
    <div class="two even">
      <${Section} title="Problems" note=${problems.length ? plural(problems.length, 'place') : ''}>
        ${problems.length === 0 ? html`<p class="calm">None.</p>` : html`<ul class="plain-list">${problems.map((problem, n) => html`<li key=${n}><${Status} word=${problem.severity === 'error' ? 'error' : 'degraded'} text=${problem.severity} /> ${problem.line && html`<button type="button" class="link" onClick=${() => jump(`line-${problem.line}`)}>line ${problem.line}</button> `}<${Words} text=${problem.message} /></li>`)}</ul>`}
      <//>
      <${Section} title="A reload would change">
        ${pending.length === 0 ? html`<p class="calm">${problems.some(problem => problem.severity === 'error') ? 'Nothing: a file with errors is refused, and what was in force stays so.' : 'Nothing: what is in the file is in force.'}</p>` : html`<ul class="plain-list">${pending.map(({ server, change }) => html`<li key=${`${server}/${change}`}>${server && html`<a href=${href('server', [server])}>${server}</a> `}${CHANGES[change] ?? change}</li>`)}</ul>`}
      <//>
    </div>
    ${view.text ? html`<${Code} view=${view} />` : html`<${Empty} title="The file is empty or cannot be read.">See the problems above.<//>`}
  <//>`;
}
