//! The `_meta` of a request of this dialect (2026-07-28, basic, per-request protocol fields).

use std::rc::Rc;

use mcproxy_mcp::{ErrorCode, ErrorObject, Level, RawObject, RawValue, meta};

use crate::gateway::base::client_info;

/// The fields about the request and its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestMeta {
    /// The version that the request is made in, which may be any text.
    pub(crate) version: Box<str>,
    /// The client's capabilities, as a JSON object.
    pub(crate) capabilities: Box<str>,
    /// How much it wants to hear while the request is worked on.
    pub(crate) level: Option<Level>,
    /// The client's name and version, if it stated them.
    pub(crate) client: Option<Rc<str>>,
}

/// Keys for the gateway and not for the server that the request goes to: the worker writes its own. Who makes the
/// request, a server of this era may know, too.
const OURS: [&str; 3] = [meta::PROTOCOL_VERSION, meta::CLIENT_CAPABILITIES, meta::LOG_LEVEL];

/// Leaves in a `_meta` what is for the server.
pub(crate) fn take_request_meta(meta: &mut RawObject<'_>) {
    for key in OURS {
        meta.remove(key);
    }
}

/// Whether the `_meta` of a request names the version that the request is made in, as those of this dialect do and no others.
pub(crate) fn names_version(meta: Option<&RawObject<'_>>) -> bool {
    meta.is_some_and(|meta| meta.get(meta::PROTOCOL_VERSION).is_some())
}

impl RequestMeta {
    /// Reads the `_meta` of a request; whatever is missing or wrong makes the request malformed.
    pub(crate) fn read(meta: Option<&RawObject<'_>>) -> Result<Self, ErrorObject> {
        let meta = meta.ok_or_else(|| wrong("`params._meta` must be an object"))?;
        let version =
            meta.get_string(meta::PROTOCOL_VERSION).ok_or_else(|| must_be(meta::PROTOCOL_VERSION, "a string"))?;
        let is_object = |raw: &&RawValue| RawObject::from_raw(raw).is_ok();
        let capabilities = meta
            .get(meta::CLIENT_CAPABILITIES)
            .filter(is_object)
            .ok_or_else(|| must_be(meta::CLIENT_CAPABILITIES, "an object"))?;
        if meta.get(meta::CLIENT_INFO).is_some_and(|info| !is_object(&info)) {
            return Err(must_be(meta::CLIENT_INFO, "an object"));
        }
        let level = match meta.get(meta::LOG_LEVEL) {
            None => None,
            Some(_) => {
                let level = meta.get_string(meta::LOG_LEVEL).and_then(|text| Level::parse(&text));
                Some(level.ok_or_else(|| must_be(meta::LOG_LEVEL, "a log level"))?)
            }
        };
        let client = meta.get_object(meta::CLIENT_INFO).and_then(|info| client_info::label(&info));
        Ok(Self { version: version.into(), capabilities: capabilities.get().into(), level, client })
    }
}

fn must_be(key: &str, kind: &str) -> ErrorObject {
    wrong(&format!("`params._meta[\"{key}\"]` must be {kind}"))
}

fn wrong(message: &str) -> ErrorObject {
    ErrorObject::new(ErrorCode::INVALID_PARAMS, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(meta: &str) -> Result<RequestMeta, ErrorObject> {
        RequestMeta::read(RawObject::from_text(meta).ok().as_ref())
    }

    #[test]
    fn the_meta_of_a_request_is_complete_or_refused() {
        let meta_of_request = read(
            r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
                "io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},"io.modelcontextprotocol/logLevel":"error"}"#,
        );
        let expected = RequestMeta {
            version: "2026-07-28".into(),
            capabilities: r#"{"elicitation":{}}"#.into(),
            level: Some(Level::Error),
            client: None,
        };
        assert_eq!(meta_of_request, Ok(expected));
        for meta in [
            "3",
            "{}",
            r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#,
            r#"{"io.modelcontextprotocol/clientCapabilities":{}}"#,
            r#"{"io.modelcontextprotocol/protocolVersion":1,"io.modelcontextprotocol/clientCapabilities":{}}"#,
            r#"{"io.modelcontextprotocol/protocolVersion":"x","io.modelcontextprotocol/clientCapabilities":[]}"#,
            r#"{"io.modelcontextprotocol/protocolVersion":"x","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":"y"}"#,
            r#"{"io.modelcontextprotocol/protocolVersion":"x","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/logLevel":"loud"}"#,
        ] {
            assert_eq!(read(meta).expect_err(meta).code, ErrorCode::INVALID_PARAMS, "{meta}");
        }
        assert!(RequestMeta::read(None).is_err());
    }
}
