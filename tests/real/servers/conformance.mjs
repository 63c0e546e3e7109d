// What the public conformance suite calls by name, without an SDK: conformance-1.mjs and conformance-2.mjs serve it.
//
// A tool gets its arguments and `io`: ask({key: {method, params}}, {stateful}) answers with what the client said, by key;
// log(text), progress(done, total) and changed(list) tell the client something.

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=';
const PAUSE_MS = 50;

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
const text = text => ({ type: 'text', text });
const says = words => ({ content: [text(words)] });
const image = { type: 'image', data: PNG, mimeType: 'image/png' };
const embedded = (uri, mimeType, words) => ({ type: 'resource', resource: { uri, mimeType, text: words } });
const string = (...names) => ({
  type: 'object',
  properties: Object.fromEntries(names.map(name => [name, { type: 'string' }])),
  required: names,
});

const form = (message, properties, required = Object.keys(properties)) => ({
  method: 'elicitation/create',
  params: { mode: 'form', message, requestedSchema: { type: 'object', properties, required } },
});
const sampling = (prompt, maxTokens = 100) => ({
  method: 'sampling/createMessage',
  params: { messages: [{ role: 'user', content: text(prompt) }], maxTokens },
});
const NAME = form('What is your name?', { name: { type: 'string' } });
const CONFIRM = form('Please confirm', { ok: { type: 'boolean' } });
const CAPITAL = sampling('What is the capital of France?');
const ROOTS = { method: 'roots/list', params: {} };

/** A tool that asks all of these at once, and says what it was told. */
const asking = (requests, how = {}) => async (_, io) => says(`state-ok ${JSON.stringify(await io.ask(requests, how))}`);

const OPTIONS = ['option1', 'option2', 'option3'];
const titled = noun =>
  ['First', 'Second', 'Third'].map((nth, index) => ({ const: `value${index + 1}`, title: `${nth} ${noun}` }));

const completes = (message, properties) => async (_, io) => {
  const { user } = await io.ask({ user: form(message, properties, []) });
  return says(`Elicitation completed: action=${user.action}, content=${JSON.stringify(user.content ?? {})}`);
};

const tools = {
  test_simple_text: [() => says('This is a simple text response for testing.')],
  test_image_content: [() => ({ content: [image] })],
  test_audio_content: [() => ({ content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] })],
  test_embedded_resource: [
    () => ({ content: [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')] }),
  ],
  test_multiple_content_types: [
    () => ({
      content: [
        text('Multiple content types test:'),
        image,
        embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
      ],
    }),
  ],
  test_error_handling: [
    () => ({ ...says('This tool intentionally returns an error for testing'), isError: true }),
  ],
  test_tool_with_logging: [
    async (_, io) => {
      for (const line of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        await io.log(line);
        await pause(PAUSE_MS);
      }
      return says('Logged three times');
    },
  ],
  test_logging_tool: [
    async (_, io) => {
      await io.log('a line');
      return says('Logged once');
    },
  ],
  test_tool_with_progress: [
    async (_, io) => {
      for (const done of [0, 50, 100]) {
        await io.progress(done, 100);
        await pause(PAUSE_MS);
      }
      return says('Reported three times');
    },
  ],
  test_reconnection: [
    async () => {
      await pause(10 * PAUSE_MS);
      return says('The call outlived its stream');
    },
  ],
  test_sampling: [
    async ({ prompt }, io) => {
      const { model } = await io.ask({ model: sampling(prompt) });
      return says(`LLM response: ${model.content.text}`);
    },
    string('prompt'),
  ],
  test_elicitation: [
    async ({ message }, io) => {
      const wanted = {
        username: { type: 'string', description: "User's response" },
        email: { type: 'string', description: "User's email address" },
      };
      const { user } = await io.ask({ user: form(message, wanted) });
      return says(`User response: action: ${user.action}, content: ${JSON.stringify(user.content ?? {})}`);
    },
    string('message'),
  ],
  test_elicitation_sep1034_defaults: [
    completes('Please fill in', {
      name: { type: 'string', default: 'John Doe' },
      age: { type: 'integer', default: 30 },
      score: { type: 'number', default: 95.5 },
      status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
      verified: { type: 'boolean', default: true },
    }),
  ],
  test_elicitation_sep1330_enums: [
    completes('Please choose', {
      untitledSingle: { type: 'string', enum: OPTIONS },
      titledSingle: { type: 'string', oneOf: titled('Option') },
      legacyEnum: {
        type: 'string',
        enum: ['opt1', 'opt2', 'opt3'],
        enumNames: ['Option One', 'Option Two', 'Option Three'],
      },
      untitledMulti: { type: 'array', items: { type: 'string', enum: OPTIONS } },
      titledMulti: { type: 'array', items: { anyOf: titled('Choice') } },
    }),
  ],
  test_input_required_result_elicitation: [asking({ user_name: NAME })],
  test_input_required_result_sampling: [asking({ capital_question: CAPITAL })],
  test_input_required_result_capabilities: [asking({ capital_question: CAPITAL })],
  test_missing_capability: [asking({ capital_question: CAPITAL })],
  test_input_required_result_list_roots: [asking({ client_roots: ROOTS })],
  test_input_required_result_request_state: [asking({ confirm: CONFIRM }, { stateful: true })],
  test_input_required_result_tampered_state: [asking({ confirm: CONFIRM }, { stateful: true })],
  test_streaming_elicitation: [asking({ confirm: CONFIRM })],
  test_input_required_result_multiple_inputs: [
    asking({ user_name: NAME, greeting: sampling('Generate a greeting', 50), client_roots: ROOTS }, { stateful: true }),
  ],
  test_input_required_result_multi_round: [
    async (_, io) => {
      const color = form('Step 2: What is your favorite color?', { color: { type: 'string' } });
      const { step1 } = await io.ask(
        { step1: form('Step 1: What is your name?', { name: { type: 'string' } }) },
        { stateful: true },
      );
      const { step2 } = await io.ask({ step2: color }, { stateful: true });
      return says(`state-ok ${JSON.stringify([step1, step2])}`);
    },
  ],
  test_trigger_tool_change: [
    async (_, io) => {
      await io.changed('tools');
      return says('The list of tools changed');
    },
  ],
  test_trigger_prompt_change: [
    async (_, io) => {
      await io.changed('prompts');
      return says('The list of prompts changed');
    },
  ],
  test_header_tool: [
    ({ region }) => says(`Region ${region}`),
    { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } }, required: ['region'] },
  ],
  json_schema_2020_12_tool: [
    args => says(JSON.stringify(args)),
    {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: {
        address: {
          $anchor: 'addressDef',
          type: 'object',
          properties: { street: { type: 'string' }, city: { type: 'string' } },
        },
      },
      properties: {
        name: { type: 'string' },
        address: { $ref: '#/$defs/address' },
        contactMethod: { type: 'string', enum: ['phone', 'email'] },
        phone: { type: 'string' },
        email: { type: 'string' },
      },
      allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
      if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
      then: { required: ['phone'] },
      else: { required: ['email'] },
      additionalProperties: false,
    },
  ],
};

