//! The result that sends a client away when a server wants something of it (2026-07-28, multi round-trip requests).

use std::borrow::Cow;

use bytes::Bytes;
use mcproxy_mcp::{RawObject, RawValue, json_string, method, required_elicitations};

use crate::gateway::base::{reply::Reply, web_pages::PAGE_ID};

/// Most pages that one call may want visited at once.
const MAX_PAGES: usize = 64;

/// The result that says what is wanted, under our `state` or the server's own. `None`: what it wants cannot be read.
pub(crate) fn input_required(need: &[u8], state: Option<&str>) -> Option<Reply> {
    let need = RawObject::from_slice(need).ok()?;
    let mut out = "{\"resultType\":\"input_required\"".to_owned();
    if let Some(requests) = need.get("inputRequests") {
        out.push_str(",\"inputRequests\":");
        out.push_str(&without_page_ids(requests));
    }
    let ours = state.map(json_string);
    if let Some(state) = ours.as_deref().or_else(|| need.get("requestState")) {
        out.push_str(",\"requestState\":");
        out.push_str(state.get());
    }
    out.push('}');
    Some(Reply::Result(out.into()))
}

/// The pages that a server wants visited, which refused a call until then (2025-11-25, elicitation, URL elicitation
/// required error), as the payload of a `NeedsInput`. `None`: the error says something else, or no page that can be visited.
pub(crate) fn pages_wanted(error: &[u8]) -> Option<Bytes> {
    let pages = required_elicitations(error);
    if pages.is_empty() || pages.len() > MAX_PAGES {
        return None;
    }
    let mut members = Vec::new();
    for (n, raw) in pages.into_iter().enumerate() {
        let page = RawObject::from_raw(raw).ok()?;
        if page.get_string("mode").is_some_and(|mode| mode != "url") {
            return None;
        }
        page.get_string("url")?;
        members.push(format!("\"r{}\":{{\"method\":\"{}\",\"params\":{}}}", n + 1, method::ELICITATION, raw.get()));
    }
    Some(format!("{{\"inputRequests\":{{{}}}}}", members.join(",")).into())
}

/// Whether the user agreed to all that was asked: the payload that a call goes on with.
pub(crate) fn agreed(answers: &[u8]) -> bool {
    RawObject::from_slice(answers).is_ok_and(|answers| {
        answers.iter().all(|(key, _)| {
            let result = answers.get_object(key).and_then(|answer| answer.get_object("result"));
            result.is_some_and(|result| result.get_string("action").as_deref() == Some("accept"))
        })
    })
}

fn without_page_ids(requests: &RawValue) -> Cow<'_, str> {
    if !requests.get().contains(PAGE_ID) {
        return Cow::Borrowed(requests.get());
    }
    let Ok(requests) = RawObject::from_raw(requests) else { return Cow::Borrowed(requests.get()) };
    let members = requests.iter().map(|(key, raw)| {
        let plain = without_page_id(raw);
        format!("{}:{}", json_string(key).get(), plain.as_deref().unwrap_or(raw).get())
    });
    Cow::Owned(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
}

/// One request without the name of its page, if it has one.
fn without_page_id(request: &RawValue) -> Option<Box<RawValue>> {
    let mut request = RawObject::from_raw(request).ok()?;
    let mut params = request
        .get_object("params")
        .filter(|_| request.get_string("method").as_deref() == Some(method::ELICITATION))?;
    params.remove(PAGE_ID)?;
    let params = params.to_raw();
    request.set("params", &params);
    Some(request.to_raw())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn result(need: &str, state: Option<&str>) -> String {
        let Some(Reply::Result(text)) = input_required(need.as_bytes(), state) else { panic!("{need}") };
        String::from_utf8(text.to_vec()).expect("text")
    }

    #[test]
    fn a_client_is_told_what_is_wanted_and_no_names_of_pages() {
        let need = r#"{"inputRequests":{"r1":{"method":"elicitation/create","params":{"mode":"url","url":"u","elicitationId":"e","n":1.50}},"r2":{"method":"roots/list"}},"requestState":"theirs"}"#;
        let wanted = r#""inputRequests":{"r1":{"method":"elicitation/create","params":{"mode":"url","url":"u","n":1.50}},"r2":{"method":"roots/list"}}"#;
        let expected = |state: &str| format!(r#"{{"resultType":"input_required",{wanted},"requestState":"{state}"}}"#);
        assert_eq!(result(need, None), expected("theirs"));
        assert_eq!(result(need, Some("ours")), expected("ours"));
        assert_eq!(result("{}", None), r#"{"resultType":"input_required"}"#);
        let other = r#"{"inputRequests":{"r1":{"method":"sampling/createMessage","params":{"elicitationId":7}}}}"#;
        assert!(result(other, None).contains(r#""elicitationId":7"#), "it means something else there");
        assert!(input_required(b"[]", None).is_none());
    }

    #[test]
    fn a_call_that_was_refused_for_its_pages_wants_them_visited() {
        let error =
            |code: i64, pages: &str| format!(r#"{{"code":{code},"message":"m","data":{{"elicitations":{pages}}}}}"#);
        let page = r#"{"mode":"url","elicitationId":"e","url":"https://x.example/","message":"Visit"}"#;
        let wanted = pages_wanted(error(-32042, &format!("[{page},{page}]")).as_bytes()).expect("pages");
        let text = result(std::str::from_utf8(&wanted).expect("text"), Some("s"));
        assert_eq!(text.matches(r#"{"mode":"url","url":"https://x.example/","message":"Visit"}"#).count(), 2, "{text}");
        for (code, pages) in [(-32042, "[]"), (-32042, "7"), (-32042, "[{}]"), (-32603, &*format!("[{page}]"))] {
            assert_eq!(pages_wanted(error(code, pages).as_bytes()), None, "{code} {pages}");
        }
        let many = vec![page; MAX_PAGES + 1].join(",");
        assert_eq!(pages_wanted(error(-32042, &format!("[{many}]")).as_bytes()), None);
    }

    #[test]
    fn agreed_is_what_was_accepted_altogether() {
        assert!(agreed(br#"{"r1":{"result":{"action":"accept"}}}"#));
        for not in [
            r#"{"r1":{"result":{"action":"accept"}},"r2":{"result":{"action":"decline"}}}"#,
            r#"{"r1":{"result":{}}}"#,
            r#"{"r1":{"error":{}}}"#,
            "[]",
        ] {
            assert!(!agreed(not.as_bytes()), "{not}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80), params in "(\\{\\}|3|\\{\"elicitationId\":1\\})", page in "(\\{\\}|\\{\"url\":\"u\"\\}|1)") {
            let _ = (pages_wanted(&bytes), agreed(&bytes), input_required(&bytes, Some("s")));
            let need = format!(r#"{{"inputRequests":{{"k":{{"method":"elicitation/create","params":{params}}}}}}}"#);
            prop_assert!(RawObject::from_text(&result(&need, Some("s"))).is_ok());
            let error = format!(r#"{{"code":-32042,"data":{{"elicitations":[{page}]}}}}"#);
            if let Some(wanted) = pages_wanted(error.as_bytes()) { prop_assert!(RawObject::from_slice(&wanted).is_ok()); }
        }
    }
}
