// Who is connected.
import { get } from '../api.js';
import { count, NONE } from '../format.js';
import { Fragment, html, useEffect } from '../html.js';
import { act, mayAct, now } from '../live.js';
import { Empty, Failure, Head, Loading, Sure, Time, useLoaded } from '../parts.js';

/** @import { SessionRow } from '../types' */

export function Sessions() {
  const { value, error, again } = useLoaded(() => get('sessions'), []);
  const tick = Math.floor(now.value / 5000);
  useEffect(() => { if (value && !document.hidden) again(); }, [tick]);
  const end = async session => { if (await act({ act: 'endSession', session })) again(); };
  const sessions = /** @type {SessionRow[]} */ (value?.sessions ?? []);
  return html`<${Fragment}>
    <${Head} title="Sessions" sub="Clients of revisions up to 2025-11-25 hold a session. Those of 2026-07-28 have none; see their calls." />
    ${error && html`<${Failure} error=${error} again=${again} />`}
    ${!value ? !error && html`<${Loading} what="the sessions" />` : sessions.length === 0
      ? html`<${Empty} title="Nobody is connected."><a href="#/connect">Connect a client</a>: it takes one line for most.<//>`
      : html`<table class="rows sessions">
        <thead><tr><th scope="col">Client</th><th scope="col">Who</th><th scope="col">Endpoint</th><th scope="col" class="num">Revision</th><th scope="col" class="num">Since</th><th scope="col" class="num">Last used</th><th scope="col" class="num">Calls</th><th scope="col" class="num">Streams</th><th scope="col"><span class="unseen">Acts</span></th></tr></thead>
        <tbody>${sessions.map(session => html`<tr key=${session.id}>
          <th scope="row">${session.client?.name ?? 'not named'}<span class="dim">${session.client?.version ?? ''}</span></th>
          <td data-label="Who">${session.principal ?? html`<span class="zero">no token</span>`}<span class="dim mono">${session.id}</span></td>
          <td data-label="Endpoint" class="mono">${session.endpoint ?? NONE}<span class="dim">${session.transport ?? ''}</span></td>
          <td data-label="Revision" class="num">${session.era ?? NONE}</td>
          <td data-label="Since" class="num"><${Time} at=${session.since} /></td>
          <td data-label="Last used" class="num"><${Time} at=${session.lastUsed} /></td>
          <td data-label="Calls" class="num">${count(session.calls)}</td>
          <td data-label="Streams" class="num">${count(session.openStreams)}</td>
          <td class="row-acts"><${Sure} class="small" label="End" sure="End it?" disabled=${!mayAct.value} title=${mayAct.value ? 'Its client begins a new one with its next request.' : 'Your token may look, but not act.'} onClick=${() => end(session.id)} /></td>
        </tr>`)}</tbody>
      </table>`}
    ${value && value.total > sessions.length && html`<p class="note">${sessions.length} of ${count(value.total)} are shown.</p>`}
  <//>`;
}
