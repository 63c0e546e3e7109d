// The TypeScript SDK as a client that knows nothing but a URL, and signs in by itself when it is told to: discovery, registration, PKCE,
// and more scopes when a call needs them.
//
//   node sign-in.mjs http|modern URL [CLIENT]  < script.json
//
// CLIENT: the id that it was given; without one it registers itself.
//
// The script is an array of steps: {"name":…,"args":…}, tools to be called. One line of JSON for each: {"ok":<result>} or
// {"error":…}; at last {"granted":[<scopes of each token>],"registered":<number>}. `http` is the 1.x line of the SDK, `modern` the 2.x
// line, pinned to 2026-07-28.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const [kind, target, known] = process.argv.slice(2);
const modern = kind === 'modern';
const url = new URL(target);
const home = process.env.MCPROXY_REAL ?? fileURLToPath(new URL('../../target/real', import.meta.url));
const require = createRequire(`${home}/client.mjs`);
const load = path => import(pathToFileURL(require.resolve(path)));
const sdk = modern ? await load('@modelcontextprotocol/client') : {
  ...(await load('@modelcontextprotocol/sdk/client/index.js')),
  ...(await load('@modelcontextprotocol/sdk/client/streamableHttp.js')),
};

const callback = 'http://127.0.0.1:1/callback';
const kept = { granted: [], registered: 0, client: known && { client_id: known } };
let answered;

/** Follows a page's redirects as a browser does, up to the client's own address. */
async function browse(page) {
  const cookies = new Map();
  for (let at = new URL(page), steps = 0; steps < 20; steps += 1) {
    if (at.href.startsWith(callback)) return at;
    const cookie = [...cookies].map(pair => pair.join('=')).join('; ');
    const response = await fetch(at, { redirect: 'manual', headers: { cookie } });
    for (const set of response.headers.getSetCookie()) {
      const [name, value] = set.split(';')[0].split(/=(.*)/s);
      cookies.set(name, value);
    }
    const to = response.headers.get('location');
    if (!to) throw new Error(`${at}: ${response.status} ${await response.text()}`);
    at = new URL(to, at);
  }
  throw new Error(`${page} leads on and on`);
}

const provider = {
  redirectUrl: callback,
  clientMetadata: {
    client_name: 'mcproxy-test', redirect_uris: [callback], application_type: 'native', token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', ...(known ? [] : ['refresh_token'])], response_types: ['code'],
  },
  state: () => 'of-a-test',
  clientInformation: () => kept.client,
  saveClientInformation: client => {
    // Also called to note whose client it is.
    if (client.client_id !== kept.client?.client_id) kept.registered += 1;
    kept.client = client;
  },
  tokens: () => kept.tokens,
  saveTokens: tokens => {
    kept.tokens = tokens;
    kept.granted.push(tokens.scope);
  },
  redirectToAuthorization: async page => {
    answered = await browse(page);
  },
  saveCodeVerifier: verifier => {
    kept.verifier = verifier;
  },
  codeVerifier: () => kept.verifier,
};

const client = () => new sdk.Client(
  { name: 'mcproxy-test-sign-in', version: '1.0.0' },
  modern ? { versionNegotiation: { mode: { pin: '2026-07-28' } } } : {},
);
const transport = () => new sdk.StreamableHTTPClientTransport(url, { authProvider: provider });
const wantsLogin = error => error?.constructor?.name === 'UnauthorizedError' || wantsLogin.of(error);
wantsLogin.of = error => error?.cause !== undefined && wantsLogin(error.cause);
const finish = by => by.finishAuth(modern ? answered.searchParams : answered.searchParams.get('code'));

let [speaker, way] = [client(), transport()];
try {
  await speaker.connect(way);
} catch (error) {
  if (!wantsLogin(error)) throw error;
  await finish(way);
  [speaker, way] = [client(), transport()];
  await speaker.connect(way);
}
for (const { name, args } of JSON.parse(readFileSync(0, 'utf8'))) {
  const line = {};
  for (let tries = 0; tries < 2 && !('ok' in line); tries += 1) {
    try {
      line.ok = await speaker.callTool({ name, arguments: args ?? {} });
      delete line.error;
    } catch (error) {
      line.error = { message: error.message };
      if (!wantsLogin(error)) break;
      await finish(way);
    }
  }
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
process.stdout.write(`${JSON.stringify({ granted: kept.granted, registered: kept.registered })}\n`);
await speaker.close();
