-- What the namespaces of `live.sql` say of tools, once the table of tools is filled: some inactive, one with another name, title,
-- description and annotations, one described otherwise.
INSERT INTO namespace_tool_mappings (namespace_uuid, tool_uuid, mcp_server_uuid, status)
  SELECT m.namespace_uuid, t.uuid, t.mcp_server_uuid, 'ACTIVE'
  FROM tools t JOIN namespace_server_mappings m ON m.mcp_server_uuid = t.mcp_server_uuid ON CONFLICT DO NOTHING;
UPDATE namespace_tool_mappings m SET status = 'INACTIVE' FROM tools t, namespaces n, mcp_servers s
  WHERE t.uuid = m.tool_uuid AND n.uuid = m.namespace_uuid AND s.uuid = t.mcp_server_uuid AND (t.name = 'get-env'
    OR (n.name = 'work' AND t.name IN ('write_file', 'delete_entities'))
    OR (n.name = 'default' AND s.name = 'playwright' AND t.name LIKE 'browser_f%'));
UPDATE namespace_tool_mappings m SET override_name = 'sum', override_title = 'Sum', override_description = 'Adds two numbers',
    override_annotations = '{"readOnlyHint": true}' FROM tools t, namespaces n, mcp_servers s
  WHERE t.uuid = m.tool_uuid AND n.uuid = m.namespace_uuid AND s.uuid = t.mcp_server_uuid
    AND n.name = 'default' AND s.name = 'everything' AND t.name = 'get-sum';
UPDATE namespace_tool_mappings m SET override_description = 'Reads one file of the notes' FROM tools t, namespaces n
  WHERE t.uuid = m.tool_uuid AND n.uuid = m.namespace_uuid AND n.name = 'work' AND t.name = 'read_text_file';
