// The conformance server on the 1.x line of the TypeScript SDK: the first era, on stdio.
import { answers, capabilities } from './conformance.mjs';
import { load } from './packages.mjs';

const { Server } = await load('@modelcontextprotocol/sdk/server/index.js');
const { StdioServerTransport } = await load('@modelcontextprotocol/sdk/server/stdio.js');
const types = await load('@modelcontextprotocol/sdk/types.js');

const SCHEMAS = {
  'tools/list': types.ListToolsRequestSchema,
  'tools/call': types.CallToolRequestSchema,
  'prompts/list': types.ListPromptsRequestSchema,
  'prompts/get': types.GetPromptRequestSchema,
  'resources/list': types.ListResourcesRequestSchema,
  'resources/templates/list': types.ListResourceTemplatesRequestSchema,
  'resources/read': types.ReadResourceRequestSchema,
  'completion/complete': types.CompleteRequestSchema,
};

const RESULTS = {
  'elicitation/create': types.ElicitResultSchema,
  'sampling/createMessage': types.CreateMessageResultSchema,
  'roots/list': types.ListRootsResultSchema,
};

const server = new Server({ name: 'conformance-1', version: '1.0.0' }, { capabilities });

/** All questions go out at once, as requests within the call. */
async function ask(requests, extra) {
  const asked = Object.entries(requests).map(async ([key, request]) => [
    key,
    await extra.sendRequest(request, RESULTS[request.method]),
  ]);
  return Object.fromEntries(await Promise.all(asked));
}

for (const [method, answer] of Object.entries(answers)) {
  server.setRequestHandler(SCHEMAS[method], async ({ params }, extra) => {
    const notify = (method, params) => extra.sendNotification({ method, params });
    const progressToken = extra._meta?.progressToken;
    const result = await answer(params ?? {}, {
      ask: requests => ask(requests, extra),
      log: data => notify('notifications/message', { level: 'info', data }),
      progress: async (progress, total) => {
        if (progressToken !== undefined) await notify('notifications/progress', { progressToken, progress, total });
      },
      changed: list => notify(`notifications/${list}/list_changed`),
    });
    if (result === undefined) throw new types.McpError(types.ErrorCode.InvalidParams, `Nothing of that name: ${method}`);
    return result;
  });
}
for (const schema of [types.SubscribeRequestSchema, types.UnsubscribeRequestSchema]) {
  server.setRequestHandler(schema, () => ({}));
}
await server.connect(new StdioServerTransport());
