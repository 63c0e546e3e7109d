//! The headers that repeat arguments of a tool: the last check of `dialect/stateless/validate.rs`, which is made when the tool
//! that is called has been found.

use std::borrow::Cow;

use mcproxy_mcp::{
    ErrorCode, ErrorObject, RawValue, header_value,
    mirrored::{HEADER_PREFIX, MirroredParam},
};

use super::{
    header_value::{HeaderValue, agree},
    json_number::same_number,
};

/// Such headers of a request; most have none.
#[derive(Debug, Default)]
pub(crate) struct ParamHeaders(Vec<(Box<str>, Option<Box<str>>)>);

impl ParamHeaders {
    /// From all headers of a request, with what reads the text of a value; of one that is not text it is `None`.
    pub(crate) fn of<'r, V>(headers: impl Iterator<Item = (&'r str, V)>, text: impl Fn(V) -> Option<&'r str>) -> Self {
        let is_one =
            |name: &str| name.get(..HEADER_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(HEADER_PREFIX));
        let ours = headers.filter(|(name, _)| is_one(name));
        Self(ours.map(|(name, value)| (name.into(), text(value).map(Into::into))).collect())
    }

    /// Refuses a call whose headers say something else than its arguments. Headers that repeat no argument of this tool say
    /// nothing to us.
    pub(crate) fn check(&self, params: &[MirroredParam], arguments: Option<&RawValue>) -> Result<(), ErrorObject> {
        for param in params {
            let name = param.header();
            let value = arguments.and_then(|arguments| param.value_in(arguments)).filter(|value| is_plain(value));
            let stated = self.stated(name);
            match (value, stated) {
                (None, HeaderValue::Nothing) => {}
                (None, HeaderValue::Once(_) | HeaderValue::Unclear) => {
                    let message = format_args!("the {name} header repeats an argument that the call does not have");
                    return Err(ErrorObject::new(ErrorCode::HEADER_MISMATCH, message));
                }
                (Some(value), stated) => repeats(name, stated, value)?,
            }
        }
        Ok(())
    }

    fn stated(&self, name: &str) -> HeaderValue<'_> {
        let mut found = self.0.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        match (found.next(), found.next()) {
            (None, _) => HeaderValue::Nothing,
            (Some(Some(value)), None) => HeaderValue::Once(value),
            (Some(_), _) => HeaderValue::Unclear,
        }
    }
}

/// Whether a header can repeat it. What is of a type that it should not be is for the server to refuse.
fn is_plain(value: &RawValue) -> bool {
    !value.get().starts_with(['{', '['])
}

fn repeats(name: &str, stated: HeaderValue<'_>, value: &RawValue) -> Result<(), ErrorObject> {
    let said = match stated {
        HeaderValue::Once(text) => header_value::decode(text),
        HeaderValue::Nothing | HeaderValue::Unclear => None,
    };
    let body = match serde_json::from_str::<String>(value.get()) {
        Ok(text) => Cow::Owned(text),
        // A number is the same however it is written.
        Err(_) => match &said {
            Some(said) if same_number(said, value.get()) => Cow::Borrowed(&**said),
            Some(_) | None => Cow::Borrowed(value.get()),
        },
    };
    agree(name, stated, &body, |_| said.as_deref())
}

#[cfg(test)]
mod tests {
    use mcproxy_mcp::mirrored::mirrored_params;
    use proptest::prelude::*;

    use super::*;

    const SCHEMA: &str = r#"{"properties":{"s":{"type":"string","x-mcp-header":"Text"},"n":{"type":"integer","x-mcp-header":"Count"},
        "at":{"properties":{"b":{"type":"boolean","x-mcp-header":"Deep"}}}}}"#;

    fn check(headers: &[(&str, Option<&str>)], arguments: &str) -> Result<(), ErrorCode> {
        let schema = RawValue::from_string(SCHEMA.to_owned()).expect("JSON");
        let arguments = RawValue::from_string(arguments.to_owned()).expect("JSON");
        let headers = ParamHeaders::of(headers.iter().copied(), |text| text);
        headers.check(&mirrored_params(&schema).0, Some(&arguments)).map_err(|error| error.code)
    }

    #[test]
    fn a_header_says_what_its_argument_says_and_is_there_when_that_is() {
        let (text, count, deep) = ("mcp-param-text", "Mcp-Param-Count", "mcp-param-deep");
        for (headers, arguments) in [
            (&[][..], "{}"),
            (&[], r#"{"s":null,"n":null,"at":{"b":null}}"#),
            (&[(text, Some("x"))], r#"{"s":"x"}"#),
            (&[(text, Some("=?base64?SGVsbG8=?="))], r#"{"s":"Hello"}"#),
            (&[(text, Some("SGVsbG8="))], r#"{"s":"SGVsbG8="}"#),
            (&[(text, Some("=?base64?SGVsbG8="))], r#"{"s":"=?base64?SGVsbG8="}"#),
            (&[(text, Some(""))], r#"{"s":""}"#),
            (&[(count, Some("42"))], r#"{"n":42.0}"#),
            (&[(count, Some("42.0"))], r#"{"n":42}"#),
            (&[(deep, Some("true"))], r#"{"at":{"b":true}}"#),
            (&[("mcp-param-other", None)], "{}"),
            (&[], r#"{"s":["no text"],"n":{}}"#),
        ] {
            assert_eq!(check(headers, arguments), Ok(()), "{headers:?} {arguments}");
        }
        for (headers, arguments) in [
            (&[][..], r#"{"s":"x"}"#),
            (&[], r#"{"n":0}"#),
            (&[], r#"{"at":{"b":false}}"#),
            (&[(text, Some("x"))], "{}"),
            (&[(text, Some("null"))], r#"{"s":null}"#),
            (&[(text, None)], "{}"),
            (&[(text, Some("X"))], r#"{"s":"x"}"#),
            (&[(text, Some("x")), (text, Some("x"))], r#"{"s":"x"}"#),
            (&[(text, None)], r#"{"s":"x"}"#),
            (&[(text, Some("=?base64?SGVsbG8?="))], r#"{"s":"Hello"}"#),
            (&[(text, Some("=?base64?SGVs!!!bG8=?="))], r#"{"s":"Hello"}"#),
            (&[(count, Some("43"))], r#"{"n":42}"#),
            (&[(deep, Some("True"))], r#"{"at":{"b":true}}"#),
            (&[(text, Some("[]"))], r#"{"s":[]}"#),
        ] {
            assert_eq!(check(headers, arguments), Err(ErrorCode::HEADER_MISMATCH), "{headers:?} {arguments}");
        }
    }

    #[test]
    fn a_call_without_arguments_has_none_to_repeat() {
        let schema = RawValue::from_string(SCHEMA.to_owned()).expect("JSON");
        assert!(ParamHeaders::default().check(&mirrored_params(&schema).0, None).is_ok());
    }

    proptest! {
        #[test]
        fn what_a_client_encodes_is_accepted_and_nothing_else(said in ".{0,12}", meant in ".{0,12}", n in any::<i64>()) {
            let header = header_value::encode(&said);
            let arguments = |text: &str| format!("{{\"s\":{},\"n\":{n}}}", serde_json::to_string(text).expect("a string"));
            let count = n.to_string();
            let headers = [("mcp-param-text", Some(&*header)), ("mcp-param-count", Some(&*count))];
            prop_assert_eq!(check(&headers, &arguments(&said)), Ok(()));
            prop_assert_eq!(check(&headers, &arguments(&meant)).is_ok(), said == meant);
        }
    }
}
