//! Servers of 2026-07-28: every request stands for itself, and says in its `_meta` which version it is made in, by whom, and
//! what its client can be asked for.

use std::sync::LazyLock;

use mcproxy_ipc::data::CallContext;
use mcproxy_mcp::{
    ListKind, ProtocolVersion, RawArray, RawObject, RawValue, RequestId, Subject, json_string, meta, method,
    object_body, write_request,
};
use memchr::memmem::Finder;

use super::{
    introduction::Introduction,
    line::{self, BadPayload, OWN_INFO, declared_extensions, end_line},
};

/// The version that is spoken here.
pub(crate) const VERSION: ProtocolVersion = ProtocolVersion::V2026_07_28;
/// The id of the request that finds out the era is a text: a server that answers to anything else is known by that.
const PROBE: &str = "mcproxy-probe-";
/// The capabilities in requests of our own: all that can be carried to clients, because the lists of a server are for all of them.
const OWN_CAPABILITIES: &str = r#"{"sampling":{},"elicitation":{"form":{},"url":{}},"roots":{}}"#;

/// The announcements that a server is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Announcements {
    pub(crate) tools: bool,
    pub(crate) prompts: bool,
    pub(crate) resources: bool,
}

impl Announcements {
    /// Whether there are none.
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// Asks what the server speaks.
pub(crate) fn probe(out: &mut Vec<u8>, id: u64) {
    let start = out.len();
    let id = RequestId::from_raw(&json_string(&format!("{PROBE}{id}"))).expect("a text is an id");
    write_request(out, &id, method::DISCOVER, &own_params("{}", ""));
    end_line(out, start);
}

/// Which [`probe`] an answer belongs to.
pub(crate) fn probe_number(id: &RequestId) -> Option<u64> {
    id.as_json().strip_prefix('"')?.strip_prefix(PROBE)?.strip_suffix('"')?.parse().ok()
}

/// Asks whether the server lives.
pub(crate) fn ping(out: &mut Vec<u8>, id: u64) {
    own_request(out, id, method::DISCOVER, "");
}

/// Asks for a page of a list; `cursor` is a JSON string. `extensions`: those that clients are said to have.
pub(crate) fn list(out: &mut Vec<u8>, id: u64, kind: ListKind, cursor: Option<&str>, extensions: &[String]) {
    let start = out.len();
    let cursor = cursor.map(|cursor| format!("\"cursor\":{cursor},")).unwrap_or_default();
    let params = match declared_extensions(extensions) {
        None => own_params(OWN_CAPABILITIES, &cursor),
        Some(extensions) => {
            let rest = object_body(OWN_CAPABILITIES).unwrap_or_default();
            own_params(&format!("{{{rest},{extensions}}}"), &cursor)
        }
    };
    write_request(out, &id.into(), kind.method(), &params);
    end_line(out, start);
}

/// Asks to be told what changes.
pub(crate) fn listen<'s>(
    out: &mut Vec<u8>,
    id: u64,
    announcements: Announcements,
    subjects: impl Iterator<Item = &'s Subject>,
) {
    let Announcements { tools, prompts, resources } = announcements;
    let lists = [("toolsListChanged", tools), ("promptsListChanged", prompts), ("resourcesListChanged", resources)];
    let mut members: Vec<String> =
        lists.iter().filter(|(_, wanted)| *wanted).map(|(key, _)| format!("\"{key}\":true")).collect();
    let (mut uris, mut tasks) = (Vec::new(), Vec::new());
    for subject in subjects {
        match subject {
            Subject::Resource(uri) => uris.push(json_string(uri).get().to_owned()),
            Subject::Task(id) => tasks.push(json_string(id).get().to_owned()),
        }
    }
    for (key, texts) in [("resourceSubscriptions", &uris), ("taskIds", &tasks)] {
        if !texts.is_empty() {
            members.push(format!("\"{key}\":[{}]", texts.join(",")));
        }
    }
    // A server refuses to tell of tasks whom it does not know to take them (the tasks extension, task status notifications).
    let capabilities = match (tasks.is_empty(), object_body(OWN_CAPABILITIES)) {
        (false, Some(rest)) => format!("{{{rest},\"extensions\":{{\"{}\":{{}}}}}}", method::TASKS_EXTENSION),
        (true, _) | (false, None) => OWN_CAPABILITIES.to_owned(),
    };
    let start = out.len();
    let params = own_params(&capabilities, &format!("\"notifications\":{{{}}},", members.join(",")));
    write_request(out, &id.into(), method::LISTEN, &params);
    end_line(out, start);
}

