// A server on the 2.x line of the TypeScript SDK, on stdio. It speaks both eras; with --strict only 2026-07-28.
import { load } from './packages.mjs';

const { McpServer, acceptedContent, inputRequired } = await load('@modelcontextprotocol/server');
const { serveStdio } = await load('@modelcontextprotocol/server/stdio');
const { z } = await load('zod');

const says = text => ({ content: [{ type: 'text', text }] });

function server() {
  const server = new McpServer({ name: 'typescript', version: '1.0.0' }, { instructions: 'A server of the tests' });
  server.registerTool('echo', { description: 'Returns the text', inputSchema: z.object({ text: z.string() }) }, ({ text }) =>
    says(text),
  );
  server.registerTool(
    'add',
    { description: 'Adds two numbers', inputSchema: z.object({ a: z.number(), b: z.number() }) },
    ({ a, b }) => says(String(a + b)),
  );
  // In sessions of the first era the SDK turns the same question into a request of its own.
  server.registerTool('ask', { description: 'Asks for a name', inputSchema: z.object({}) }, (_, ctx) => {
    const requestedSchema = z.object({ name: z.string() });
    const answer = acceptedContent(ctx.mcpReq.inputResponses, 'name', requestedSchema);
    if (answer !== undefined) return says(`Hello, ${answer.name}`);
    const question = inputRequired.elicit({ message: 'What is your name?', requestedSchema });
    return inputRequired({ inputRequests: { name: question } });
  });
  server.registerResource('note', 'note://one', { description: 'A note', mimeType: 'text/plain' }, uri => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'A note of the TypeScript server' }],
  }));
  server.registerPrompt(
    'greet',
    { description: 'Greets somebody', argsSchema: z.object({ name: z.string() }) },
    ({ name }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Greet ${name}` } }] }),
  );
  return server;
}

serveStdio(server, { legacy: process.argv.includes('--strict') ? 'reject' : 'serve' });
