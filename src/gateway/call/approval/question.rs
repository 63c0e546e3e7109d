//! What a person is asked about a call, and the answer. Pure.

use mcproxy_ipc::{ApprovalDecision, MAX_APPROVAL_TEXT, MAX_SHOWN_ARGUMENTS, Remember, ServerName};
use mcproxy_mcp::{RawObject, json_string, one_line};
use serde_json::{Value, json};

use crate::gateway::{base::calls::without_secrets, catalogue::visible};

/// Longer arguments are not read to be shown, in bytes.
const MAX_READ: usize = 256 * 1024;
/// The member of the form.
const DECISION: &str = "decision";

/// The answers that a form offers, in its order. Clients show the words as they are.
const ANSWERS: [(&str, ApprovalDecision); 4] = [
    ("allow once", ApprovalDecision::Once),
    ("allow for this session", ApprovalDecision::Session),
    ("always allow", ApprovalDecision::Always),
    ("refuse", ApprovalDecision::Refuse),
];

/// A call, as people are shown it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApprovalQuestion<'q> {
    /// Who calls, if that is known.
    pub(crate) principal: Option<&'q str>,
    /// What its client says of itself.
    pub(crate) client: Option<&'q str>,
    /// Which server.
    pub(crate) server: &'q ServerName,
    /// Which tool of it.
    pub(crate) tool: &'q str,
    /// What [`shown_arguments`] made of its arguments.
    pub(crate) arguments: &'q str,
    /// How long an answer may count.
    pub(crate) remember: Remember,
}

impl ApprovalQuestion<'_> {
    /// The params of the `elicitation/create` that asks it: a form with one choice, which every client can show.
    pub(crate) fn to_params(self) -> String {
        let answers: Vec<&str> = self.offered().map(|(word, _)| word).collect();
        let principal = self.principal.map(|name| format!("`{}`", plain(name)));
        let client = self.client.map(plain);
        let by = match (principal, client) {
            (Some(principal), Some(client)) => format!("{principal} ({client})"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => "This client".to_owned(),
        };
        let message = format!(
            "{by} wants to call the tool `{}` of server `{}` with these arguments:\n{}",
            plain(self.tool),
            self.server,
            self.arguments
        );
        json!({
            "message": message,
            "requestedSchema": {
                "type": "object",
                "properties": { DECISION: { "type": "string", "title": "Decision", "enum": answers } },
                "required": [DECISION],
            },
        })
        .to_string()
    }

    /// The decision in a result of that request. Whatever is no choice of it is a refusal. `None`: it is no result at all.
    pub(crate) fn read(self, result: &RawObject<'_>) -> Option<ApprovalDecision> {
        let action = result.get_string("action")?;
        if action != "accept" {
            return Some(ApprovalDecision::Refuse);
        }
        let chosen = result.get_object("content").and_then(|content| content.get_string(DECISION).map(String::from));
        let found = self.offered().find(|(word, _)| chosen.as_deref() == Some(*word));
        Some(found.map_or(ApprovalDecision::Refuse, |(_, decision)| decision))
    }

    fn offered(self) -> impl Iterator<Item = (&'static str, ApprovalDecision)> {
        ANSWERS.into_iter().filter(move |(_, decision)| decision.remembered() <= self.remember)
    }
}

/// A text in one line that people can see all of, at most [`MAX_APPROVAL_TEXT`] bytes of it.
pub(crate) fn plain(text: &str) -> String {
    let text = visible(text).replace(['\n', '\r', '\t'], " ");
    cut(&text, MAX_APPROVAL_TEXT)
}

/// Arguments as people are shown them: JSON in one line, without secrets by name and form, without characters that people do not see
/// or that move others, and at most [`MAX_SHOWN_ARGUMENTS`] bytes of it, with a mark where something is missing.
pub(crate) fn shown_arguments(arguments: &str) -> String {
    if arguments.len() > MAX_READ {
        return format!("({} bytes, too long to be shown)", arguments.len());
    }
    let Some(masked) = without_secrets(arguments.as_bytes()) else { return "(no JSON)".to_owned() };
    let line = one_line(&masked);
    cut(&visible(&line), MAX_SHOWN_ARGUMENTS)
}

/// At most so many bytes of a text, with a mark that says how much there is.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mark = format!("… (cut: {} bytes in all)", text.len());
    format!("{}{mark}", &text[..text.floor_char_boundary(most.saturating_sub(mark.len()))])
}

