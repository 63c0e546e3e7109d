//! What a request of 2026-07-28 repeats in its HTTP headers (transports, standard headers and custom headers). Pure, but for
//! what is remembered of the tools.

use std::collections::HashMap;

use mcproxy_mcp::{
    ProtocolVersion, RawArray, RawObject, RawValue, header_value, meta, method,
    mirrored::{MirroredParam, mirrored_params},
};

/// Most tools whose calls repeat arguments in headers; those of further ones have to be learned by being refused.
const MAX_TOOLS: usize = 4096;

/// Which arguments the calls of which tools repeat, as far as the client's lists have told.
#[derive(Debug, Default)]
pub(super) struct Mirror(HashMap<Box<str>, Vec<MirroredParam>>);

impl Mirror {
    /// Takes note of the result of a `tools/list`. Says where the next page begins.
    pub(super) fn learn(&mut self, result: &RawValue) -> Option<Box<RawValue>> {
        let result = RawObject::from_raw(result).ok()?;
        let tools = result.get("tools").and_then(|raw| RawArray::from_raw(raw).ok()).unwrap_or_default();
        for tool in tools.0.into_iter().filter_map(|raw| RawObject::from_raw(raw).ok()) {
            let Some(name) = tool.get_string("name") else { continue };
            let params = tool.get("inputSchema").map(|schema| mirrored_params(schema).0).unwrap_or_default();
            if params.is_empty() {
                self.0.remove(&*name);
            } else if self.0.len() < MAX_TOOLS || self.0.contains_key(&*name) {
                self.0.insert(name.into(), params);
            }
        }
        result.get("nextCursor").filter(|cursor| cursor.get() != "null").map(ToOwned::to_owned)
    }

    /// The headers of a request. What a header cannot say is left out, and the other side refuses the request for it.
    pub(super) fn headers(&self, request: &str, params: &RawObject<'_>) -> Vec<(String, String)> {
        let version = params.get_object("_meta").and_then(|meta| meta.get_string(meta::PROTOCOL_VERSION));
        let version = version.as_deref().unwrap_or(ProtocolVersion::V2026_07_28.as_str()).to_owned();
        let mut all = vec![("MCP-Protocol-Version".to_owned(), version), ("Mcp-Method".to_owned(), request.to_owned())];
        all.retain(|(_, value)| value.bytes().all(|b| b.is_ascii_graphic()));
        let subject = method::subject_of(request).and_then(|key| params.get_string(key));
        if let Some(subject) = &subject {
            all.push(("Mcp-Name".to_owned(), header_value::encode(subject).into_owned()));
        }
        if request == method::TOOLS_CALL
            && let Some(tool) = subject
            && let Some(arguments) = params.get("arguments")
        {
            for param in self.0.get(&*tool).into_iter().flatten() {
                if let Some(value) = param.value_in(arguments).and_then(plain) {
                    all.push((param.header().to_owned(), value));
                }
            }
        }
        all
    }
}

/// An argument as a header says it; `None`: of a type that none can.
fn plain(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first()? {
        b'{' | b'[' => None,
        b'"' => serde_json::from_str::<String>(value.get()).ok().map(|text| header_value::encode(&text).into_owned()),
        _ => Some(value.get().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    fn headers(mirror: &Mirror, request: &str, params: &str) -> String {
        let all = mirror.headers(request, &RawObject::from_text(params).expect("an object"));
        all.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn requests_repeat_what_they_are_and_what_they_are_about() {
        let mirror = Mirror::default();
        let claim = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        assert_eq!(
            headers(&mirror, "tools/list", &format!("{{{claim}}}")),
            "MCP-Protocol-Version: 2026-07-28, Mcp-Method: tools/list"
        );
        assert_eq!(
            headers(&mirror, "server/discover", "{}"),
            "MCP-Protocol-Version: 2026-07-28, Mcp-Method: server/discover"
        );
        let call = headers(&mirror, "prompts/get", &format!(r#"{{"name":"größe",{claim}}}"#));
        assert!(call.ends_with("Mcp-Name: =?base64?Z3LDtsOfZQ==?="), "{call}");
        assert!(headers(&mirror, "resources/read", r#"{"uri":"a+b:c"}"#).ends_with("Mcp-Name: a+b:c"));
        let odd = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"a\r\nb"}}"#;
        assert_eq!(headers(&mirror, "a b", odd), "");
    }

    #[test]
    fn calls_repeat_the_arguments_that_their_tools_name() {
        let mut mirror = Mirror::default();
        let schema = r#"{"properties":{"r":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"}}}"#;
        let list = format!(r#"{{"tools":[{{"name":"t","inputSchema":{schema}}},{{"name":"u"}},3],"nextCursor":"c"}}"#);
        assert_eq!(mirror.learn(&raw(&list)).map(|cursor| cursor.get().to_owned()).as_deref(), Some("\"c\""));
        let call = |mirror: &Mirror, arguments: &str| {
            headers(mirror, "tools/call", &format!(r#"{{"name":"t","arguments":{arguments}}}"#))
        };
        assert!(
            call(&mirror, r#"{"r":" eu","n":42}"#)
                .ends_with("Mcp-Name: t, Mcp-Param-Region: =?base64?IGV1?=, Mcp-Param-N: 42")
        );
        assert!(call(&mirror, r#"{"r":null,"n":[1]}"#).ends_with("Mcp-Name: t"));
        assert!(mirror.learn(&raw(r#"{"tools":[{"name":"t","inputSchema":{}}]}"#)).is_none());
        assert!(call(&mirror, r#"{"r":"eu"}"#).ends_with("Mcp-Name: t"), "the tool has changed");
    }
}
