//! Calls that failed because their client could not be asked for something it had not declared.

use mcproxy_mcp::{ErrorCode, ErrorObject, RawObject, RawValue, undeclared::refused_in};
use serde_json::{Map, Value, json};

use crate::gateway::base::reply::Reply;

/// The error that such a call is to have (2026-07-28, missing required client capability), in the words that the server
/// found; `None`: it went well, or failed for another reason. A server of the legacy era does not know that error, but one
/// that cannot do without an answer repeats the refusal that it got.
pub(crate) fn missing_capability(reply: &Reply) -> Option<ErrorObject> {
    let text = match reply {
        Reply::Result(text) => text,
        Reply::Error(error) => &error.raw,
        Reply::Page(..) => return None,
    };
    let names = refused_in(text);
    if names.is_empty() {
        return None;
    }
    let object = RawObject::from_slice(text).ok()?;
    let message = match reply {
        Reply::Error(_) => object.get_string("message")?.into_owned(),
        Reply::Result(_) if object.get("isError").map(RawValue::get) == Some("true") => first_text(&object)?,
        // It got by without.
        Reply::Result(_) | Reply::Page(..) => return None,
    };
    let error = ErrorObject::new(ErrorCode::MISSING_CLIENT_CAPABILITY, message);
    Some(error.with("requiredCapabilities", required(&names)))
}

/// The same for a call that was refused until its user has visited pages, and whose client cannot show any.
pub(crate) fn cannot_open_pages(error: &[u8]) -> ErrorObject {
    let message = RawObject::from_slice(error).ok().and_then(|error| error.get_string("message").map(Into::into));
    let message: String = message.unwrap_or_default();
    let error = ErrorObject::new(ErrorCode::MISSING_CLIENT_CAPABILITY, message);
    error.with("requiredCapabilities", required(&["elicitation.url"]))
}

fn first_text(result: &RawObject<'_>) -> Option<String> {
    let content: Vec<Value> = serde_json::from_str(result.get("content")?.get()).ok()?;
    content.iter().find_map(|block| block["text"].as_str()).map(str::to_owned)
}

/// Names as members of client capabilities.
fn required(names: &[&str]) -> Value {
    let mut all = Map::new();
    for name in names {
        let (group, part) = name.split_once('.').map_or((*name, None), |(group, part)| (group, Some(part)));
        let group = all.entry(group).or_insert_with(|| json!({}));
        if let Some(part) = part {
            group[part] = json!({});
        }
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use mcproxy_mcp::undeclared::refusal;

    use super::*;

    fn of(reply: Reply) -> Option<(i64, String, Value)> {
        missing_capability(&reply).map(|error| (error.code.0, error.message, error.data.expect("data")))
    }

    #[test]
    fn what_failed_for_want_of_a_capability_says_which() {
        let words = format!("MCP error -32601: {} and {}", refusal("sampling"), refusal("elicitation.url"));
        let expected = Some((
            -32021,
            words.clone(),
            json!({"requiredCapabilities": {"sampling": {}, "elicitation": {"url": {}}}}),
        ));
        let error = json!({"code": -32603, "message": words}).to_string();
        assert_eq!(of(Reply::error(error.into())), expected);
        let result = |is_error: bool| json!({"isError": is_error, "content": [{"type": "image"}, {"type": "text", "text": words}]});
        assert_eq!(of(Reply::Result(result(true).to_string().into())), expected);
        assert_eq!(of(Reply::Result(result(false).to_string().into())), None, "it got by without");
        let other = r#"{"code":-32603,"message":"out of paper"}"#;
        assert_eq!(of(Reply::error(other.into())), None);
    }
}
