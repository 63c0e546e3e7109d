// The frame around the pages: navigation, the state of the connection, the token, announcements.
import { wantsToken } from './api.js';
import { Fragment, html, render, signal, useEffect, useState } from './html.js';
import { about, connect, connection, enter, failure, hasToken, leave, notice, state } from './live.js';
import { Calls } from './pages/calls.js';
import { Config } from './pages/config.js';
import { Connect } from './pages/connect.js';
import { Logs } from './pages/logs.js';
import { Overview } from './pages/overview.js';
import { Server } from './pages/server.js';
import { Sessions } from './pages/sessions.js';
import { Try } from './pages/try.js';
import { Empty, Head, Words } from './parts.js';
import { href, place } from './router.js';

const PAGES = /** @type {[string, string, any][]} */ ([
  ['overview', 'Overview', Overview], ['try', 'Try a tool', Try], ['calls', 'Calls', Calls], ['sessions', 'Sessions', Sessions],
  ['logs', 'Logs', Logs], ['config', 'Configuration', Config], ['connect', 'Connect', Connect],
]);

const Lost = () => html`<${Fragment}><${Head} title="There is no such page" /><${Empty} title="Nothing is at this address."><a href="#/overview">To the overview</a><//><//>`;

/** @returns {[string, any]} */
function page() {
  const { page, rest } = place.value;
  if (page === 'server' && rest[0]) return [rest[0], Server];
  const found = PAGES.find(([key]) => key === page);
  return found ? [found[1], found[2]] : ['Not found', Lost];
}

const THEME = 'mcproxy-theme', THEMES = ['auto', 'light', 'dark'];
const theme = signal(localStorage.getItem(THEME) ?? 'auto');

function paint() {
  const root = document.documentElement;
  if (theme.value === 'auto') delete root.dataset.theme;
  else root.dataset.theme = theme.value;
}

function Theme() {
  const next = () => {
    theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length];
    localStorage.setItem(THEME, theme.value);
    paint();
  };
  return html`<button type="button" class="plain" onClick=${next} title="Switch between the system's colours, light and dark">Colours: ${theme.value}</button>`;
}

function Nav() {
  const at = place.value.page, needs = state.value?.needs.length ?? 0;
  return html`<nav aria-label="Pages">
    <a class="brand" href="#/overview"><img src="icon.svg" alt="" width="22" height="22" /><span>MCProxy</span></a>
    <ul>${PAGES.map(([key, title]) => html`<li key=${key}><a href=${href(key)} aria-current=${at === key || (key === 'overview' && at === 'server') ? 'page' : undefined}>${title}${key === 'overview' && needs > 0 && html`<span class="badge" aria-label=${`${needs} need you`}>${needs}</span>`}</a></li>`)}</ul>
    <div class="foot">
      <p class=${`link-state ${connection.value}`}><i aria-hidden="true"></i>${{ live: 'Live', loading: 'Connecting…', lost: 'Connection lost' }[connection.value]}</p>
      <${Theme} />
      ${hasToken() && html`<button type="button" class="plain" onClick=${leave}>Forget the token${about.value?.principal ? ` of ${about.value.principal}` : ''}</button>`}
      <p class="version">${about.value ? `version ${about.value.version}` : ''}</p>
    </div>
  </nav>`;
}

function Token() {
  const [value, setValue] = useState('');
  const submit = e => {
    e.preventDefault();
    if (value) enter(value);
  };
  return html`<main id="main" class="gate"><form onSubmit=${submit}>
    <img src="icon.svg" alt="" width="40" height="40" />
    <h1 tabindex="-1">A token, please</h1>
    <p>This MCProxy asks who calls. Any token of <code>auth.tokens</code> in its configuration lets you look; acts need one that may administer.</p>
    <label for="token">Token</label>
    <input id="token" type="password" autocomplete="off" value=${value} aria-invalid=${wantsToken.value === 'wrong'} aria-describedby="token-note" onInput=${e => setValue(e.target.value)} />
    <p id="token-note" class=${wantsToken.value === 'wrong' ? 'bad-text' : 'note'} role="status">${wantsToken.value === 'wrong' ? 'MCProxy does not take this token. It may have been changed.' : 'Kept in this tab only, until you close it.'}</p>
    <button class="main" disabled=${!value}>Continue</button>
  </form></main>`;
}

function Frame() {
  const [title, Page] = page();
  const { page: name, rest } = place.value;
  useEffect(() => {
    document.title = `${title} · MCProxy`;
    scrollTo(0, 0);
    document.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
    // Who navigates by keyboard or by ear begins at the top of the new page.
    if (document.activeElement !== document.body) /** @type {any} */ (document.querySelector('main h1'))?.focus({ preventScroll: true });
  }, [name, rest[0]]);
  if (wantsToken.value) return html`<${Token} />`;
  return html`<${Fragment}>
    <a class="skip" href="#main" onClick=${e => { e.preventDefault(); /** @type {any} */ (document.querySelector('main h1'))?.focus(); }}>To the content</a>
    <${Nav} />
    <main id="main">
      ${connection.value === 'lost' && html`<div class="banner" role="status"><strong>${failure.value?.message ?? 'The connection was lost.'}</strong> <${Words} text=${failure.value?.remedy ?? 'The page tries again by itself.'} />${state.value ? ' What you see may be old.' : ''}</div>`}
      <${Page} key=${`${name}/${name === 'try' ? '' : rest[0] ?? ''}`} />
    </main>
    <div class="notices" role="status" aria-live="polite">${notice.value && html`<p class=${notice.value.bad ? 'bad' : ''}>${notice.value.text}</p>`}</div>
  <//>`;
}

addEventListener('keydown', event => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.key !== '/' || event.ctrlKey || event.metaKey || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
  const search = /** @type {HTMLElement | null} */ (document.querySelector('main .search'));
  if (search) {
    event.preventDefault();
    search.focus();
  }
});

paint();
const root = /** @type {HTMLElement} */ (document.getElementById('app'));
root.replaceChildren();
render(html`<${Frame} />`, root);
connect();
