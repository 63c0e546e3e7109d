// A form for any tool, and the page as its client.
import { base, get, problem } from '../api.js';
import { Field } from '../form/fields.js';
import { bookOf, faults, initial } from '../form/schema.js';
import { duration, plural, size } from '../format.js';
import { Fragment, html, signal, useEffect, useMemo, useRef, useState } from '../html.js';
import { about, state } from '../live.js';
import { callTool, listTools } from '../mcp/client.js';
import { snippetsOf } from '../mcp/snippets.js';
import { Empty, Failure, Field as Labelled, Head, Loading, Search, Section, Snippet, Status, Tabs, useLoaded } from '../parts.js';
import { href, place } from '../router.js';
import { Questions } from './questions.js';
import { Result } from './result.js';

/** @import { Question } from '../mcp/client.js' */

/** What this client says it can do. The roots are kept while the page is open. */
const settings = signal({ elicitation: true, sampling: true, roots: '', level: 'info' });
const LEVELS = ['', 'debug', 'info', 'notice', 'warning', 'error'];

/** The server of a tool, from its name. @param {string} name */
const serverOf = name => name.split('__')[0];

const roots = () => settings.value.roots.split('\n').map(line => line.trim()).filter(Boolean).map(uri => ({ uri: uri.includes(':') ? uri : `file://${uri}` }));

function capabilities() {
  const { elicitation, sampling } = settings.value;
  return { ...(elicitation && { elicitation: { form: {}, url: {} } }), ...(sampling && { sampling: {} }), ...(roots().length && { roots: {} }) };
}

function Picker({ tools, current }) {
  const [word, setWord] = useState('');
  const needle = word.toLowerCase();
  const found = tools.filter(tool => `${tool.name} ${tool.title ?? ''} ${tool.description ?? ''}`.toLowerCase().includes(needle));
  const groups = Map.groupBy ? Map.groupBy(found, tool => serverOf(tool.name)) : found.reduce((all, tool) => all.set(serverOf(tool.name), [...(all.get(serverOf(tool.name)) ?? []), tool]), new Map());
  return html`<div class="picker">
    <${Search} label="Find a tool" value=${word} onInput=${setWord} />
    <div class="picker-list" tabindex="-1">${[...groups].map(([server, list]) => html`<${Fragment} key=${server}><h2>${server} <span class="dim">${list.length}</span></h2>
      <ul>${list.map(tool => html`<li key=${tool.name}><a href=${href('try', [tool.name])} title=${tool.description} aria-current=${tool.name === current ? 'true' : undefined}>${tool.name.slice(server.length + 2) || tool.name}</a></li>`)}</ul><//>`)}
      ${found.length === 0 && html`<p class="calm">No tool is like “${word}”.</p>`}</div>
  </div>`;
}

function Settings() {
  const set = change => { settings.value = { ...settings.value, ...change }; };
  const { elicitation, sampling, level } = settings.value;
  return html`<details class="settings"><summary>What this client can do</summary><div class="f-members">
    <label class="check"><input type="checkbox" checked=${elicitation} onChange=${e => set({ elicitation: e.target.checked })} />Servers may ask me (elicitation)</label>
    <label class="check"><input type="checkbox" checked=${sampling} onChange=${e => set({ sampling: e.target.checked })} />Servers may ask for completions (sampling); I answer by hand</label>
    <${Labelled} label="Log lines from">${id => html`<select id=${id} value=${level} onChange=${e => set({ level: e.target.value })}>${LEVELS.map(word => html`<option key=${word} value=${word}>${word || 'none'}</option>`)}</select>`}<//>
    <${Labelled} label="Roots, one path or URI a line">${id => html`<textarea id=${id} rows="2" value=${settings.value.roots} placeholder="/home/me/project" onInput=${e => set({ roots: e.target.value })}></textarea>`}<//>
  </div></details>`;
}

function Elsewhere({ tool, args }) {
  const all = snippetsOf({ url: `${base}/mcp`, name: tool.name, args, inputSchema: tool.inputSchema, auth: about.value?.auth ?? false });
  const [tab, setTab] = useState('mcproxy call');
  const text = all.find(([key]) => key === tab)?.[1] ?? '';
  return html`<details class="settings"><summary>This call elsewhere</summary><${Tabs} label="As" tabs=${all.map(([key]) => [key, key])} value=${tab} onChange=${setTab} /><div role="tabpanel" aria-label=${tab}><${Snippet} text=${text} label=${tab} /></div></details>`;
}

/**
 * @typedef {{ phase: 'running' | 'asking' | 'ok' | 'tool-error' | 'error' | 'cancelled', started: number, took: number, progress: any, log: any[], result: any, error: any, rounds: number }} Run
 */

/** Log lines of one call that are shown. */
const MOST_LINES = 500;

/** @param {{ run: Run, tool: any, questions: { all: Record<string, Question>, done: (responses: any) => void } | null }} props */
function Running({ run, tool, questions }) {
  const { progress, log, error } = run;
  const done = run.phase !== 'running' && run.phase !== 'asking';
  return html`<${Section} class="run" title="Result" note=${html`<${Status} word=${run.phase === 'asking' ? 'waits for you' : run.phase} />${done && html` after ${duration(run.took)}${run.result ? `, ${size(JSON.stringify(run.result).length)}` : ''}${run.rounds > 1 ? `, ${run.rounds} rounds` : ''}`}`}>
    ${run.phase === 'running' && html`<div class="progress"><progress ...${progress?.total ? { value: progress.progress, max: progress.total } : {}} aria-label="Progress of the call"></progress><span class="num">${progress ? `${progress.progress}${progress.total ? ` of ${progress.total}` : ''}` : ''}</span> <span>${progress?.message ?? ''}</span></div>`}
    ${questions && html`<${Questions} key=${run.rounds} questions=${questions.all} from=${serverOf(tool.name)} done=${questions.done} />`}
    ${log.length > 0 && html`<details class="settings" open=${!done}><summary>${plural(log.length, 'log line')} of this call</summary><div class="log" tabindex="0" role="group" aria-label="Log lines of this call">${log.map((line, n) => html`<div key=${n} class=${`log-line ${line.level}`}><span class="log-server">${line.level}</span><span>${line.logger ? `${line.logger}: ` : ''}${typeof line.data === 'string' ? line.data : JSON.stringify(line.data)}</span></div>`)}</div></details>`}
    ${error && html`<${Failure} error=${error} />`}
    ${run.result && html`<${Result} result=${run.result} outputSchema=${tool.outputSchema} />`}
  <//>`;
}

