// What the page decides without a browser: forms from schemas, headers from requests, calls for elsewhere. `node --test tests/real/ui-form.mjs`
import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.document = { baseURI: 'http://127.0.0.1:12009/ui/' };
globalThis.sessionStorage = { getItem: () => null };
const app = '../../src/gateway/ui/app';
const { bookOf, faults, initial, kindOf, optionsOf, resolve, variantOf, variantsOf, withoutNull } = await import(`${app}/form/schema.js`);
const { encode, headersOf, mirrored } = await import(`${app}/mcp/headers.js`);
const { snippetsOf } = await import(`${app}/mcp/snippets.js`);

const first = schema => {
  const book = bookOf(schema);
  return initial(book.root, book, true);
};
const places = (schema, value, chosen) => faults(bookOf(schema), value, chosen).map(({ place, text }) => `${place} ${text}`);

test('a form begins with defaults, constants and what is needed, and leaves the rest out', () => {
  const schema = {
    type: 'object', required: ['kind', 'at', 'list', 'flag', 'text'],
    properties: {
      kind: { const: 'point' }, at: { type: 'object', required: ['x'], properties: { x: { type: 'number', default: 1 }, y: { type: 'number' } } },
      list: { type: 'array', items: { type: 'string' } }, flag: { type: 'boolean' }, text: { type: 'string' }, other: { type: 'string' }, given: { type: 'integer', default: 7 }, nothing: { default: null },
    },
  };
  assert.deepEqual(first(schema), { kind: 'point', at: { x: 1 }, list: [], flag: false, given: 7 });
});

test('references are followed, also those that never end', () => {
  const tree = { $defs: { node: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, children: { type: 'array', items: { $ref: '#/$defs/node' } } } } }, $ref: '#/$defs/node' };
  const book = bookOf(tree), root = resolve(book.root, book);
  assert.deepEqual([kindOf(root), Object.keys(root.properties)], ['object', ['name', 'children']]);
  assert.equal(kindOf(resolve(root.properties.children.items, book)), 'object');
  assert.deepEqual(places(tree, { name: 'a', children: [{ name: 'b' }, {}] }), ['#/children/1/name is needed']);
  const endless = bookOf({ $ref: '#' });
  assert.equal(kindOf(resolve(endless.root, endless)), 'json');
  assert.deepEqual(faults(endless, {}), [], 'a schema that only the server understands is left to it');
  assert.equal(kindOf(resolve(bookOf({ $ref: 'https://example.org/elsewhere' }).root, bookOf({}))), 'json');
});

test('parts and conditions become one form', () => {
  const schema = {
    allOf: [{ properties: { a: { type: 'string' } }, required: ['a'] }, { properties: { b: { type: 'string' } } }],
    if: { properties: { a: { const: 'x' } }, required: ['a'] }, then: { properties: { c: { type: 'string' } }, required: ['c'] }, else: { properties: { d: { type: 'string' } } },
  };
  const book = bookOf(schema);
  assert.deepEqual(Object.keys(resolve(book.root, book, { a: 'x' }).properties), ['a', 'b', 'c']);
  assert.deepEqual(resolve(book.root, book, { a: 'x' }).required, ['a', 'c']);
  assert.deepEqual(Object.keys(resolve(book.root, book, { a: 'y' }).properties), ['a', 'b', 'd']);
});

test('what may be null is what it is otherwise, and may be left out', () => {
  const book = bookOf({});
  const kind = schema => kindOf(resolve(withoutNull(schema, book), book));
  assert.equal(kind({ anyOf: [{ type: 'string' }, { type: 'null' }], default: null }), 'string');
  assert.equal(kind({ type: ['null', 'integer'] }), 'integer');
  assert.equal(withoutNull({ anyOf: [{ type: 'string' }, { type: 'number' }, { type: 'null' }] }, book).anyOf.length, 2);
});

