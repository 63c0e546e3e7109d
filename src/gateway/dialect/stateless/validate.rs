//! The checks of a request of this dialect, in this order, before anything is done for it (2026-07-28, transports,
//! server validation). Who only looks at headers must not see another request than we do. The last check, of headers that
//! repeat arguments, needs the tool that is called, is in `downstream/param_headers.rs`.

use mcproxy_mcp::{ErrorCode, ErrorObject, ProtocolVersion, header_value, method};

use super::method_names;
use crate::gateway::{
    call::incoming::Params,
    downstream::{
        header_value::{HeaderValue, agree, shown},
        request_meta::RequestMeta,
    },
};

/// The headers that repeat what every body says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeating {
    /// The revision.
    Version,
    /// The method.
    Method,
    /// The name of what is called or read.
    Name,
}

impl Repeating {
    /// The header's name, for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Version => "Mcp-Protocol-Version",
            Self::Method => "Mcp-Method",
            Self::Name => "Mcp-Name",
        }
    }
}

/// Checks a request; returns its `_meta`, or why it is refused. `header`: the values of its headers. `extended`: whether a method that no
/// revision knows is some server's.
pub(crate) fn validate<'r>(
    header: impl Fn(Repeating) -> HeaderValue<'r>,
    extended: impl FnOnce(&str) -> bool,
    method: &str,
    params: &Params<'_>,
) -> Result<RequestMeta, ErrorObject> {
    use Repeating::{Method, Name, Version};
    let meta_of_request = RequestMeta::read(params.meta.as_ref())?;
    agree(Version.name(), header(Version), &meta_of_request.version, Some)?;
    if *meta_of_request.version != *ProtocolVersion::V2026_07_28.as_str() {
        return Err(unsupported(&meta_of_request.version));
    }
    agree(Method.name(), header(Method), method, Some)?;
    if let Some(name) = method::subject_of(method).and_then(|key| params.members.get_string(key)) {
        let said = header(Name);
        let decoded = match said {
            HeaderValue::Once(text) => header_value::decode(text),
            _ => None,
        };
        agree(Name.name(), said, &name, |_| decoded.as_deref())?;
    }
    if !method_names::is_known(method) && !extended(method) {
        return Err(ErrorObject::new(
            ErrorCode::METHOD_NOT_FOUND,
            format_args!("there is no method {:?}", shown(method)),
        ));
    }
    Ok(meta_of_request)
}

fn unsupported(version: &str) -> ErrorObject {
    let requested = shown(version);
    ErrorObject::new(
        ErrorCode::UNSUPPORTED_VERSION,
        format_args!("protocol version {requested:?} is not supported in a request of its own"),
    )
    .with("supported", ProtocolVersion::ALL.map(ProtocolVersion::as_str).to_vec())
    .with("requested", requested)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VERSION: &str = "Mcp-Protocol-Version";
    const METHOD: &str = "Mcp-Method";
    const NAME: &str = "Mcp-Name";
    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

    fn validated(headers: &[(&str, &str)], method: &str, params: &str) -> Result<RequestMeta, ErrorCode> {
        let header = |which: Repeating| {
            let mut found =
                headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(which.name())).map(|(_, value)| *value);
            match (found.next(), found.next()) {
                (None, _) => HeaderValue::Nothing,
                (Some(value), None) => HeaderValue::Once(value),
                (Some(_), Some(_)) => HeaderValue::Unclear,
            }
        };
        let params = Params::read(params.as_bytes()).expect("an object");
        validate(header, |_| false, method, &params).map_err(|error| error.code)
    }

    #[test]
    fn each_check_refuses_what_is_its_own_and_those_before_it_come_first() {
        let bare = format!("{{{META}}}");
        let other = bare.replace("2026-07-28", "1900-01-01");
        let (version, list) = ((VERSION, "2026-07-28"), (METHOD, "tools/list"));
        type Case<'c> = (&'c [(&'c str, &'c str)], &'c str, &'c str, ErrorCode);
        let cases: [Case<'_>; 9] = [
            (&[], "nope", "{}", ErrorCode::INVALID_PARAMS),
            (&[], "tools/list", &bare, ErrorCode::HEADER_MISMATCH),
            (&[version], "tools/list", &other, ErrorCode::HEADER_MISMATCH),
            (&[(VERSION, "1900-01-01")], "tools/list", &other, ErrorCode::UNSUPPORTED_VERSION),
            (&[version], "tools/list", &bare, ErrorCode::HEADER_MISMATCH),
            (&[version, (METHOD, "TOOLS/LIST")], "tools/list", &bare, ErrorCode::HEADER_MISMATCH),
            (&[version, list, list], "tools/list", &bare, ErrorCode::HEADER_MISMATCH),
            (&[version, list], "nope", &bare, ErrorCode::HEADER_MISMATCH),
            (&[version, (METHOD, "nope")], "nope", &bare, ErrorCode::METHOD_NOT_FOUND),
        ];
        for (headers, method, params, code) in cases {
            assert_eq!(validated(headers, method, params), Err(code), "{headers:?} {method} {params}");
        }
        assert!(validated(&[version, list], "tools/list", &bare).is_ok());
        assert!(validated(&[version, ("mcp-METHOD", "tools/list")], "tools/list", &bare).is_ok());
    }

    #[test]
    fn a_name_is_repeated_as_it_is_or_encoded() {
        let call = format!(r#"{{"name":"größe","uri":"x",{META}}}"#);
        let with = |name| [(VERSION, "2026-07-28"), (METHOD, "tools/call"), (NAME, name)];
        assert!(validated(&with("=?base64?Z3LDtsOfZQ==?="), "tools/call", &call).is_ok());
        for name in ["groesse", "=?base64?Z3LDtsOfZQ?=", "=?base64?eA==?=", "größe", "x"] {
            assert_eq!(validated(&with(name), "tools/call", &call), Err(ErrorCode::HEADER_MISMATCH), "{name}");
        }
        assert_eq!(validated(&with("x")[..2], "tools/call", &call), Err(ErrorCode::HEADER_MISMATCH));
        let read = [(VERSION, "2026-07-28"), (METHOD, "resources/read"), (NAME, "x")];
        assert!(validated(&read, "resources/read", &call).is_ok());
        // A request that names nothing is refused by the method itself.
        assert!(validated(&with("x"), "tools/call", &format!("{{{META}}}")).is_ok());
    }

    #[test]
    fn versions_that_are_spoken_are_named() {
        let params = format!("{{{META}}}").replace("2026-07-28", "2025-11-25");
        let params = Params::read(params.as_bytes()).expect("an object");
        let error = validate(|_| HeaderValue::Once("2025-11-25"), |_| false, "tools/list", &params)
            .expect_err("it has sessions");
        let data = error.data.expect("data");
        assert_eq!(data["requested"], "2025-11-25");
        assert_eq!(data["supported"][0], "2026-07-28");
    }

    proptest! {
        #[test]
        fn any_request_gets_past_or_is_refused(method in "\\PC{0,12}", header in "\\PC{0,12}", meta in "(_meta|x)") {
            let params = format!(r#"{{"{meta}":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}"#);
            let params = Params::read(params.as_bytes()).expect("an object");
            let _ = validate(|_| HeaderValue::Once(&header), |_| false, &method, &params);
        }
    }
}