/// The payload of the result that sends a client of 2026-07-28 away with this question, under this key.
pub(crate) fn to_need(key: &str, method: &str, params: &str) -> String {
    let (key, method) = (json_string(key), Value::from(method));
    format!("{{\"inputRequests\":{{{}:{{\"method\":{method},\"params\":{params}}}}}}}", key.get())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(remember: Remember, read: impl Fn(ApprovalQuestion<'_>)) {
        let server = ServerName::try_from("files").expect("a name");
        read(ApprovalQuestion {
            principal: Some("ann"),
            client: Some("editor 1.0"),
            server: &server,
            tool: "delete",
            arguments: r#"{"path":"/x"}"#,
            remember,
        });
    }

    #[test]
    fn a_person_is_told_who_wants_what_and_offered_what_may_be_answered() {
        let words = |remember| {
            let words = std::cell::RefCell::new(Vec::new());
            asked(remember, |question| {
                let params: Value = serde_json::from_str(&question.to_params()).expect("JSON");
                let message = params["message"].as_str().expect("a text");
                for part in ["`ann`", "editor 1.0", "`delete`", "`files`", r#"{"path":"/x"}"#] {
                    assert!(message.contains(part), "{message}");
                }
                let offered =
                    params["requestedSchema"]["properties"]["decision"]["enum"].as_array().expect("words").clone();
                words.borrow_mut().extend(offered.into_iter().filter_map(|word| word.as_str().map(str::to_owned)));
            });
            words.into_inner()
        };
        assert_eq!(words(Remember::Never), ["allow once", "refuse"]);
        assert_eq!(words(Remember::Session), ["allow once", "allow for this session", "refuse"]);
        assert_eq!(words(Remember::Always).len(), 4);
    }

    #[test]
    fn only_what_was_offered_allows_anything() {
        let read = |remember, result: &str| {
            let answer = std::cell::Cell::new(None);
            asked(remember, |question| answer.set(question.read(&RawObject::from_text(result).expect("an object"))));
            answer.get()
        };
        let accepted = |word: &str| format!(r#"{{"action":"accept","content":{{"decision":"{word}"}}}}"#);
        assert_eq!(read(Remember::Never, &accepted("allow once")), Some(ApprovalDecision::Once));
        assert_eq!(read(Remember::Session, &accepted("allow for this session")), Some(ApprovalDecision::Session));
        assert_eq!(read(Remember::Always, &accepted("always allow")), Some(ApprovalDecision::Always));
        for (remember, result) in [
            (Remember::Session, accepted("always allow")),
            (Remember::Never, accepted("allow for this session")),
            (Remember::Always, accepted("refuse")),
            (Remember::Always, accepted("yes")),
            (Remember::Always, r#"{"action":"accept"}"#.to_owned()),
            (Remember::Always, r#"{"action":"accept","content":{"decision":true}}"#.to_owned()),
            (Remember::Always, r#"{"action":"decline"}"#.to_owned()),
            (Remember::Always, r#"{"action":"cancel"}"#.to_owned()),
        ] {
            assert_eq!(read(remember, &result), Some(ApprovalDecision::Refuse), "{result}");
        }
        assert_eq!(read(Remember::Always, "{}"), None);
    }

    #[test]
    fn what_people_are_shown_hides_and_moves_nothing() {
        let shown = shown_arguments("{\"a\":\"x\u{202e}y\u{200b}z\\u001b[31m\\n\",\n\"password\":\"secret-word\"}");
        assert!(shown.contains("xyz") && !shown.contains("secret-word") && !shown.contains('\n'), "{shown}");
        let long = shown_arguments(&json!({"a": "ü".repeat(5000)}).to_string());
        assert!(long.len() <= MAX_SHOWN_ARGUMENTS && long.ends_with("(cut: 10008 bytes in all)"), "{long}");
        assert_eq!(shown_arguments(&" ".repeat(MAX_READ + 1)), "(262145 bytes, too long to be shown)");
        assert_eq!(shown_arguments("{"), "(no JSON)");
        assert_eq!(plain("a\nb\u{200b}"), "a b");
    }

    proptest! {
        #[test]
        fn any_arguments_are_shown_within_the_bound(text in ".{0,400}", key in "\\PC{0,8}") {
            let shown = shown_arguments(&json!({ key: text.repeat(8) }).to_string());
            prop_assert!(shown.len() <= MAX_SHOWN_ARGUMENTS && visible(&shown) == shown && !shown.contains('\n'));
            prop_assert!(plain(&text.repeat(4)).len() <= MAX_APPROVAL_TEXT);
        }
    }
}