/// Passes a call on, with what the server may know of the caller.
pub(crate) fn call(
    out: &mut Vec<u8>,
    id: u64,
    method: &str,
    payload: (&[u8], &[u8]),
    context: &CallContext,
) -> Result<(), BadPayload> {
    line::call(out, id, method, payload, |out, callers| {
        let info = callers.get(meta::CLIENT_INFO).map(RawValue::get).or(context.client_info.as_deref());
        let capabilities = context.client_capabilities.as_deref().unwrap_or("{}");
        out.extend_from_slice(claim(info, capabilities).as_bytes());
        out.push(b',');
        // To a client that begins with `initialize` and states no wish, a server sends what it has to say.
        let default = context.client.map(|_| "debug");
        if let Some(level) = context.log_level.as_deref().or(default) {
            out.extend_from_slice(format!("\"{}\":{},", meta::LOG_LEVEL, json_string(level).get()).as_bytes());
        }
    })
}

/// Writes a request of our own; `members` are its params, each followed by a comma.
fn own_request(out: &mut Vec<u8>, id: u64, method: &str, members: &str) {
    let start = out.len();
    write_request(out, &id.into(), method, &own_params(OWN_CAPABILITIES, members));
    end_line(out, start);
}

fn own_params(capabilities: &str, members: &str) -> String {
    format!("{{{members}\"_meta\":{{{}}}}}", claim(None, capabilities))
}

/// The members of `_meta` that every request must have; without `info` it is made by us.
fn claim(info: Option<&str>, capabilities: &str) -> String {
    format!(
        "\"{}\":\"{VERSION}\",\"{}\":{},\"{}\":{capabilities}",
        meta::PROTOCOL_VERSION,
        meta::CLIENT_INFO,
        info.unwrap_or(OWN_INFO),
        meta::CLIENT_CAPABILITIES,
    )
}

/// Reads the answer to `server/discover`.
pub(crate) fn read_discovery(result: &str) -> Introduction<'_> {
    let result = RawObject::from_text(result).unwrap_or_default();
    let info = result.get_object("_meta").and_then(|meta| meta.get(meta::SERVER_INFO));
    Introduction::read(&result, info)
}

/// The versions that a list of them names: `supportedVersions` of a result, or `data.supported` of -32022.
pub(crate) fn versions(list: Option<&RawValue>) -> Vec<String> {
    /// More than there will be for a while.
    const MOST: usize = 32;
    texts(list, MOST)
}

/// The texts of a list, at most so many; what is none is left out.
pub(crate) fn texts(list: Option<&RawValue>, most: usize) -> Vec<String> {
    let elements =
        list.and_then(|raw| RawArray::from_raw(raw).ok()).map_or_else(Vec::new, |RawArray(elements)| elements);
    elements.into_iter().take(most).filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect()
}

/// The subjects in a server's acknowledgment.
pub(crate) fn honoured(notifications: &RawObject<'_>) -> Vec<Subject> {
    let all = |key: &str| texts(notifications.get(key), usize::MAX).into_iter();
    all("resourceSubscriptions").map(Subject::Resource).chain(all("taskIds").map(Subject::Task)).collect()
}

/// Whether a result says what the server needs before it can give the real one: `input_required`.
pub(crate) fn needs_input(result: &[u8]) -> bool {
    static WORD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""input_required""#));
    // Most results do not hold the word at all, and are not parsed.
    WORD.find(result).is_some()
        && RawObject::from_slice(result)
            .is_ok_and(|result| result.get_string("resultType").as_deref() == Some("input_required"))
}