const user = content => ({ role: 'user', content });
const argument = (name, description) => ({ name, description, required: true });

const prompts = {
  test_simple_prompt: [() => [user(text('This is a simple prompt for testing.'))]],
  test_prompt_with_arguments: [
    ({ arg1, arg2 }) => [user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
    [argument('arg1', 'First argument'), argument('arg2', 'Second argument')],
  ],
  test_prompt_with_embedded_resource: [
    ({ resourceUri }) => [
      user(embedded(resourceUri, 'text/plain', 'Embedded resource content for testing.')),
      user(text('Please process the embedded resource above.')),
    ],
    [argument('resourceUri', 'The resource to embed')],
  ],
  test_prompt_with_image: [() => [user(image), user(text('Please analyze the image above.'))]],
  test_input_required_result_prompt: [
    async (_, io) => {
      const question = form('What context should the prompt use?', { context: { type: 'string' } });
      return [user(text(JSON.stringify(await io.ask({ user_context: question }))))];
    },
  ],
};

const described = ([name]) => ({ name, description: `${name} of the conformance suite` });

/** Answers by method: the result, or undefined for what nobody has. */
export const answers = {
  'tools/list': () => ({
    tools: Object.entries(tools).map(entry => ({
      ...described(entry),
      inputSchema: entry[1][1] ?? { type: 'object', properties: {} },
    })),
  }),
  'tools/call': ({ name, arguments: args }, io) => tools[name]?.[0](args ?? {}, io),
  'prompts/list': () => ({
    prompts: Object.entries(prompts).map(entry => ({ ...described(entry), arguments: entry[1][1] ?? [] })),
  }),
  'prompts/get': async ({ name, arguments: args }, io) => {
    const messages = await prompts[name]?.[0](args ?? {}, io);
    return messages && { messages };
  },
  'resources/list': () => ({
    resources: [
      { uri: 'test://static-text', name: 'static text', mimeType: 'text/plain' },
      { uri: 'test://static-binary', name: 'static binary', mimeType: 'image/png' },
      { uri: 'test://watched-resource', name: 'watched', mimeType: 'text/plain' },
    ],
  }),
  'resources/templates/list': () => ({
    resourceTemplates: [{ uriTemplate: 'test://template/{id}/data', name: 'data', mimeType: 'application/json' }],
  }),
  'resources/read': ({ uri }) => {
    const content = read(uri);
    return content && { contents: [{ uri, ...content }] };
  },
  'completion/complete': ({ argument: { value } }) => {
    const values = ['testing', 'testValue1', 'tested'].filter(known => known.startsWith(value));
    return { completion: { values, total: values.length, hasMore: false } };
  },
};

function read(uri) {
  if (uri === 'test://static-text') {
    return { mimeType: 'text/plain', text: 'This is the content of the static text resource.' };
  }
  if (uri === 'test://static-binary') return { mimeType: 'image/png', blob: PNG };
  if (uri === 'test://watched-resource') return { mimeType: 'text/plain', text: 'Watched' };
  const id = /^test:\/\/template\/(.+)\/data$/.exec(uri)?.[1];
  if (id === undefined) return undefined;
  return { mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) };
}

export const capabilities = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  completions: {},
  logging: {},
};
