-- One JSON object with what `mcproxy import metamcp` reads of MetaMCP's database. It only reads.
--
--   podman exec -i metamcp-pg psql -U metamcp_user -d metamcp_db -At < metamcp-export.sql > metamcp.json
--
-- Each row is taken whole (to_jsonb), so the columns are those that this version of MetaMCP has. The output holds secrets: keys of
-- clients, and variables, tokens and headers of servers. Keep it to yourself (umask 077) and delete it after the import.
SELECT jsonb_build_object(
  'format', 'mcproxy-metamcp-1',
  'users', (
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', to_jsonb(u) -> 'id', 'email', to_jsonb(u) -> 'email')), '[]')
    FROM users u),
  'servers', (
    SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.name, s.uuid), '[]')
    FROM mcp_servers s),
  'namespaces', (
    SELECT coalesce(jsonb_agg(to_jsonb(n) ORDER BY n.name, n.uuid), '[]')
    FROM namespaces n),
  'namespace_servers', (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'namespace_uuid', m.namespace_uuid, 'server_uuid', m.mcp_server_uuid, 'status', m.status)), '[]')
    FROM namespace_server_mappings m),
  -- Only what a namespace says of a tool: most rows say nothing.
  'namespace_tools', (
    SELECT coalesce(jsonb_agg(
      (to_jsonb(m) - 'uuid' - 'tool_uuid' - 'mcp_server_uuid' - 'created_at')
        || jsonb_build_object('server_uuid', m.mcp_server_uuid, 'tool', t.name) ORDER BY t.name, m.uuid), '[]')
    FROM namespace_tool_mappings m JOIN tools t ON t.uuid = m.tool_uuid
    WHERE m.status::text <> 'ACTIVE' OR EXISTS (
      SELECT FROM jsonb_each_text(to_jsonb(m)) AS said (name, value)
      WHERE said.name LIKE 'override%' AND said.value IS NOT NULL)),
  'endpoints', (
    SELECT coalesce(jsonb_agg(to_jsonb(e) ORDER BY e.name), '[]')
    FROM endpoints e),
  'api_keys', (
    SELECT coalesce(jsonb_agg(to_jsonb(k) - 'created_at' ORDER BY k.uuid), '[]')
    FROM api_keys k),
  'config', (
    SELECT coalesce(jsonb_object_agg(c.id, c.value), '{}')
    FROM config c),
  'oauth_tokens', (
    SELECT coalesce(jsonb_agg(jsonb_build_object('server_uuid', o.mcp_server_uuid)), '[]')
    FROM oauth_sessions o WHERE o.tokens IS NOT NULL)
);
