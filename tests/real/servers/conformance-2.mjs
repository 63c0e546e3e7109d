// The conformance server on the 2.x line of the TypeScript SDK: 2026-07-28, on stdio.
import { answers, capabilities } from './conformance.mjs';
import { load } from './packages.mjs';

const { Server, ProtocolError, ProtocolErrorCode, createRequestStateCodec, inputRequired } = await load(
  '@modelcontextprotocol/server',
);
const { serveStdio } = await load('@modelcontextprotocol/server/stdio');

/** Ends a tool's run because the client has to be asked first. */
class Unanswered extends Error {
  constructor(result) {
    super('the client has to be asked first');
    this.result = result;
  }
}

// The key lives as long as the process: a state of an earlier one is refused.
const codec = createRequestStateCodec({ key: crypto.getRandomValues(new Uint8Array(32)), ttlSeconds: 600 });

/** A tool runs again from its beginning in every round; what was answered in earlier ones is in the state. */
async function ask(requests, { stateful = false }, known, mcpReq) {
  Object.assign(known, mcpReq.inputResponses);
  const missing = Object.entries(requests).filter(([key]) => known[key] === undefined);
  if (missing.length === 0) return Object.fromEntries(Object.keys(requests).map(key => [key, known[key]]));
  const carries = stateful || Object.keys(known).length > 0;
  const requestState = carries ? await codec.mint({ known, round: crypto.randomUUID() }) : undefined;
  throw new Unanswered(inputRequired({ inputRequests: Object.fromEntries(missing), requestState }));
}

function server() {
  const server = new Server(
    { name: 'conformance-2', version: '1.0.0' },
    { capabilities, requestState: { verify: codec.verify } },
  );
  const changed = { tools: () => server.sendToolListChanged(), prompts: () => server.sendPromptListChanged() };
  for (const [method, answer] of Object.entries(answers)) {
    server.setRequestHandler(method, async ({ params }, { mcpReq }) => {
      const known = { ...mcpReq.requestState()?.known };
      const progressToken = mcpReq._meta?.progressToken;
      try {
        const result = await answer(params ?? {}, {
          ask: (requests, how) => ask(requests, how ?? {}, known, mcpReq),
          log: text => mcpReq.log('info', text),
          progress: async (progress, total) => {
            const params = { progressToken, progress, total };
            if (progressToken !== undefined) await mcpReq.notify({ method: 'notifications/progress', params });
          },
          changed: list => changed[list](),
        });
        if (result !== undefined) return result;
      } catch (stopped) {
        if (stopped instanceof Unanswered) return stopped.result;
        throw stopped;
      }
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Nothing of that name: ${method}`);
    });
  }
  return server;
}

serveStdio(server, { legacy: 'reject' });
