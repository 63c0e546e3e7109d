//! A header that is there once, not at all, or more often than it can mean something.

use mcproxy_mcp::{ErrorCode, ErrorObject};

/// The value of a request's headers under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderValue<'r> {
    /// Nothing.
    Nothing,
    /// This.
    Once(&'r str),
    /// More than one thing, or something that is not text: another reader may see something else.
    Unclear,
}

/// Refuses a header that does not say what the body says; `read` turns its text into what it stands for.
pub(crate) fn agree<'t>(
    name: &str,
    header: HeaderValue<'t>,
    body: &str,
    read: impl FnOnce(&'t str) -> Option<&'t str>,
) -> Result<(), ErrorObject> {
    let why = match header {
        HeaderValue::Nothing => "is missing".to_owned(),
        HeaderValue::Unclear => "is not one plain value".to_owned(),
        HeaderValue::Once(text) => match read(text) {
            Some(meant) if meant == body => return Ok(()),
            Some(meant) => format!("says {:?}, but the body says {:?}", shown(meant), shown(body)),
            None => "is not properly encoded".to_owned(),
        },
    };
    Err(ErrorObject::new(ErrorCode::HEADER_MISMATCH, format_args!("the {name} header {why}")))
}

/// As much of a text as an error repeats.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(128).collect()
}
