// How each client is told of this installation.
import { base } from '../api.js';
import { Fragment, html, useState } from '../html.js';
import { about, state } from '../live.js';
import { Choice, Head, Section, Snippet, Tabs, Words } from '../parts.js';

/** @typedef {{ file?: string, text: string, note?: string }} How */

const TOKEN = 'YOUR_TOKEN';
const json = (/** @type {unknown} */ value) => JSON.stringify(value, null, 2);

/** What each client wants to be told. Pure. @param {string} url @param {boolean} auth @returns {[string, string, How][]} */
export function snippets(url, auth) {
  const headers = auth ? { headers: { Authorization: `Bearer ${TOKEN}` } } : {};
  const sse = /\/sse$/.test(url), type = sse ? 'sse' : 'http';
  return [
    ['claude-code', 'Claude Code', { text: `claude mcp add --transport ${type} mcproxy ${url}${auth ? ` \\\n  --header "Authorization: Bearer ${TOKEN}"` : ''}`, note: 'In the directory of a project; `--scope user` for all of them.' }],
    ['claude-desktop', 'Claude Desktop', { file: 'claude_desktop_config.json', text: json({ mcpServers: { mcproxy: { command: 'mcproxy', args: ['connect', '--url', url], ...(auth && { env: { MCPROXY_TOKEN: TOKEN } }) } } }), note: 'Settings, Developer, Edit Config. It starts commands, so it is given one; write the whole path of `mcproxy` where it is not on the PATH.' }],
    ['cursor', 'Cursor', { file: '~/.cursor/mcp.json', text: json({ mcpServers: { mcproxy: { url, ...headers } } }) }],
    ['vscode', 'VS Code', { file: '.vscode/mcp.json', text: json({ servers: { mcproxy: { type, url, ...headers } } }) }],
    ['codex', 'Codex', { file: '~/.codex/config.toml', text: `[mcp_servers.mcproxy]\nurl = "${url}"${auth ? '\nbearer_token_env_var = "MCPROXY_TOKEN"' : ''}` }],
    ['gemini', 'Gemini CLI', { file: '~/.gemini/settings.json', text: json({ mcpServers: { mcproxy: { [sse ? 'url' : 'httpUrl']: url, ...headers } } }) }],
    ['windsurf', 'Windsurf', { file: '~/.codeium/windsurf/mcp_config.json', text: json({ mcpServers: { mcproxy: { serverUrl: url, ...headers } } }) }],
    ['zed', 'Zed', { file: '~/.config/zed/settings.json', text: json({ context_servers: { mcproxy: { url, ...headers } } }) }],
    ['opencode', 'OpenCode', { file: 'opencode.json', text: json({ mcp: { mcproxy: { type: 'remote', url, enabled: true, ...headers } } }) }],
    ['stdio', 'Any, over stdio', { text: `mcproxy connect --url ${url}`, note: auth ? 'With the token in `MCPROXY_TOKEN`.' : 'For programs that start commands and nothing else.' }],
    ['curl', 'curl', { text: `curl -sN ${url} \\\n  -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \\\n  -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/list' \\${auth ? `\n  -H 'Authorization: Bearer ${TOKEN}' \\` : ''}\n  -d '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"curl","version":"0"},"io.modelcontextprotocol/clientCapabilities":{}}}}'` }],
  ];
}

/** What is behind an endpoint, in words. @param {string} path */
function meaning(path) {
  const group = path.match(/^\/groups\/([^/]+)/)?.[1], server = path.match(/^\/servers\/([^/]+)/)?.[1];
  const search = /\/search\//.test(path) ? ', found by three tools instead of listed' : '';
  return `${server ? `only ${server}, names without prefix` : group ? `the group ${group}` : 'all servers'}${search}${/\/sse$/.test(path) ? ', over HTTP+SSE for older clients' : ''}`;
}

export function Connect() {
  const [client, setClient] = useState('claude-code');
  const [path, setPath] = useState('/mcp');
  const told = about.value;
  const paths = [...(told?.endpoints ?? ['/mcp', '/sse']), ...(state.value?.servers.map(row => `/servers/${row.name}/mcp`) ?? [])];
  const root = told?.publicUrl ? told.publicUrl.replace(/\/(mcp\/?)?$/, '') : base;
  const url = root + path;
  const all = snippets(url, told?.auth ?? false);
  const [, name, how] = all.find(([key]) => key === client) ?? all[0];
  return html`<${Fragment}>
    <${Head} title="Connect" sub="One address for all tools. Choose what the client shall see, and where it is told." />
    <${Section} title="1. What it sees">
      <${Choice} label="Endpoint" value=${path} options=${[...new Set(paths)].map(p => [p, `${p}: ${meaning(p)}`])} onChange=${setPath} />
      <${Snippet} text=${url} label="The address" />
    <//>
    <${Section} title="2. Your client">
      <${Tabs} label="Client" tabs=${all.map(([key, title]) => [key, title])} value=${client} onChange=${setClient} />
      <div role="tabpanel" aria-label=${name} class="how">
        ${how.file && html`<p>In <code>${how.file}</code>:</p>`}
        <${Snippet} text=${how.text} label=${`Snippet for ${name}`} />
        ${how.note && html`<p class="note"><${Words} text=${how.note} /></p>`}
        ${told?.auth && html`<p class="note">In the place of <code>${TOKEN}</code>, a token of <code>auth.tokens</code>.</p>`}
      </div>
    <//>
    <${Section} title="3. Is it there?"><p class="calm">${state.value?.gateway?.sessions ? html`<a href="#/sessions">${state.value.gateway.sessions === 1 ? 'One session is' : `${state.value.gateway.sessions} sessions are`} open</a> just now.` : 'No session is open just now.'} A client shows up under <a href="#/sessions">Sessions</a> when it connects, and its calls under <a href="#/calls">Calls</a>.</p><//>
  <//>`;
}