/** @param {unknown} thrown */
function explained(thrown) {
  const error = /** @type {any} */ (thrown), shown = problem(error);
  return { message: shown.message, remedy: shown.remedy ?? (error.code != null ? `Error ${error.code}${error.data !== undefined ? `: ${JSON.stringify(error.data)}` : ''}` : null) };
}

function Form({ tool, given }) {
  const book = useMemo(() => bookOf(tool.inputSchema), [tool]);
  const [value, setValue] = useState(() => given ?? initial(book.root, book, true) ?? {});
  const [text, setText] = useState(() => JSON.stringify(value, null, 2));
  const [wrongJson, setWrongJson] = useState('');
  const [tried, setTried] = useState(false);
  const [run, setRun] = useState(/** @type {Run | null} */ (null));
  const [questions, setQuestions] = useState(/** @type {any} */ (null));
  const chosen = useMemo(() => new Map(), [tool]);
  const stop = useRef(/** @type {AbortController | null} */ (null));
  const results = useRef();
  useEffect(() => () => stop.current?.abort(), []);
  const wrong = useMemo(() => faults(book, value, chosen), [value]);
  const change = next => {
    setValue(next);
    setText(JSON.stringify(next, null, 2));
    setWrongJson('');
  };
  const type = e => {
    setText(e.target.value);
    try {
      setValue(JSON.parse(e.target.value));
      setWrongJson('');
    } catch (error) {
      setWrongJson(String(/** @type {any} */ (error).message));
    }
  };
  const start = async anyway => {
    setTried(true);
    if (wrongJson || (wrong.length && !anyway)) return;
    stop.current?.abort();
    const mine = (stop.current = new AbortController()), started = performance.now();
    const update = change => { if (mine === stop.current) setRun(before => /** @type {Run} */ ({ ...before, ...change })); };
    setQuestions(null);
    setRun({ phase: 'running', started, took: 0, progress: null, log: [], result: null, error: null, rounds: 1 });
    results.current?.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
    try {
      const result = await callTool({ name: tool.name, arguments: value, inputSchema: tool.inputSchema, capabilities: capabilities(), logLevel: settings.value.level || undefined }, {
        signal: mine.signal,
        onMessage: message => {
          if (message.method === 'notifications/progress') update({ progress: message.params });
          if (message.method === 'notifications/message') setRun(before => before && mine === stop.current ? { ...before, log: [...before.log, message.params].slice(-MOST_LINES) } : before);
        },
        ask: all => new Promise((answered, no) => {
          mine.signal.addEventListener('abort', () => no(new DOMException('cancelled', 'AbortError')), { once: true });
          const given = /** @type {Record<string, any>} */ ({}), open = /** @type {Record<string, Question>} */ ({});
          for (const [key, question] of Object.entries(all)) {
            if (question.method === 'roots/list') given[key] = { roots: roots() };
            else open[key] = question;
          }
          const done = responses => {
            setQuestions(null);
            setRun(before => before && { ...before, phase: 'running', rounds: before.rounds + 1 });
            answered({ ...given, ...responses });
          };
          if (Object.keys(open).length === 0) return done({});
          update({ phase: 'asking' });
          setQuestions({ all: open, done });
        }),
      });
      update({ phase: result.isError ? 'tool-error' : 'ok', result, took: performance.now() - started });
    } catch (error) {
      const cancelled = mine.signal.aborted;
      update({ phase: cancelled ? 'cancelled' : 'error', error: cancelled ? null : explained(error), took: performance.now() - started });
    }
    if (mine === stop.current) setQuestions(null);
  };
  const running = run?.phase === 'running' || run?.phase === 'asking';
  const shown = tried ? wrong : [];
  return html`<${Fragment}>
    <form class="two even" noValidate onSubmit=${e => { e.preventDefault(); start(false); }} onKeyDown=${e => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); start(false); } }}>
      <${Section} title="Arguments"><${Field} schema=${book.root} value=${value} onChange=${change} place="#" context=${{ book, faults: shown, chosen }} />
        ${book.broken && html`<p class="note">The page does not understand this schema (${book.broken}); the JSON beside is sent as it is.</p>`}
        <div class="run-bar"><button class="main" disabled=${running}>Run</button>${running && html`<button type="button" onClick=${() => stop.current?.abort()}>Cancel</button>`}
          ${tried && wrong.length > 0 && !running ? html`<span class="bad-text" role="status">${plural(wrong.length, 'field')} to look at, or <button type="button" class="link" onClick=${() => start(true)}>run anyway</button></span>` : html`<span class="note">Ctrl + Enter</span>`}</div>
      <//>
      <${Section} title="As JSON"><${Labelled} label="Arguments as JSON" hidden>${id => html`<textarea id=${id} class="mono json-edit" rows=${Math.min(24, Math.max(8, text.split('\n').length + 1))} value=${text} onInput=${type} spellcheck=${false} aria-invalid=${wrongJson !== ''}></textarea>`}<//>
        ${wrongJson && html`<p class="bad-text" role="alert">${wrongJson}</p>`}
        <${Elsewhere} tool=${tool} args=${value} />
        <${Settings} />
      <//>
    </form>
    <div ref=${results}>${run && html`<${Running} run=${run} tool=${tool} questions=${questions} />`}</div>
  <//>`;
}

