//! Where the gateway listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::raw::RawListen;

/// Why a text is no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// Neither an IP address nor `localhost`.
    #[error(
        "expected \"host:port\" where host is an IP address or `localhost`, such as \"127.0.0.1:12009\" or \"[::1]:12009\""
    )]
    Host,
    /// Not a number up to 65535.
    #[error("the port must be a number from 0 to 65535")]
    Port,
}

/// A host by number, or `localhost`: a name would leave open which interface is meant.
pub fn parse_host(text: &str) -> Result<IpAddr, ListenError> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match bare {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        bare => bare.parse().map_err(|_| ListenError::Host),
    }
}

/// `host:port`, `:port` or a port; without a host it is 127.0.0.1.
pub(crate) fn parse(raw: &RawListen) -> Result<SocketAddr, ListenError> {
    let text = match raw {
        RawListen::Port(port) => return Ok((Ipv4Addr::LOCALHOST, *port).into()),
        RawListen::Address(text) => text.trim(),
    };
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    if host.contains(':') && !host.starts_with('[') {
        return Err(ListenError::Host);
    }
    // `u16::from_str` takes a sign.
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(if text.contains(':') { ListenError::Port } else { ListenError::Host });
    }
    let port: u16 = port.parse().map_err(|_| ListenError::Port)?;
    let host = if host.is_empty() { Ipv4Addr::LOCALHOST.into() } else { parse_host(host)? };
    Ok((host, port).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn listen(text: &str) -> Result<String, ListenError> {
        parse(&RawListen::Address(text.into())).map(|address| address.to_string())
    }

    #[test]
    fn every_documented_form_is_read() {
        assert_eq!(listen("0.0.0.0:80"), Ok("0.0.0.0:80".into()));
        assert_eq!(listen("localhost:80"), Ok("127.0.0.1:80".into()));
        assert_eq!(listen("[::1]:80"), Ok("[::1]:80".into()));
        assert_eq!(listen(":80"), Ok("127.0.0.1:80".into()));
        assert_eq!(listen("80"), Ok("127.0.0.1:80".into()));
    }

    #[test]
    fn an_ambiguous_or_foreign_host_is_refused() {
        assert_eq!(listen("::1:80"), Err(ListenError::Host));
        assert_eq!(listen("example.org:80"), Err(ListenError::Host));
        assert_eq!(listen("127.0.0.1"), Err(ListenError::Host));
        assert_eq!(listen("127.0.0.1:http"), Err(ListenError::Port));
        assert_eq!(listen("127.0.0.1:"), Err(ListenError::Port));
        assert_eq!(listen("127.0.0.1:65536"), Err(ListenError::Port));
        assert_eq!(listen("127.0.0.1:+80"), Err(ListenError::Port));
    }

    proptest! {
        #[test]
        fn every_address_survives_printing_and_reading(address: SocketAddr) {
            prop_assume!(!matches!(address, SocketAddr::V6(v6) if v6.scope_id() != 0 || v6.flowinfo() != 0));
            prop_assert_eq!(listen(&address.to_string()), Ok(address.to_string()));
        }

        #[test]
        fn hostile_text_never_panics(text in "\\PC{0,30}") {
            let _ = listen(&text);
        }
    }
}
