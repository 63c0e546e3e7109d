// A server on the npm package fastmcp, on stdio: the first era.
import { load } from './packages.mjs';

const { FastMCP } = await load('fastmcp');
const { z } = await load('zod');

const server = new FastMCP({ name: 'fastmcp-npm', version: '1.0.0' });
server.addTool({
  name: 'echo',
  description: 'Returns the text',
  parameters: z.object({ text: z.string() }),
  execute: async ({ text }) => text,
});
server.addTool({
  name: 'add',
  description: 'Adds two numbers',
  parameters: z.object({ a: z.number(), b: z.number() }),
  execute: async ({ a, b }) => String(a + b),
});
server.addResource({
  uri: 'note://one',
  name: 'note',
  mimeType: 'text/plain',
  load: async () => ({ text: 'A note of the npm server' }),
});
server.addPrompt({
  name: 'greet',
  description: 'Greets somebody',
  arguments: [{ name: 'name', required: true }],
  load: async ({ name }) => `Greet ${name}`,
});
await server.start({ transportType: 'stdio' });
