//! Requests of 2026-07-28, which have no session: each says in its `_meta` who makes it, and in its headers what it is.

use mcproxy_mcp::{
    ErrorCode, Message, Mirror, Outcome, ProtocolVersion, RawArray, RawObject, RawValue, RequestId, json_string, meta,
    method, parse, write_request,
};

use super::endpoint::{Endpoint, EndpointError, HttpReply, MessageStream};

/// Who makes a request, and what its client can be asked for.
#[derive(Debug)]
pub(crate) struct ClientMeta {
    pub(crate) info: Box<RawValue>,
    pub(crate) capabilities: Box<RawValue>,
    /// How much it wants to hear meanwhile, a JSON string.
    pub(crate) log_level: Option<Box<RawValue>>,
}

impl ClientMeta {
    /// The command line's own, which can be asked for nothing.
    pub(crate) fn own() -> Self {
        let info = serde_json::json!({"name": "mcproxy-cli", "version": env!("CARGO_PKG_VERSION")});
        let info = serde_json::value::to_raw_value(&info).expect("two strings are JSON");
        Self { info, capabilities: empty(), log_level: None }
    }

    /// The params of a request with all that `_meta` has to say. What the caller put there besides stays.
    pub(crate) fn stamp(&self, params: Option<&RawValue>) -> Box<RawValue> {
        let mut params = params.and_then(|raw| RawObject::from_raw(raw).ok()).unwrap_or_default();
        let mut all = params.get_object("_meta").unwrap_or_default();
        let version = json_string(ProtocolVersion::V2026_07_28.as_str());
        all.set(meta::PROTOCOL_VERSION, &version);
        all.set(meta::CLIENT_INFO, &self.info);
        all.set(meta::CLIENT_CAPABILITIES, &self.capabilities);
        if let Some(level) = &self.log_level {
            all.set(meta::LOG_LEVEL, level);
        }
        let all = all.to_raw();
        params.set("_meta", &all);
        params.to_raw()
    }
}

/// An object without members.
pub(crate) fn empty() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")
}

/// Whether the way `initialize` was refused leaves open that the other side speaks 2026-07-28 and nothing else. Whoever
/// wants a token, has too much to do or is broken says so to both.
pub(crate) fn may_be_modern(refusal: &EndpointError) -> bool {
    match refusal {
        EndpointError::Status { status, .. } => match status.as_u16() {
            403 | 429 => false,
            501 => true,
            _ => status.is_client_error(),
        },
        EndpointError::ContentType(_) | EndpointError::NoAnswer => true,
        _ => false,
    }
}

/// The result of `server/discover`, if the other side speaks 2026-07-28.
pub(crate) async fn discover(endpoint: &Endpoint, claim: &ClientMeta) -> Option<Box<RawValue>> {
    let id = RequestId::from_raw(&json_string("mcproxy-discover")).ok()?;
    let params = claim.stamp(None);
    let mut stream = post(endpoint, &Mirror::default(), &id, method::DISCOVER, &params).await.ok()?;
    while let Some(message) = stream.next().await.ok()? {
        if let Ok(Message::Response { id: answered, outcome: Outcome::Result(result) }) = parse(message.as_bytes())
            && answered == id
        {
            return speaks_it(result).then(|| result.to_owned());
        }
    }
    None
}

fn speaks_it(discovery: &RawValue) -> bool {
    let ours = ProtocolVersion::V2026_07_28.as_str();
    let object = RawObject::from_raw(discovery).unwrap_or_default();
    let versions = object.get("supportedVersions").and_then(|raw| RawArray::from_raw(raw).ok()).unwrap_or_default();
    versions.0.iter().any(|raw| serde_json::from_str::<String>(raw.get()).is_ok_and(|version| version == ours))
}

/// Sends a request with the headers that it needs. Dropping the stream gives it up.
pub(crate) async fn post(
    endpoint: &Endpoint,
    mirror: &Mirror,
    id: &RequestId,
    method: &str,
    params: &RawValue,
) -> Result<MessageStream, EndpointError> {
    let headers = mirror.headers(method, &RawObject::from_raw(params).unwrap_or_default());
    let mut body = Vec::new();
    write_request(&mut body, id, method, params.get());
    match endpoint.post_with(&headers, body).await? {
        HttpReply::Messages(stream) => Ok(*stream),
        HttpReply::Accepted => Err(EndpointError::NoAnswer),
    }
}

/// The code of the JSON-RPC error that an HTTP error carries.
pub(crate) fn code_of(error: &EndpointError) -> Option<ErrorCode> {
    let body = RawObject::from_text(error.body()?).ok()?;
    body.get_object("error")?.get("code")?.get().parse().ok().map(ErrorCode)
}

/// Whether a call was refused because its headers do not repeat what they have to.
pub(crate) fn is_mismatch(error: &EndpointError) -> bool {
    code_of(error) == Some(ErrorCode::HEADER_MISMATCH)
}

/// The kind of a result of 2026-07-28.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ResultKind {
    /// The end.
    Complete,
    /// The request is to be made again, with answers to what the server asks, or later.
    InputRequired,
    /// Something that was not asked for.
    Other(String),
}

impl ResultKind {
    /// Of this result.
    pub(crate) fn of(result: &RawObject<'_>) -> Self {
        match result.get_string("resultType").as_deref() {
            None | Some("complete") => Self::Complete,
            Some("input_required") => Self::InputRequired,
            Some(other) => Self::Other(other.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_http::StatusCode;

    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[test]
    fn a_request_keeps_what_it_says_and_says_who_makes_it() {
        let stamped = ClientMeta::own().stamp(Some(&raw(r#"{"n":1e400,"_meta":{"progressToken":7}}"#)));
        assert!(stamped.get().starts_with(r#"{"n":1e400,"_meta":{"progressToken":7,"#), "{stamped}");
        let stamped: serde_json::Value = serde_json::from_str(&stamped.get().replace("1e400", "1")).expect("JSON");
        assert_eq!(stamped["_meta"][meta::PROTOCOL_VERSION], "2026-07-28");
        assert_eq!(stamped["_meta"][meta::CLIENT_CAPABILITIES], serde_json::json!({}));
        assert!(ClientMeta::own().stamp(None).get().starts_with(r#"{"_meta":{"#));
    }

    #[test]
    fn who_refuses_initialize_is_asked_what_it_speaks_unless_it_refuses_everything() {
        let status = |code: u16| EndpointError::Status {
            status: StatusCode::from_u16(code).expect("a status"),
            body: String::new(),
        };
        for open in [400, 404, 405, 406, 415, 422, 501] {
            assert!(may_be_modern(&status(open)), "{open}");
        }
        for settled in [403, 429, 500, 502, 503] {
            assert!(!may_be_modern(&status(settled)), "{settled}");
        }
        assert!(!may_be_modern(&EndpointError::Unauthorized { body: String::new(), with_token: true }));
    }

    #[test]
    fn only_who_names_the_revision_speaks_it() {
        assert!(speaks_it(&raw(r#"{"supportedVersions":["2099-01-01","2026-07-28"]}"#)));
        for other in [r#"{"supportedVersions":["2099-01-01"]}"#, r#"{"supportedVersions":"2026-07-28"}"#, "{}", "3"] {
            assert!(!speaks_it(&raw(other)), "{other}");
        }
    }
}
