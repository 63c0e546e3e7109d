// The call of the form, for somewhere else. Pure.
import { meta } from './client.js';
import { headersOf } from './headers.js';

/** A text in a shell. @param {string} text */
const quoted = text => `'${text.replaceAll("'", "'\\''")}'`;

/** @param {{ url: string, name: string, args: any, inputSchema: any, auth: boolean }} call @returns {[string, string][]} what it is for, and the text */
export function snippetsOf({ url, name, args, inputSchema, auth }) {
  const params = { name, arguments: args, _meta: meta() };
  const headers = Object.entries({ 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream', ...headersOf('tools/call', params, inputSchema) });
  const curl = [
    `curl -sN ${quoted(url)}`, ...headers.map(([key, value]) => `-H ${quoted(`${key}: ${value}`)}`), ...(auth ? ['-H "Authorization: Bearer $MCPROXY_TOKEN"'] : []),
    `-d ${quoted(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }))}`,
  ].join(' \\\n  ');
  const cli = `mcproxy call ${quoted(name)} --args ${quoted(JSON.stringify(args))}`;
  const client = `import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const client = new Client({ name: 'my-client', version: '1' });
await client.connect(new StreamableHTTPClientTransport(new URL(${JSON.stringify(url)})${auth ? ", {\n  requestInit: { headers: { Authorization: `Bearer ${process.env.MCPROXY_TOKEN}` } },\n}" : ''}));
console.log(await client.callTool(${JSON.stringify({ name, arguments: args }, null, 2)}));
await client.close();`;
  return [['curl', curl], ['mcproxy call', cli], ['TypeScript', client]];
}
