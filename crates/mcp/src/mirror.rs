//! The HTTP headers that repeat parts of a request of 2026-07-28 (transports, standard headers and custom headers). Pure, but for
//! what is remembered of the tools.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde_json::value::RawValue;

use crate::{
    ProtocolVersion, RawArray, RawObject, header_value, meta, method,
    mirrored::{ANNOTATION, MirroredParam, mirrored_params},
};

/// Most tools whose calls repeat arguments in headers; those of further ones have to be learned by being refused.
const MAX_TOOLS: usize = 4096;

/// Which arguments the calls of which tools repeat, as far as the client's lists have told.
#[derive(Debug, Default)]
pub struct Mirror(HashMap<Box<str>, Vec<MirroredParam>>);

/// A tool that an HTTP client has to leave out, because its schema asks for headers that it cannot send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadTool {
    /// Its name.
    pub name: String,
    /// The defect of its annotation.
    why: &'static str,
}

impl fmt::Display for BadTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.escape_debug();
        write!(f, "the tool `{name}` cannot be used over HTTP: an `{ANNOTATION}` of its inputSchema {}", self.why)
    }
}

/// The content of a page of tools.
#[derive(Debug, Default)]
pub struct ToolsPage {
    /// Where the next one begins.
    pub next: Option<Box<RawValue>>,
    /// The tools to be left out.
    pub bad: Vec<BadTool>,
}

impl Mirror {
    /// Takes note of the result of a `tools/list`.
    pub fn learn(&mut self, result: &RawValue) -> ToolsPage {
        let Ok(result) = RawObject::from_raw(result) else { return ToolsPage::default() };
        let tools = result.get("tools").and_then(|raw| RawArray::from_raw(raw).ok()).unwrap_or_default();
        let mut bad = Vec::new();
        for tool in tools.0.into_iter().filter_map(|raw| RawObject::from_raw(raw).ok()) {
            let Some(name) = tool.get_string("name") else { continue };
            let (params, wrong) = tool.get("inputSchema").map(mirrored_params).unwrap_or_default();
            bad.extend(wrong.first().map(|wrong| BadTool { name: name.clone().into_owned(), why: wrong.why }));
            if params.is_empty() {
                self.0.remove(&*name);
            } else if self.0.len() < MAX_TOOLS || self.0.contains_key(&*name) {
                self.0.insert(name.into(), params);
            }
        }
        let next = result.get("nextCursor").filter(|cursor| cursor.get() != "null").map(ToOwned::to_owned);
        ToolsPage { next, bad }
    }

    /// The headers of a request. What a header cannot say is left out, and the other side refuses the request for it.
    pub fn headers(&self, request: &str, params: &RawObject<'_>) -> Vec<(String, String)> {
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

/// The result of a `tools/list` without these tools.
pub fn without(result: &RawValue, bad: &[BadTool]) -> Box<RawValue> {
    let mut members = RawObject::from_raw(result).unwrap_or_default();
    let tools = members.get("tools").and_then(|raw| RawArray::from_raw(raw).ok()).unwrap_or_default();
    let kept: Vec<&str> = tools.0.into_iter().filter(|tool| !is_among(tool, bad)).map(RawValue::get).collect();
    let kept = RawValue::from_string(format!("[{}]", kept.join(","))).expect("elements of an array are JSON");
    members.set("tools", &kept);
    members.to_raw()
}

/// Whether a tool, as a list has it, is one of these.
pub fn is_among(tool: &RawValue, bad: &[BadTool]) -> bool {
    !bad.is_empty() && name_of(tool).is_some_and(|name| bad.iter().any(|bad| bad.name == *name))
}

/// The name of a tool.
pub fn name_of(tool: &RawValue) -> Option<Cow<'_, str>> {
    RawObject::from_raw(tool).ok()?.get_string("name")
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
        assert_eq!(mirror.learn(&raw(&list)).next.map(|cursor| cursor.get().to_owned()).as_deref(), Some("\"c\""));
        let call = |mirror: &Mirror, arguments: &str| {
            headers(mirror, "tools/call", &format!(r#"{{"name":"t","arguments":{arguments}}}"#))
        };
        assert!(
            call(&mirror, r#"{"r":" eu","n":42}"#)
                .ends_with("Mcp-Name: t, Mcp-Param-Region: =?base64?IGV1?=, Mcp-Param-N: 42")
        );
        assert!(call(&mirror, r#"{"r":null,"n":[1]}"#).ends_with("Mcp-Name: t"));
        assert!(mirror.learn(&raw(r#"{"tools":[{"name":"t","inputSchema":{}}]}"#)).next.is_none());
        assert!(call(&mirror, r#"{"r":"eu"}"#).ends_with("Mcp-Name: t"), "the tool has changed");
    }

    #[test]
    fn tools_that_ask_for_headers_that_cannot_be_are_left_out() {
        let schema = |header: &str| format!(r#"{{"properties":{{"r":{{"type":"string","x-mcp-header":{header}}}}}}}"#);
        let list = raw(&format!(
            r#"{{"tools":[{{"name":"good","inputSchema":{}}},{{"name":"b\u0061d","inputSchema":{}}},{{"name":"plain"}},7],"n":1.50}}"#,
            schema("\"R\""),
            schema("\"a b\"")
        ));
        let page = Mirror::default().learn(&list);
        assert_eq!(page.bad.iter().map(|bad| bad.name.as_str()).collect::<Vec<_>>(), ["bad"]);
        assert!(page.bad[0].to_string().contains("`bad` cannot be used over HTTP"), "{}", page.bad[0]);
        let kept = without(&list, &page.bad);
        assert!(kept.get().contains("good") && kept.get().contains("plain") && !kept.get().contains("a b"), "{kept}");
        assert!(kept.get().ends_with(r#",7],"n":1.50}"#), "{kept}");
    }
}
