//! The requests of a server to the client of a call, and the answers on their way back. Pure.

use std::borrow::Cow;

use bytes::Bytes;
use mcproxy_mcp::{
    ClientCapabilities, RawObject, RawValue, RequestId, json_string, meta, method, object_body, one_line, write_request,
};

use crate::gateway::{
    base::web_pages::{self, NoWebPage, PAGE_ID},
    rewrite::Splices,
    sessions::client_requests::Response,
};

/// Most things that one server may want at once.
const MAX_REQUESTS: usize = 64;

/// One thing that a server wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InputRequest {
    /// The server's name for it.
    pub(crate) key: String,
    /// The MCP method.
    pub(crate) method: String,
    params: String,
}

/// All that a server wants before it goes on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct InputRequests {
    pub(crate) wanted: Vec<InputRequest>,
    /// To be given back as it is: JSON.
    pub(crate) state: Option<String>,
}

impl InputRequests {
    /// Reads the payload of a `NeedsInput`. `None`: it is not what it should be.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let object = RawObject::from_slice(payload).ok()?;
        let requests = match object.get("inputRequests") {
            Some(raw) => RawObject::from_raw(raw).ok()?,
            None => RawObject::default(),
        };
        let mut wanted = Vec::new();
        for (key, raw) in requests.iter() {
            if wanted.len() == MAX_REQUESTS {
                return None;
            }
            let request = RawObject::from_raw(raw).ok()?;
            let method = request.get_string("method")?.into_owned();
            let params = request.get("params").map_or("{}", RawValue::get);
            object_body(params)?;
            wanted.push(InputRequest { key: key.to_owned(), method, params: params.to_owned() });
        }
        let state = object.get("requestState").map(|raw| raw.get().to_owned());
        Some(Self { wanted, state })
    }
}

impl InputRequest {
    /// One of our own; `params` is a JSON object.
    pub(crate) fn ours(key: &str, method: &str, params: String) -> Self {
        Self { key: key.to_owned(), method: method.to_owned(), params }
    }

    /// Whether a client of these features can give it.
    pub(crate) fn is_in(&self, features: ClientCapabilities) -> bool {
        match self.method.as_str() {
            method::SAMPLING => features.has("sampling", None),
            method::ROOTS_LIST => features.has("roots", None),
            method::ELICITATION if self.is_page() => features.has_pages(),
            method::ELICITATION => features.has_forms(),
            _ => false,
        }
    }

    /// The defect of the page that it wants visited, if it is one.
    pub(crate) fn no_web_page(&self) -> Option<NoWebPage> {
        web_pages::of_request(&self.method, &self.params)
    }

    /// The server's name of the page that the user is to visit, when it is one and has a name.
    pub(crate) fn page_id(&self) -> Option<String> {
        let params = RawObject::from_text(&self.params).ok().filter(|_| self.method == method::ELICITATION)?;
        params.get_string(PAGE_ID).map(Cow::into_owned)
    }

    fn is_page(&self) -> bool {
        RawObject::from_text(&self.params).is_ok_and(|params| params.get_string("mode").as_deref() == Some("url"))
    }

    /// The request to the client. Progress with it is reported under its id: the server's own token may be the one of another
    /// server as well. A page to visit has an id of its own up to 2025-11-25, and none after.
    pub(crate) fn to_request(&self, id: &RequestId) -> Bytes {
        let object = RawObject::from_text(&self.params).unwrap_or_default();
        let mut edits = Splices::of(&self.params);
        if let Some(token) = object.get_object("_meta").and_then(|meta| meta.get(meta::PROGRESS_TOKEN)) {
            edits.replace(token, id.as_json().to_owned());
        }
        if self.method == method::ELICITATION
            && self.is_page()
            // Some servers of 2026-07-28 write an empty one.
            && object.get_string(PAGE_ID).is_none_or(|id| id.is_empty())
        {
            let minted = json_string(&format!("mcproxy-{}", id.as_json().trim_matches('"')));
            edits.set(&object, PAGE_ID, minted.get());
        }
        let params = edits.finish();
        let mut out = Vec::new();
        write_request(&mut out, id, &self.method, &one_line(&params));
        out.into()
    }
}

