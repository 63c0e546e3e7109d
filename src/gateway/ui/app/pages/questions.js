// What a server asks for during a call: a form, a page to visit, an answer in a model's place.
import { html, useEffect, useMemo, useRef, useState } from '../html.js';
import { Field } from '../form/fields.js';
import { bookOf, faults, initial } from '../form/schema.js';
import { Field as Labelled, Folded } from '../parts.js';
import { Content } from './result.js';

/** @import { Question } from '../mcp/client.js' */
/** @typedef {{ params: any, from: string, answer: (response: any) => void }} AskProps */

/** The question that waits is what the person is to see next. */
function useFocus() {
  const head = useRef();
  useEffect(() => { head.current?.focus(); }, []);
  return head;
}

/** @param {AskProps} props */
function Form({ params, from, answer }) {
  const book = useMemo(() => bookOf(params.requestedSchema), [params]);
  const [value, setValue] = useState(() => initial(book.root, book, true) ?? {});
  const [tried, setTried] = useState(false);
  const chosen = useMemo(() => new Map(), [params]);
  const head = useFocus(), wrong = faults(book, value, chosen);
  const submit = e => {
    e.preventDefault();
    setTried(true);
    if (wrong.length === 0) answer({ action: 'accept', content: value });
  };
  return html`<form onSubmit=${submit} noValidate>
    <h3 tabindex="-1" ref=${head}>${from} asks you</h3>
    <p class="q-message">${params.message}</p>
    <${Field} schema=${book.root} value=${value} onChange=${setValue} place="#" context=${{ book, faults: tried ? wrong : [], chosen }} />
    <p class="note">What you enter goes to this server. Do not give it a password.</p>
    <div class="acts"><button class="main">Answer</button><button type="button" onClick=${() => answer({ action: 'decline' })}>Decline</button><button type="button" onClick=${() => answer({ action: 'cancel' })}>Dismiss</button></div>
  </form>`;
}

/** @param {AskProps} props */
function Visit({ params, from, answer }) {
  const head = useFocus(), safe = /^https?:\/\//i.test(params.url ?? '');
  return html`<div>
    <h3 tabindex="-1" ref=${head}>${from} wants you to visit a page</h3>
    <p class="q-message">${params.message}</p>
    <p>${safe ? html`<a href=${params.url} target="_blank" rel="noopener noreferrer">${params.url}</a>` : html`<code>${params.url}</code>`}</p>
    <div class="acts"><button type="button" class="main" onClick=${() => answer({ action: 'accept' })}>I have been there</button><button type="button" onClick=${() => answer({ action: 'decline' })}>Decline</button></div>
  </div>`;
}

/** @param {AskProps} props */
function Sampling({ params, from, answer }) {
  const [text, setText] = useState('');
  const [model, setModel] = useState('a person');
  const head = useFocus();
  const submit = e => {
    e.preventDefault();
    answer({ role: 'assistant', model, stopReason: 'endTurn', content: { type: 'text', text } });
  };
  const facts = [params.maxTokens && `at most ${params.maxTokens} tokens`, params.temperature != null && `temperature ${params.temperature}`, params.modelPreferences?.hints?.length && `model like ${params.modelPreferences.hints.map(hint => hint.name).join(', ')}`].filter(Boolean).join(', ');
  return html`<form onSubmit=${submit}>
    <h3 tabindex="-1" ref=${head}>${from} asks for a completion</h3>
    <p class="note">You answer in the place of a model.${facts ? ` It wants ${facts}.` : ''}</p>
    ${params.systemPrompt && html`<div class="q-turn"><span>system</span><${Folded} text=${String(params.systemPrompt)} most=${800} label="System prompt" /></div>`}
    ${(params.messages ?? []).map((message, n) => html`<div key=${n} class="q-turn"><span>${message.role}</span><div>${[message.content].flat().map((block, at) => html`<${Content} key=${at} block=${block} />`)}</div></div>`)}
    <${Labelled} label="Your answer">${id => html`<textarea id=${id} rows="4" value=${text} onInput=${e => setText(e.target.value)}></textarea>`}<//>
    <${Labelled} label="Named as the model">${id => html`<input id=${id} value=${model} onInput=${e => setModel(e.target.value)} />`}<//>
    <div class="acts"><button class="main" disabled=${!text}>Answer</button></div>
  </form>`;
}

/** Asks the person for everything that a server wants to know, one after the other. @param {{ questions: Record<string, Question>, from: string, done: (responses: Record<string, any>) => void }} props */
export function Questions({ questions, from, done }) {
  const keys = Object.keys(questions);
  const [answers, setAnswers] = useState(/** @type {Record<string, any>} */ ({}));
  const key = keys.find(k => !(k in answers));
  if (key === undefined) return null;
  const { method, params = {} } = questions[key];
  const answer = response => {
    const all = { ...answers, [key]: response };
    setAnswers(all);
    if (keys.every(k => k in all)) done(all);
  };
  const Ask = method === 'sampling/createMessage' ? Sampling : params.mode === 'url' ? Visit : Form;
  return html`<div class="question">${keys.length > 1 && html`<p class="note">Question ${keys.indexOf(key) + 1} of ${keys.length}</p>`}<${Ask} key=${key} params=${params} from=${from} answer=${answer} /></div>`;
}
