// An authorization server (oidc-provider) and an MCP server that wants its tokens, for the tests of logins.
//
//   node login.mjs PORT-OF-MCP PORT-OF-ISSUER [JSON]
//
// JSON: {ttl: seconds that a token lasts, grace: seconds for which a refresh token that was used may be used again}.
// Whoever opens the page is logged in at once as the account in its header `x-account`. The MCP server counts, at /counts.
import { createServer } from 'node:http';
import { load } from './packages.mjs';

const { Provider } = await load('oidc-provider');
const { createRemoteJWKSet, jwtVerify } = await load('jose');

const [port, issuerPort] = process.argv.slice(2, 4).map(Number);
const { ttl = 3600, grace = 0 } = JSON.parse(process.argv[4] ?? '{}');
const issuer = `http://127.0.0.1:${issuerPort}`;
const resource = `http://127.0.0.1:${port}/mcp`;
const counts = { calls: 0, refused: 0, tokens: 0, refreshes: 0, errors: 0 };

/** Keeps everything in memory. A refresh token counts as used only after `grace`. */
class Store {
  static all = new Map();
  static grants = new Map();
  constructor(model) {
    this.model = model;
  }
  key = id => `${this.model}:${id}`;
  async upsert(id, payload) {
    Store.all.set(this.key(id), payload);
    if (payload.uid) Store.all.set(`uid:${payload.uid}`, id);
    if (payload.grantId) Store.grants.set(payload.grantId, [...(Store.grants.get(payload.grantId) ?? []), this.key(id)]);
  }
  find = async id => Store.all.get(this.key(id));
  findByUid = async uid => this.find(Store.all.get(`uid:${uid}`));
  findByUserCode = async () => undefined;
  async consume(id) {
    const payload = Store.all.get(this.key(id));
    const used = () => { payload.consumed = Math.floor(Date.now() / 1000); };
    if (grace && this.model === 'RefreshToken') setTimeout(used, grace * 1000).unref();
    else used();
  }
  destroy = async id => void Store.all.delete(this.key(id));
  async revokeByGrantId(grantId) {
    for (const key of Store.grants.get(grantId) ?? []) Store.all.delete(key);
    Store.grants.delete(grantId);
  }
}

const provider = new Provider(issuer, {
  adapter: Store,
  clients: [
    {
      client_id: 'machine', client_secret: 'of-the-machine', grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
    },
    {
      client_id: 'registered', client_secret: 'by-hand', application_type: 'native', redirect_uris: ['http://127.0.0.1/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
    },
  ],
  cookies: { keys: ['of a test'] },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    revocation: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, asked) => {
        if (asked !== resource) throw new Error(`unknown resource ${asked}`);
        return {
          scope: 'tools more', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: ttl, jwt: { sign: { alg: 'RS256' } },
        };
      },
      useGrantedResource: () => true,
    },
  },
  scopes: ['offline_access', 'tools', 'more'],
  findAccount: (_, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: async () => true,
  rotateRefreshToken: true,
  pkce: { required: () => true },
  ttl: { AccessToken: ttl, ClientCredentials: ttl, RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 600 },
});
provider.on('grant.success', ctx => {
  counts.tokens += 1;
  if (ctx.oidc.params.grant_type === 'refresh_token') counts.refreshes += 1;
});
provider.on('grant.error', (_, error) => {
  counts.errors += 1;
  console.error(error.error, error.error_description, error.error_detail);
});

/** A person who agrees to everything. */
async function agree(request, response) {
  const { params, session } = await provider.interactionDetails(request, response);
  const accountId = session?.accountId ?? request.headers['x-account'] ?? 'alice';
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope('offline_access tools more');
  grant.addResourceScope(resource, 'tools more');
  const result = { login: { accountId }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const pages = provider.callback();
createServer((request, response) => {
  if (request.url.startsWith('/interaction/')) {
    agree(request, response).catch(error => response.writeHead(500).end(String(error)));
  } else pages(request, response);
}).listen(issuerPort, '127.0.0.1');

const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
const json = (response, status, body, headers = {}) =>
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));

async function serve(request, response) {
  const { pathname } = new URL(request.url, resource);
  if (pathname === '/counts') return json(response, 200, counts);
  if (pathname === '/.well-known/oauth-protected-resource/mcp') {
    return json(response, 200, { resource, authorization_servers: [issuer], scopes_supported: ['tools'] });
  }
  const challenge = more => ({
    'WWW-Authenticate': `Bearer ${more}resource_metadata="http://127.0.0.1:${port}/.well-known/oauth-protected-resource/mcp", scope="tools"`,
  });
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  let who;
  try {
    who = (await jwtVerify(token ?? '', keys, { issuer, audience: resource, clockTolerance: 0, typ: 'at+jwt' })).payload;
  } catch {
    counts.refused += 1;
    return json(response, 401, { error: 'invalid_token' }, challenge(token ? 'error="invalid_token", ' : ''));
  }
  if (request.method !== 'POST') return response.writeHead(405).end();
  let text = '';
  for await (const part of request) text += part;
  const { id, method, params } = JSON.parse(text);
  if (id === undefined) return response.writeHead(202).end();
  const result = answer => json(response, 200, { jsonrpc: '2.0', id, result: answer });
  switch (method) {
    case 'initialize':
      return result({ protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'login', version: '1' } });
    case 'ping':
      return result({});
    case 'tools/list':
      return result({ tools: ['whoami', 'more'].map(name => ({ name, inputSchema: { type: 'object' } })) });
    case 'tools/call':
      if (params.name === 'more' && !who.scope.split(' ').includes('more')) {
        return json(response, 403, { error: 'insufficient_scope' }, {
          'WWW-Authenticate': 'Bearer error="insufficient_scope", scope="tools more"',
        });
      }
      counts.calls += 1;
      return result({ content: [{ type: 'text', text: who.sub ?? who.client_id }] });
    default:
      return json(response, 200, { jsonrpc: '2.0', id, error: { code: -32601, message: 'no such method' } });
  }
}
createServer((request, response) => {
  serve(request, response).catch(error => json(response, 500, { error: String(error) }));
}).listen(port, '127.0.0.1');