/// Which `subscriptions/listen` of ours a notification belongs to.
pub(crate) fn subscription(params: &RawObject<'_>) -> Option<u64> {
    RequestId::from_raw(params.get_object("_meta")?.get(meta::SUBSCRIPTION_ID)?).ok()?.as_u64()
}

#[cfg(test)]
mod tests {
    use mcproxy_mcp::{Message, parse};
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> serde_json::Value {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(out.iter().position(|b| *b == b'\n'), Some(out.len() - 1), "one line");
        serde_json::from_slice(&out).expect("JSON")
    }

    fn meta_of(message: &serde_json::Value, key: &str) -> serde_json::Value {
        message["params"]["_meta"][key].clone()
    }

    #[test]
    fn every_request_says_which_version_it_is_made_in_and_by_whom() {
        let requests = [
            written(|out| probe(out, 1)),
            written(|out| ping(out, 1)),
            written(|out| list(out, 1, ListKind::Tools, Some("\"c\""), &[])),
            written(|out| {
                let subjects = [Subject::Resource("a:b".to_owned())];
                listen(out, 1, Announcements { tools: true, ..Announcements::default() }, subjects.iter());
            }),
            written(|out| call(out, 1, "tools/call", (b"{}", b""), &CallContext::default()).expect("fits")),
        ];
        for request in requests {
            assert_eq!(meta_of(&request, meta::PROTOCOL_VERSION), "2026-07-28", "{request}");
            assert_eq!(meta_of(&request, meta::CLIENT_INFO)["name"], "mcproxy", "{request}");
            assert!(meta_of(&request, meta::CLIENT_CAPABILITIES).is_object(), "{request}");
        }
    }