test('a choice of constants is a list to choose from, and other choices are forms of their own', () => {
  const book = bookOf({});
  assert.deepEqual(optionsOf({ enum: ['a', 2], enumNames: ['A'] }, book), [{ value: 'a', title: 'A' }, { value: 2, title: '2' }]);
  assert.deepEqual(optionsOf({ oneOf: [{ const: 'r', title: 'Red' }, { const: 'g' }] }, book).map(({ title }) => title), ['Red', 'g']);
  const variants = variantsOf({ oneOf: [{ title: 'A person', type: 'object', required: ['login'], properties: { login: { type: 'string' } } }, { type: 'object', required: ['kind'], properties: { kind: { const: 'team' } } }, { type: 'integer' }] }, book);
  assert.deepEqual(variants.map(({ title }) => title), ['A person', 'team', 'integer']);
  assert.deepEqual([variantOf(variants, book, { login: 'ann' }), variantOf(variants, book, { kind: 'team' }), variantOf(variants, book, 7), variantOf(variants, book, 'text')], [0, 1, 2, -1]);
});

test('what is wrong is said at its place, of the chosen form only', () => {
  const schema = {
    type: 'object', required: ['a/b'], additionalProperties: false,
    properties: {
      'a/b': { type: 'string', minLength: 2 }, mail: { type: 'string', format: 'email' }, n: { type: 'integer', maximum: 3 },
      who: { oneOf: [{ type: 'object', required: ['login'], properties: { login: { type: 'string' } } }, { type: 'object', required: ['team', 'size'], properties: { team: { type: 'string' } } }] },
    },
  };
  assert.deepEqual(places(schema, {}), ['#/a~1b is needed']);
  assert.deepEqual(places(schema, { 'a/b': 'x' }).map(text => text.split(' ')[0]), ['#/a~1b']);
  assert.equal(places(schema, { 'a/b': 'xy', mail: 'none', n: 4 }).length, 2);
  assert.deepEqual(places(schema, { 'a/b': 'xy', n: '4' }).length, 1);
  assert.deepEqual(places(schema, { 'a/b': 'xy', who: {} }), ['#/who is of none of the forms it may have']);
  assert.deepEqual(places(schema, { 'a/b': 'xy', who: {} }, new Map([['#/who', 1]])), ['#/who/team is needed', '#/who/size is needed']);
  assert.deepEqual(places(schema, { 'a/b': 'xy', other: 1 }), ['#/other is not known to this tool']);
  assert.deepEqual(places(schema, { 'a/b': 'xy', mail: 'ann@example.org', n: 3, who: { login: 'ann' } }), []);
});

test('requests repeat what they are and what tools want repeated', () => {
  for (const plain of ['us-west1', 'a b', '=?base64?', '']) assert.equal(encode(plain), plain);
  assert.equal(encode(' padded '), '=?base64?IHBhZGRlZCA=?=');
  assert.equal(encode('größe'), '=?base64?Z3LDtsOfZQ==?=');
  const schema = { properties: { r: { type: 'string', 'x-mcp-header': 'Region' }, at: { properties: { n: { type: 'integer', 'x-mcp-header': 'N' } } }, f: { type: 'number', 'x-mcp-header': 'F' }, l: { items: { type: 'string', 'x-mcp-header': 'L' } } } };
  assert.deepEqual(mirrored(schema), [[['r'], 'Mcp-Param-Region'], [['at', 'n'], 'Mcp-Param-N']]);
  assert.deepEqual(headersOf('tools/call', { name: 't', arguments: { r: ' eu', at: { n: 42 } } }, schema), {
    'MCP-Protocol-Version': '2026-07-28', 'Mcp-Method': 'tools/call', 'Mcp-Name': 't', 'Mcp-Param-Region': '=?base64?IGV1?=', 'Mcp-Param-N': '42',
  });
  assert.equal(headersOf('tools/call', { name: 't', arguments: { r: null } }, schema)['Mcp-Param-Region'], undefined);
});

test('a call for the shell keeps its quotes', () => {
  const all = Object.fromEntries(snippetsOf({ url: 'http://x/mcp', name: 'a__b', args: { text: "it's" }, inputSchema: {}, auth: true }));
  assert.match(all['mcproxy call'], /--args '\{"text":"it'\\''s"\}'/);
  assert.match(all.curl, /-H 'Mcp-Name: a__b'/);
  assert.match(all.curl, /Authorization: Bearer \$MCPROXY_TOKEN/);
});
