//! Why a request got no answer, in words that say what to do.

use std::{error::Error as StdError, io};

use rustls::CertificateError;

use crate::address::{ForbiddenAddress, UnknownName};

/// Why a request got no answer, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFault {
    /// There was no connection, so that nothing was sent.
    pub is_unsent: bool,
    /// What happened, and what to do.
    pub text: String,
}

/// What an error of a request means.
pub fn fault(error: &reqwest::Error) -> RequestFault {
    RequestFault { is_unsent: error.is_connect(), text: text(error) }
}

fn text(error: &reqwest::Error) -> String {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    let mut last = error.to_string();
    while let Some(cause) = next {
        if let Some(text) = known(cause) {
            return text;
        }
        last = cause.to_string();
        next = match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            // What an error of input and output carries is not its source, but that of what it carries is.
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    match error.is_timeout() {
        true if error.is_connect() => "no connection within `connectTimeout`".to_owned(),
        true => "no answer in time".to_owned(),
        false => of_tunnel(&last).unwrap_or(last),
    }
}

/// What a proxy that was asked to connect (CONNECT) made of it. Its errors have no type that can be named, and their texts say
/// little.
fn of_tunnel(text: &str) -> Option<String> {
    let text = match text.strip_prefix("tunnel error: ")? {
        "proxy authorization required" => {
            "the proxy wants a password; write it into `proxy`, http://USER:PASSWORD@HOST:PORT"
        }
        _ => "the proxy does not connect to it; does it take these credentials, and allow this host and port?",
    };
    Some(text.to_owned())
}

fn known(cause: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(forbidden) = cause.downcast_ref::<ForbiddenAddress>() {
        return Some(forbidden.to_string());
    }
    if let Some(unknown) = cause.downcast_ref::<UnknownName>() {
        let why = unknown.source().map(|why| format!(" ({why})")).unwrap_or_default();
        return Some(format!("{unknown}{why}; check `url`, and DNS on this machine"));
    }
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(of_tls(tls));
    }
    let kind = cause.downcast_ref::<io::Error>()?.kind();
    match kind {
        io::ErrorKind::ConnectionRefused => Some("connection refused; is the server running?".to_owned()),
        io::ErrorKind::PermissionDenied => {
            Some("connecting is not permitted (a firewall, or `sandbox.connect`)".to_owned())
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Some("the connection was reset".to_owned()),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Some("there is no way to its network".to_owned())
        }
        _ => None,
    }
}

fn of_tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => of_certificate(why),
        rustls::Error::InvalidMessage(_) => "it does not speak TLS at this port; is it an http:// address?".to_owned(),
        rustls::Error::AlertReceived(alert) => {
            format!("the server refused the TLS connection ({alert:?}); it may want `tls.clientCert`")
        }
        other => format!("TLS failed: {other}"),
    }
}

fn of_certificate(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; the server needs a new one (or this machine's clock is wrong)".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; is this machine's clock right?".to_owned()
        }
        CertificateError::NotValidForName => "its certificate is for another name; check the host in `url`".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented: Vec<&str> = presented.iter().take(4).map(String::as_str).collect();
            format!(
                "its certificate is not for {} but for {}; check the host in `url`",
                expected.to_str(),
                presented.join(", ")
            )
        }
        // An authority of the same name with another key makes the second.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is signed by an authority that is not trusted here; name that authority in `tls.ca`"
                .to_owned()
        }
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        other => format!("its certificate cannot be trusted: {other}"),
    }
}