    #[test]
    fn what_is_listed_is_for_clients_that_have_the_extensions_that_are_allowed() {
        let extensions = ["io.modelcontextprotocol/ui".to_owned(), "com.example/x".to_owned()];
        let request = written(|out| list(out, 1, ListKind::Tools, None, &extensions));
        let expected = serde_json::json!({
            "sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {}, "extensions": {
                "io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}, "com.example/x": {},
            },
        });
        assert_eq!(meta_of(&request, meta::CLIENT_CAPABILITIES), expected);
    }

    #[test]
    fn the_probe_is_known_by_its_id() {
        let request = written(|out| probe(out, 7));
        let id = RawValue::from_string(request["id"].to_string()).expect("JSON");
        assert_eq!(probe_number(&RequestId::from_raw(&id).expect("an id")), Some(7));
        assert_eq!(probe_number(&RequestId::from(7)), None);
    }

    #[test]
    fn a_call_tells_the_callers_own_and_nothing_it_made_up() {
        let context = CallContext {
            client_capabilities: Some(r#"{"sampling":{}}"#.to_owned()),
            log_level: Some("debug".to_owned()),
            ..CallContext::default()
        };
        let theirs = br#"{"traceparent":"t","io.modelcontextprotocol/protocolVersion":"1999-01-01","progressToken":"p",
            "io.modelcontextprotocol/clientInfo":{"name":"theirs"},"io.modelcontextprotocol/clientCapabilities":{"roots":{}}}"#;
        let request = written(|out| call(out, 9, "tools/call", (br#"{"name":"x"}"#, theirs), &context).expect("fits"));
        assert_eq!(request["params"]["name"], "x");
        let expected = serde_json::json!({
            "traceparent": "t", "progressToken": 9, meta::PROTOCOL_VERSION: "2026-07-28", meta::LOG_LEVEL: "debug",
            meta::CLIENT_INFO: {"name": "theirs"}, meta::CLIENT_CAPABILITIES: {"sampling": {}},
        });
        assert_eq!(request["params"]["_meta"], expected);
    }

    #[test]
    fn a_client_of_a_session_hears_log_lines_unless_it_wants_fewer_and_is_named_as_it_named_itself() {
        let mut context = CallContext {
            client: Some(mcproxy_ipc::SessionKey([1; 16])),
            client_info: Some(r#"{"name":"host","version":"1"}"#.to_owned()),
            ..CallContext::default()
        };
        let told = |context: &CallContext| {
            let request = written(|out| call(out, 9, "tools/call", (b"{}", b""), context).expect("fits"));
            (meta_of(&request, meta::LOG_LEVEL), meta_of(&request, meta::CLIENT_INFO))
        };
        let host = serde_json::json!({"name": "host", "version": "1"});
        assert_eq!(told(&context), ("debug".into(), host.clone()));
        context.log_level = Some("error".to_owned());
        assert_eq!(told(&context), ("error".into(), host));
        assert_eq!(told(&CallContext::default()).0, serde_json::Value::Null, "a request that stands for itself");
    }

    #[test]
    fn nothing_is_asked_for_that_nobody_wants_to_hear() {
        let mut subjects = vec![Subject::Resource("a:b".to_owned()), Subject::Resource("c\"".to_owned())];
        let request = written(|out| listen(out, 1, Announcements::default(), subjects.iter()));
        let expected = serde_json::json!({"resourceSubscriptions": ["a:b", "c\""]});
        assert_eq!(request["params"]["notifications"], expected);
        assert_eq!(meta_of(&request, meta::CLIENT_CAPABILITIES)["extensions"], serde_json::Value::Null);
        subjects = vec![Subject::Task("t".to_owned())];
        let request = written(|out| listen(out, 1, Announcements::default(), subjects.iter()));
        assert_eq!(request["params"]["notifications"], serde_json::json!({"taskIds": ["t"]}));
        let declared = meta_of(&request, meta::CLIENT_CAPABILITIES)["extensions"][method::TASKS_EXTENSION].clone();
        assert_eq!(declared, serde_json::json!({}));
    }

    #[test]
    fn only_the_results_own_word_counts() {
        assert!(needs_input(br#"{"resultType" : "input_required","requestState":"s"}"#));
        assert!(!needs_input(br#"{"resultType":"complete","content":[{"text":"\"input_required\""}]}"#));
        assert!(!needs_input(br#"{"content":"input_required"}"#));
        assert!(!needs_input(br#""input_required""#));
    }

    #[test]
    fn what_a_server_says_of_itself_is_read_from_where_the_specification_puts_it() {
        let text = r#"{"supportedVersions":["2026-07-28",3],"capabilities":{"tools":{"listChanged":true}},"instructions":"do",
            "_meta":{"io.modelcontextprotocol/serverInfo":{"name":"x","version":"1"}}}"#;
        let discovery = read_discovery(text);
        assert_eq!((discovery.name.as_str(), discovery.server_version.as_str()), ("x", "1"));
        assert!(discovery.capabilities.get("tools").is_some() && discovery.instructions_json == Some("\"do\""));
        let object = RawObject::from_text(text).expect("an object");
        assert_eq!(versions(object.get("supportedVersions")), ["2026-07-28"]);
        let nothing = read_discovery("[]");
        assert_eq!((nothing.info_json, nothing.capabilities_json, nothing.name.as_str()), ("{}", "{}", ""));
    }

    proptest! {
        #[test]
        fn every_call_is_one_line_and_one_message(breaks in "[ \r\n\t]{0,5}", level in "\\PC{0,8}", method in "\\PC{0,12}") {
            let params = format!("{{{breaks}\"k\"{breaks}:{breaks}\"v\"{breaks}}}");
            let context = CallContext { log_level: Some(level), ..CallContext::default() };
            let mut out = Vec::new();
            call(&mut out, 1, &method, (params.as_bytes(), b"{\"a\":1}"), &context).expect("objects");
            prop_assert_eq!(out.iter().position(|b| *b == b'\n'), Some(out.len() - 1));
            let is_request = matches!(parse(&out), Ok(Message::Request { params: Some(_), .. }));
            prop_assert!(is_request);
        }
    }
}
