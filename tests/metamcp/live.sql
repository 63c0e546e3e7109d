-- Fills a database of MetaMCP, made by its own migrations, for `tests/metamcp/live`: twelve servers of all types, two namespaces with
-- inactive servers, two endpoints of which one wants a key, an active and an inactive key. psql's variables: :modules, :notes, :port.
INSERT INTO mcp_servers (name, type, command, args, env, url, bearer_token, headers) VALUES
  ('everything', 'STDIO', 'node', ARRAY[:'modules' || '/@modelcontextprotocol/server-everything/dist/index.js', 'stdio'], '{}', NULL, NULL, '{}'),
  ('files', 'STDIO', 'node', ARRAY[:'modules' || '/@modelcontextprotocol/server-filesystem/dist/index.js', :'notes'], '{}', NULL, NULL, '{}'),
  ('memory', 'STDIO', 'node', ARRAY[:'modules' || '/@modelcontextprotocol/server-memory/dist/index.js'],
    jsonb_build_object('MEMORY_FILE_PATH', :'notes' || '/memory.jsonl'), NULL, NULL, '{}'),
  ('notes_2', 'STDIO', 'node', ARRAY[:'modules' || '/@modelcontextprotocol/server-memory/dist/index.js'],
    jsonb_build_object('MEMORY_FILE_PATH', :'notes' || '/second.jsonl'), NULL, NULL, '{}'),
  ('playwright', 'STDIO', 'node', ARRAY[:'modules' || '/@playwright/mcp/cli.js', '--headless', '--isolated'], '{}', NULL, NULL, '{}'),
  ('github', 'STDIO', 'node', ARRAY[:'modules' || '/@modelcontextprotocol/server-everything/dist/index.js', 'stdio'],
    '{"GITHUB_TOKEN": "${GITHUB_TOKEN}"}', NULL, NULL, '{}'),
  ('search', 'STDIO', 'node', ARRAY[:'modules' || '/@modelcontextprotocol/server-everything/dist/index.js', 'stdio'],
    '{"SEARCH_API_KEY": "pplx-0123456789"}', NULL, NULL, '{}'),
  ('old', 'STDIO', 'node', ARRAY['/no/such/server.js'], '{}', NULL, NULL, '{}'),
  ('broken', 'STDIO', 'python3', ARRAY['-m', 'no.such.module'], '{}', NULL, NULL, '{}'),
  ('overhttp', 'STREAMABLE_HTTP', NULL, '{}', '{}', 'http://127.0.0.1:' || :port || '/mcp', 'a.token', '{"X-Extra": "one"}'),
  ('oversse', 'SSE', NULL, '{}', '{}', 'http://127.0.0.1:' || (:port + 1) || '/sse', NULL, '{}'),
  ('gone', 'STREAMABLE_HTTP', NULL, '{}', '{}', 'http://127.0.0.1:' || (:port + 9) || '/mcp', NULL, '{"X_API_KEY": "key-1234"}');
UPDATE mcp_servers SET error_status = 'ERROR' WHERE name = 'broken';
INSERT INTO namespaces (name) VALUES ('default'), ('work');
INSERT INTO namespace_server_mappings (namespace_uuid, mcp_server_uuid, status)
  SELECT n.uuid, s.uuid, (CASE WHEN n.name = 'default' AND s.name IN ('github', 'notes_2', 'old') THEN 'INACTIVE' ELSE 'ACTIVE' END)::mcp_server_status
  FROM namespaces n, mcp_servers s WHERE n.name = 'default' OR s.name IN ('github', 'files', 'overhttp', 'notes_2');
INSERT INTO endpoints (name, namespace_uuid, enable_api_key_auth, use_query_param_auth)
  SELECT CASE name WHEN 'default' THEN 'home' ELSE 'work' END, uuid, name = 'work', name = 'work' FROM namespaces;
INSERT INTO api_keys (name, key, is_active) VALUES
  ('laptop', 'sk_mt_EXAMPLE1EXAMPLE1EXAMPLE1EXAMPLE1EXAMPLE1EXAMPLE1EXAMPLE1EXAMPLE1', true),
  ('former', 'sk_mt_EXAMPLE2EXAMPLE2EXAMPLE2EXAMPLE2EXAMPLE2EXAMPLE2EXAMPLE2EXAMPLE2', false);
INSERT INTO config (id, value) VALUES ('MCP_TIMEOUT', '120000'), ('MCP_MAX_TOTAL_TIMEOUT', '600000') ON CONFLICT DO NOTHING;