/// The payload that a parked call goes on with.
pub(crate) fn to_answers(answers: &[(String, Response)]) -> Bytes {
    let members = answers.iter().map(|(key, response)| {
        let (kind, body) = match response {
            Response::Result(body) => ("result", body),
            Response::Error(body) => ("error", body),
        };
        format!("{}:{{\"{kind}\":{}}}", json_string(key).get(), String::from_utf8_lossy(body))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(",")).into()
}

/// The `inputResponses` of a call that is made again. `Err`: the client gave an error to that one.
pub(crate) fn to_responses(answers: &[(String, Response)]) -> Result<Box<RawValue>, String> {
    let mut members = Vec::new();
    for (key, response) in answers {
        match response {
            Response::Result(body) => {
                members.push(format!("{}:{}", json_string(key).get(), String::from_utf8_lossy(body)));
            }
            Response::Error(_) => return Err(key.clone()),
        }
    }
    Ok(RawValue::from_string(format!("{{{}}}", members.join(",")))
        .expect("keys and raw values between braces are JSON"))
}

#[cfg(test)]
mod tests {
    use mcproxy_mcp::{Message, parse};
    use proptest::prelude::*;

    use super::*;
    use crate::gateway::base::client_info::Client;

    fn features(capabilities: &str) -> ClientCapabilities {
        let text = format!(r#"{{"capabilities":{capabilities}}}"#);
        Client::read(&RawObject::from_text(&text).expect("an object")).features
    }

    fn wanted(method: &str, params: &str) -> InputRequest {
        InputRequest { key: "k".into(), method: method.into(), params: params.into() }
    }

    #[test]
    fn a_client_is_asked_only_for_what_it_declared() {
        let (form, page) = (wanted(method::ELICITATION, "{}"), wanted(method::ELICITATION, r#"{"mode":"url"}"#));
        let can = |capabilities| (form.is_in(features(capabilities)), page.is_in(features(capabilities)));
        assert_eq!(can("{}"), (false, false));
        assert_eq!(can(r#"{"elicitation":{}}"#), (true, false));
        assert_eq!(can(r#"{"elicitation":{"url":{}}}"#), (false, true));
        assert_eq!(can(r#"{"elicitation":{"form":{},"url":{}}}"#), (true, true));
        assert!(wanted(method::SAMPLING, "{}").is_in(features(r#"{"sampling":{}}"#)));
        assert!(!wanted("tools/call", "{}").is_in(ClientCapabilities(u16::MAX)));
    }

    #[test]
    fn a_page_gets_the_id_that_older_clients_need() {
        let id = RequestId::from(7);
        let text =
            |params| String::from_utf8(wanted(method::ELICITATION, params).to_request(&id).to_vec()).expect("text");
        assert!(text(r#"{"mode":"url","url":"u"}"#).contains(r#""elicitationId":"mcproxy-7""#));
        assert!(text(r#"{"mode":"url","elicitationId":""}"#).contains(r#""elicitationId":"mcproxy-7""#));
        assert!(text(r#"{"mode":"url","elicitationId":"x"}"#).contains(r#""elicitationId":"x""#));
        assert!(!text(r#"{"message":"m"}"#).contains("elicitationId"));
    }

    #[test]
    fn progress_is_reported_under_the_id_of_the_question() {
        let id = RequestId::from(7);
        let text = |params| String::from_utf8(wanted(method::SAMPLING, params).to_request(&id).to_vec()).expect("text");
        assert!(
            text(r#"{"n":1.50,"_meta":{"progressToken":"theirs","x":1}}"#)
                .contains(r#""params":{"n":1.50,"_meta":{"progressToken":7,"x":1}}"#)
        );
        assert!(text(r#"{"_meta":{"x":1}}"#).contains(r#""params":{"_meta":{"x":1}}"#), "nobody wants to hear of it");
    }

    #[test]
    fn answers_go_back_under_their_keys() {
        let answers = vec![
            ("a\"".to_owned(), Response::Result("{\"n\":1.50}".into())),
            ("b".to_owned(), Response::Error("{}".into())),
        ];
        assert_eq!(&to_answers(&answers)[..], br#"{"a\"":{"result":{"n":1.50}},"b":{"error":{}}}"#);
        assert_eq!(to_responses(&answers[..1]).expect("results").get(), r#"{"a\"":{"n":1.50}}"#);
        assert_eq!(to_responses(&answers).expect_err("an error"), "b");
    }

    proptest! {
        #[test]
        fn any_payload_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = InputRequests::read(&bytes);
        }

        #[test]
        fn what_is_read_makes_requests(keys in prop::collection::btree_set("\\PC{0,6}", 0..6), breaks in "[ \n]{0,3}") {
            let members: Vec<String> = keys.iter().map(|key| {
                format!("{}:{{\"method\":\"roots/list\",{breaks}\"params\":{{{breaks}}}}}", json_string(key).get())
            }).collect();
            let payload = format!("{{\"inputRequests\":{{{}}},\"requestState\":\"s\"}}", members.join(","));
            let requests = InputRequests::read(payload.as_bytes()).expect("it is well formed");
            prop_assert_eq!(requests.wanted.len(), keys.len());
            for wanted in requests.wanted {
                let request = wanted.to_request(&RequestId::from(1));
                prop_assert!(!request.contains(&b'\n'));
                let is_request = matches!(parse(&request), Ok(Message::Request { .. }));
                prop_assert!(is_request);
            }
        }
    }
}
