// The TypeScript SDK as a client of one URL, driven by a test.
//
//   node client.mjs --transport http|sse|modern [--timeout MS] URL  < script.json
//
// `modern` is Streamable HTTP by the 2.x line of the SDK, which has found the server to be of 2026-07-28; the others are the 1.x line.
//
// The script is an array of steps: {"op":"listTools"} {"op":"call","name":…,"args":…} {"op":"listResources"}
// {"op":"listTemplates"} {"op":"read","uri":…} {"op":"listPrompts"} {"op":"prompt","name":…,"args":…} {"op":"complete",…}
// {"op":"ping"} {"op":"info"} {"op":"setLevel","level":…}. Lists are followed over all pages.
// One line of JSON per step: {"op":…,"ok":<result>} or {"op":…,"error":{"code":…,"message":…,"data":…}};
// "progress" (an array) is added to a call with "progress":true. Exit code 0 unless the session itself failed.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { transport: { type: 'string', default: 'http' }, timeout: { type: 'string', default: '60000' } },
});
const url = new URL(positionals[0]);
const timeout = Number(values.timeout);

// The packages live in target/real, not beside this file.
const home = process.env.MCPROXY_REAL ?? fileURLToPath(new URL('../../target/real', import.meta.url));
const require = createRequire(`${home}/client.mjs`);
const modern = values.transport === 'modern';
const load = path => import(pathToFileURL(require.resolve(path)));
const sdk = path => load(`@modelcontextprotocol/sdk/client/${path}`);
const { Client, ...rest } = await (modern ? load('@modelcontextprotocol/client') : sdk('index.js'));

async function transport() {
  if (modern) return new rest.StreamableHTTPClientTransport(url);
  if (values.transport === 'sse') {
    const { SSEClientTransport } = await sdk('sse.js');
    return new SSEClientTransport(url);
  }
  const { StreamableHTTPClientTransport } = await sdk('streamableHttp.js');
  return new StreamableHTTPClientTransport(url);
}

const client = new Client(
  { name: 'mcproxy-test-ts', version: '1.0.0' },
  modern ? { versionNegotiation: { mode: { pin: '2026-07-28' } } } : {},
);
const options = { timeout };

async function pages(list, key) {
  const items = [];
  let cursor;
  do {
    const page = await list(cursor === undefined ? {} : { cursor }, options);
    items.push(...page[key]);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return { [key]: items };
}

const steps = {
  info: async () => ({
    server: client.getServerVersion(),
    capabilities: client.getServerCapabilities(),
    instructions: client.getInstructions(),
  }),
  ping: () => client.ping(options),
  listTools: () => pages((p, o) => client.listTools(p, o), 'tools'),
  listResources: () => pages((p, o) => client.listResources(p, o), 'resources'),
  listTemplates: () => pages((p, o) => client.listResourceTemplates(p, o), 'resourceTemplates'),
  listPrompts: () => pages((p, o) => client.listPrompts(p, o), 'prompts'),
  read: step => client.readResource({ uri: step.uri }, options),
  prompt: step => client.getPrompt({ name: step.name, arguments: step.args }, options),
  complete: step => client.complete({ ref: step.ref, argument: step.argument }, options),
  setLevel: step => client.setLoggingLevel(step.level, options),
  call: (step, report) => {
    const how = { ...options, ...(step.progress ? { onprogress: p => report.push(p) } : {}) };
    const call = { name: step.name, arguments: step.args ?? {} };
    return modern ? client.callTool(call, how) : client.callTool(call, undefined, how);
  },
};

const script = JSON.parse(readFileSync(0, 'utf8'));
await client.connect(await transport(), options);
for (const step of script) {
  const line = { op: step.op };
  const report = [];
  try {
    if (!(step.op in steps)) throw new Error(`unknown step: ${step.op}`);
    line.ok = (await steps[step.op](step, report)) ?? null;
  } catch (error) {
    line.error = { code: error.code ?? null, message: error.message, data: error.data ?? null };
  }
  if (step.progress) line.progress = report;
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
await client.transport?.terminateSession?.().catch(() => {});
await client.close();
