//! The JSON-RPC messages that the load tool writes, and how it judges the answers.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{json, value::RawValue};

/// The version asked for.
pub(crate) const PROTOCOL: &str = "2025-11-25";

/// The revision whose requests stand for themselves.
pub(crate) const STATELESS: &str = "2026-07-28";

/// What every request of that revision says of its client; the first member of `params`.
pub(crate) const CLAIM: &str = concat!(
    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientInfo":{"name":"mcproxy-bench","version":"0"},"#,
    r#""io.modelcontextprotocol/clientCapabilities":{}},"#
);

/// One kind of call, repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    /// A tool that returns its text, at least as long as the tag.
    Echo {
        /// The tool's name.
        tool: String,
        /// Length of the text.
        bytes: usize,
    },
    /// A tool that returns a text of that many bytes, which begins with the tag.
    Sized {
        /// The tool's name.
        tool: String,
        /// Length of the text.
        bytes: usize,
    },
    /// All pages of `tools/list`.
    List {
        /// Fewer tools than this are an error.
        at_least: usize,
    },
}

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The caller's own answer.
    Right,
    /// A page of a list, of so many tools, and another to come.
    Page(usize, String),
    /// Somebody else's answer, or a damaged one.
    Wrong(String),
    /// An error.
    Failed(String),
}

#[derive(Deserialize)]
struct Answer<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolResult<'a> {
    #[serde(borrow)]
    content: Vec<Block<'a>>,
    #[serde(rename = "isError", default)]
    is_error: bool,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, default)]
    text: Cow<'a, str>,
}

#[derive(Deserialize)]
struct ToolList {
    tools: Vec<IgnoredAny>,
    #[serde(rename = "nextCursor")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Outline {
    id: Option<u64>,
    method: Option<IgnoredAny>,
}

/// The id of an answer; `None` for a request, a notification or something else.
pub(crate) fn answered_id(message: &[u8]) -> Option<u64> {
    let outline: Outline = serde_json::from_slice(message).ok()?;
    outline.id.filter(|_| outline.method.is_none())
}

/// The first message of a session.
pub(crate) fn initialize(id: u64) -> Vec<u8> {
    let client = json!({"name": "mcproxy-bench", "version": env!("CARGO_PKG_VERSION")});
    let params = json!({"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": params}).to_string().into_bytes()
}

/// The second.
pub(crate) const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// The version that an answer to `initialize` settles on.
pub(crate) fn negotiated(answer: &[u8]) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(answer).ok()?;
    Some(answer.pointer("/result/protocolVersion")?.as_str()?.to_owned())
}

impl Job {
    /// The same at one of several servers.
    pub(crate) fn at(&self, server: u64) -> Self {
        let named = |tool: &str| tool.replace("{}", &server.to_string());
        match self {
            Self::Echo { tool, bytes } => Self::Echo { tool: named(tool), bytes: *bytes },
            Self::Sized { tool, bytes } => Self::Sized { tool: named(tool), bytes: *bytes },
            Self::List { .. } => self.clone(),
        }
    }

    /// The header lines by which a client of 2026-07-28 repeats what the body says.
    pub(crate) fn headers(&self) -> String {
        let version = format!("MCP-Protocol-Version: {STATELESS}\r\n");
        match self {
            Self::Echo { tool, .. } | Self::Sized { tool, .. } => {
                format!("{version}Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\n")
            }
            Self::List { .. } => format!("{version}Mcp-Method: tools/list\r\n"),
        }
    }

