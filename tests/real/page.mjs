// The TypeScript SDK in a browser: uses a gateway over every transport and tells the test what came of it.
//
//   /page.html?gateway=http://127.0.0.1:PORT&token=TOKEN
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const query = new URLSearchParams(location.search);
const gateway = query.get('gateway');
const requestInit = { headers: { Authorization: `Bearer ${query.get('token')}` } };

async function use(transport, options = {}) {
  const client = new Client({ name: 'page', version: '1' }, options);
  await client.connect(transport, { timeout: 20_000 });
  const { tools } = await client.listTools();
  const answer = await client.callTool({ name: 'a__echo', arguments: { text: 'from a page' } });
  await client.close();
  return { tools: tools.map(tool => tool.name), text: answer.content[0].text };
}

const mcp = new URL('/mcp', gateway);
const ways = {
  http: () => use(new StreamableHTTPClientTransport(mcp, { requestInit })),
  modern: () =>
    use(new StreamableHTTPClientTransport(mcp, { requestInit }), { versionNegotiation: { mode: { pin: '2026-07-28' } } }),
  sse: () => use(new SSEClientTransport(new URL('/sse', gateway), { requestInit })),
  health: async () => (await fetch(new URL('/health', gateway), requestInit)).json(),
  // The refusal can be read, too, and what it wants.
  refused: async () => {
    const answer = await fetch(mcp, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' });
    return { status: answer.status, wants: answer.headers.get('www-authenticate') };
  },
};

const report = {};
for (const [name, way] of Object.entries(ways)) {
  try {
    report[name] = await way();
  } catch (error) {
    report[name] = { error: String(error) };
  }
}
await fetch('/report', { method: 'POST', body: JSON.stringify(report) });