export function Try() {
  const { rest, query } = place.value, name = rest[0] ?? '', id = query.get('call');
  // The list is another one when a server has come or gone.
  const ready = state.value?.servers.filter(row => row.state === 'ready').map(row => `${row.name} ${row.tools}`).join();
  const { value: tools, error, again } = useLoaded(listTools, [ready]);
  const { value: call, error: lost } = useLoaded(async () => (id ? await get(`calls/${id}`) : null), [id]);
  const wide = matchMedia('(min-width: 900px)').matches;
  const tool = tools?.find(one => one.name === name);
  return html`<${Fragment}>
    <${Head} title=${tool ? tool.title ?? tool.annotations?.title ?? name : 'Try a tool'} sub=${tool ? html`${(tool.title ?? tool.annotations?.title) && html`<code>${name}</code>`}${tool.description && html`<span class="tool-about">${tool.description}</span>`}` : 'Calls go the way that every client\'s calls go, as a client of 2026-07-28.'} />
    ${error && html`<${Failure} error=${explained(error)} again=${again} />`}
    ${!tools ? !error && html`<${Loading} what="the tools" />` : tools.length === 0 ? html`<${Empty} title="No server lists a tool yet.">Tools appear here as servers become ready; see the <a href="#/overview">overview</a>.<//>` : html`<div class="bench">
      <details class="picker-fold" key=${wide || name} open=${wide || !name}><summary>${name || 'Choose a tool'}</summary><${Picker} tools=${tools} current=${name} /></details>
      <div>${lost && html`<${Failure} error=${lost} />`}
      ${tool ? (!id || lost || String(call?.id) === id) && html`<${Form} key=${`${name}/${id}`} tool=${tool} given=${id ? call?.arguments : undefined} />` : name ? html`<${Empty} title=${`No tool is called ${name}.`}>Its server may be down, or its tools have changed; choose another.<//>` : html`<${Empty} title="Choose a tool.">A form is made from its schema. What the server asks for meanwhile is asked here.<//>`}</div>
    </div>`}
  <//>`;
}