    /// The request, with a claim ([`CLAIM`]) or an empty one. Tags and tool names hold nothing that JSON must escape.
    pub(crate) fn request(&self, id: u64, tag: &str, cursor: Option<&str>, claim: &str) -> String {
        match self {
            Self::Echo { tool, bytes } => format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{{claim}"name":"{tool}","arguments":{{"text":"{tag:x<bytes$}"}}}}}}"#
            ),
            Self::Sized { tool, bytes } => format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{{claim}"name":"{tool}","arguments":{{"bytes":{bytes},"tag":"{tag}"}}}}}}"#
            ),
            Self::List { .. } => {
                let cursor = cursor.map_or(String::new(), |cursor| format!(r#""cursor":{},"#, json!(cursor)));
                let params = format!("{cursor}{claim}");
                let params = params.trim_end_matches(',');
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list","params":{{{params}}}}}"#)
            }
        }
    }

    /// Whether `answer` is the one to the request of that id and tag. `before` counts the tools of earlier pages.
    pub(crate) fn judge(&self, id: u64, tag: &str, answer: &[u8], before: usize) -> Verdict {
        let answer: Answer<'_> = match serde_json::from_slice(answer) {
            Ok(answer) => answer,
            Err(error) => return Verdict::Wrong(format!("not a JSON-RPC answer: {error}")),
        };
        if let Some(error) = answer.error {
            return Verdict::Failed(error.get().to_owned());
        }
        if answer.id != Some(id) {
            return Verdict::Wrong(format!("the answer to {:?} instead of {id}", answer.id));
        }
        let result = answer.result.map_or("null", RawValue::get);
        match self {
            Self::Echo { bytes, .. } => judge_text(tag, (*bytes).max(tag.len()), result),
            Self::Sized { bytes, .. } => judge_text(tag, *bytes, result),
            Self::List { at_least } => match serde_json::from_str::<ToolList>(result) {
                Err(error) => Verdict::Failed(format!("not a list of tools: {error}")),
                Ok(ToolList { tools, next: Some(next) }) => Verdict::Page(before + tools.len(), next),
                Ok(ToolList { tools, next: None }) if before + tools.len() >= *at_least => Verdict::Right,
                Ok(list) => Verdict::Failed(format!("{} tools instead of {at_least}", before + list.tools.len())),
            },
        }
    }
}

fn judge_text(tag: &str, length: usize, result: &str) -> Verdict {
    let result: ToolResult<'_> = match serde_json::from_str(result) {
        Ok(result) => result,
        Err(error) => return Verdict::Failed(format!("not a tool's result: {error}")),
    };
    let text = result.content.first().map_or("", |block| &block.text);
    if result.is_error {
        return Verdict::Failed(text.to_owned());
    }
    if text.starts_with(tag) && text.len() == length {
        return Verdict::Right;
    }
    let start: String = text.chars().take(60).collect();
    Verdict::Wrong(format!("{} bytes beginning with `{start}` for the tag {tag}", text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> Job {
        Job::Echo { tool: "echo".into(), bytes: 6 }
    }

    fn answer(id: u64, text: &str) -> String {
        json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": text}]}}).to_string()
    }

    #[test]
    fn only_the_callers_own_text_is_right() {
        assert!(echo().request(7, "tag", None, "").ends_with(r#""arguments":{"text":"tagxxx"}}}"#));
        assert_eq!(echo().judge(7, "tag", answer(7, "tagxxx").as_bytes(), 0), Verdict::Right);
        for wrong in [answer(7, "gatxxx"), answer(8, "tagxxx"), answer(7, "tagxx"), "{".into()] {
            assert!(matches!(echo().judge(7, "tag", wrong.as_bytes(), 0), Verdict::Wrong(_)), "{wrong}");
        }
    }

    #[test]
    fn an_error_is_not_a_mixed_up_answer() {
        let rpc = r#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"no"}}"#;
        let tool = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"no"}],"isError":true}}"#;
        for failed in [rpc, tool] {
            assert!(matches!(echo().judge(7, "tag", failed.as_bytes(), 0), Verdict::Failed(_)), "{failed}");
        }
    }

    #[test]
    fn a_request_with_a_claim_is_json() {
        for job in [echo(), Job::Sized { tool: "t".into(), bytes: 3 }, Job::List { at_least: 1 }] {
            for cursor in [None, Some("a\"b")] {
                let claimed: serde_json::Value =
                    serde_json::from_str(&job.request(7, "tag", cursor, CLAIM)).expect("JSON");
                let version = &claimed["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
                assert_eq!(version, STATELESS, "{claimed}");
                assert!(serde_json::from_str::<serde_json::Value>(&job.request(7, "tag", cursor, "")).is_ok());
            }
        }
    }

    #[test]
    fn a_list_is_whole_after_its_last_page() {
        let job = Job::List { at_least: 3 };
        let page = r#"{"id":1,"result":{"tools":[{},{}],"nextCursor":"a"}}"#;
        assert_eq!(job.judge(1, "", page.as_bytes(), 0), Verdict::Page(2, "a".into()));
        let last = r#"{"id":2,"result":{"tools":[{}]}}"#;
        assert_eq!(job.judge(2, "", last.as_bytes(), 2), Verdict::Right);
        assert!(matches!(job.judge(2, "", last.as_bytes(), 1), Verdict::Failed(_)));
    }

    #[test]
    fn requests_of_the_server_are_not_answers() {
        assert_eq!(answered_id(br#"{"id":3,"method":"ping"}"#), None);
        assert_eq!(answered_id(br#"{"id":3,"result":{}}"#), Some(3));
    }
}
