// An authorization server (oidc-provider) and nothing else: for tests in which MCProxy is the resource.
//
//   node authority.mjs PORT URL-OF-MCPROXY [JSON]
//
// JSON: {alg: how tokens are signed, ttl: seconds that a token lasts}.
// Whoever opens the page is logged in at once as `alice`, and agrees to what is asked for. Clients register themselves.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { load } from './packages.mjs';

const { Provider } = await load('oidc-provider');

const port = Number(process.argv[2]);
const base = process.argv[3];
const { alg = 'RS256', ttl = 3600 } = JSON.parse(process.argv[4] ?? '{}');
const issuer = `http://127.0.0.1:${port}`;
const scope = 'mcp:read mcp:write';

const key = (kid, used, type, options) =>
  ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), kid, alg: used, use: 'sig' });
const keys = [
  key('rsa', 'RS256', 'rsa', { modulusLength: 2048 }),
  key('ec', 'ES256', 'ec', { namedCurve: 'P-256' }),
  key('ed', 'EdDSA', 'ed25519', {}),
];

const provider = new Provider(issuer, {
  // One that was registered by hand: for all scopes, and without refresh tokens.
  clients: [{
    client_id: 'known', token_endpoint_auth_method: 'none', application_type: 'native', redirect_uris: ['http://127.0.0.1:1/callback'],
    grant_types: ['authorization_code'], response_types: ['code'],
  }],
  jwks: { keys },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'] },
  cookies: { keys: ['of a test'] },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, asked) => {
        if (asked !== base && !asked.startsWith(`${base}/`)) throw new Error(`unknown resource ${asked}`);
        return { scope, audience: asked, accessTokenFormat: 'jwt', accessTokenTTL: ttl, jwt: { sign: { alg } } };
      },
      useGrantedResource: () => true,
    },
  },
  scopes: ['offline_access', ...scope.split(' ')],
  findAccount: (_, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
  pkce: { required: () => true },
  ttl: { AccessToken: ttl, RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 600 },
});
provider.on('grant.error', (_, error) => console.error(error.error, error.error_description, error.error_detail));
provider.on('authorization.error', (_, error) => console.error(error.error, error.error_description, error.error_detail));
provider.on('registration_create.error', (_, error) => console.error(error.error, error.error_description));

/** A person who agrees to what is asked for. */
async function agree(request, response) {
  const { params, session } = await provider.interactionDetails(request, response);
  const accountId = session?.accountId ?? 'alice';
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope ?? '');
  for (const resource of [params.resource].flat().filter(Boolean)) grant.addResourceScope(resource, params.scope ?? '');
  const result = { login: { accountId }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const pages = provider.callback();
createServer((request, response) => {
  if (request.url.startsWith('/interaction/')) {
    agree(request, response).catch(error => response.writeHead(500).end(String(error)));
  } else pages(request, response);
}).listen(port, '127.0.0.1');
