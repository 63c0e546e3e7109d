//! Which hosts and origins the gateway accepts requests for: decisions over the raw `Host` and `Origin` headers (MCP
//! transports, security warning; DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the raw `Host` header names this gateway. A page that rebinds its own name to a loopback address still sends
/// that name here, so names count only when they are loopback names or configured; IP literals cannot be rebound.
pub(crate) fn host_allowed(host: Option<&str>, allowed: &[String]) -> bool {
    let Some((host, port)) = host.and_then(split_host) else { return false };
    match host {
        Host::Ip(_) => true,
        Host::Name(name) => {
            is_localhost(name)
                || allowed.iter().any(|entry| match split_host(entry) {
                    Some((Host::Name(own), own_port)) => {
                        own.eq_ignore_ascii_case(name) && (own_port.is_none() || own_port == port)
                    }
                    _ => false,
                })
        }
    }
}

/// Whether a page of this origin may call us. Programs send no origin; pages served on this machine are its user's own.
pub(crate) fn origin_allowed(origin: Option<&str>, allowed: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    if origin == "null" {
        return false;
    }
    if allowed.iter().any(|entry| as_browsers_write(entry).eq_ignore_ascii_case(as_browsers_write(origin))) {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    web && match split_host(authority) {
        Some((Host::Ip(ip), _)) => ip.to_canonical().is_loopback(),
        Some((Host::Name(name), _)) => is_localhost(name),
        None => false,
    }
}

/// Whether a page of this origin is one that this host serves: a browser sends both for a request of a page to its own server.
pub(crate) fn is_same_origin(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let (Some((of_page, page_port)), Some((ours, our_port))) = (split_host(authority), split_host(host)) else {
        return false;
    };
    let same_name = match (of_page, ours) {
        (Host::Ip(a), Host::Ip(b)) => a == b,
        (Host::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
        (Host::Ip(_), Host::Name(_)) | (Host::Name(_), Host::Ip(_)) => false,
    };
    same_name && page_port.unwrap_or(default) == our_port.unwrap_or(default)
}

/// Whether a `Host` header names this machine from its own point of view.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    match split_host(host) {
        Some((Host::Ip(ip), _)) => ip.to_canonical().is_loopback(),
        Some((Host::Name(name), _)) => is_localhost(name),
        None => false,
    }
}

/// An origin without the slash and the default port that people write (Fetch standard, serialized origins).
fn as_browsers_write(origin: &str) -> &str {
    let origin = origin.trim_end_matches('/');
    let default = [("https://", ":443"), ("http://", ":80")].into_iter().find_map(|(scheme, port)| {
        let begins = origin.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
        origin.strip_suffix(port).filter(|_| begins)
    });
    default.unwrap_or(origin)
}

#[derive(Debug, PartialEq, Eq)]
enum Host<'a> {
    Ip(IpAddr),
    Name(&'a str),
}

/// Host and port of `host[:port]`; `None` for anything that is not exactly that.
fn split_host(text: &str) -> Option<(Host<'_>, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            let ip = address.parse::<Ipv6Addr>().ok()?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
            (Host::Ip(ip.into()), port)
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            match host.parse::<Ipv4Addr>() {
                Ok(ip) => (Host::Ip(ip.into()), port),
                Err(_) => (Host::Name(plain_name(host)?), port),
            }
        }
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
    };
    Some((host, port))
}

/// A DNS name, without the dot that may end it.
fn plain_name(host: &str) -> Option<&str> {
    let name = host.strip_suffix('.').unwrap_or(host);
    let plain =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    (name.len() <= 253 && name.split('.').all(plain)).then_some(name)
}

fn is_localhost(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn loopback_names_and_ip_literals_are_hosts_of_ours() {
        for host in [
            "localhost",
            "LOCALHOST:12009",
            "localhost.",
            "app.localhost:80",
            "127.0.0.1",
            "127.0.0.1:12009",
            "[::1]",
            "[::1]:12009",
            "192.168.1.20:12009",
            "[fd00::1]:80",
            "0.0.0.0:1",
        ] {
            assert!(host_allowed(Some(host), &[]), "{host}");
        }
    }

    #[test]
    fn a_page_is_of_the_same_origin_only_with_name_and_port() {
        for (origin, host) in [
            ("http://localhost:12009", "localhost:12009"),
            ("http://127.0.0.1:12009", "127.0.0.1:12009"),
            ("http://[::1]:12009", "[::1]:12009"),
            ("https://Tools.example", "tools.example"),
            ("https://tools.example", "tools.example:443"),
            ("http://tools.example:80", "tools.example"),
        ] {
            assert!(is_same_origin(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://localhost:3000", "localhost:12009"),
            ("http://localhost", "localhost:12009"),
            ("http://127.0.0.1:12009", "localhost:12009"),
            ("https://tools.example", "tools.example:80"),
            ("https://evil.example", "tools.example"),
            ("null", "localhost:12009"),
            ("", "localhost:12009"),
            ("file://localhost:12009", "localhost:12009"),
            ("http://localhost:12009@evil.example", "localhost:12009"),
        ] {
            assert!(!is_same_origin(origin, host), "{origin} {host}");
        }
        assert!(is_loopback_host("localhost:1") && is_loopback_host("[::1]") && is_loopback_host("127.9.9.9:1"));
        assert!(!is_loopback_host("192.168.0.1:1") && !is_loopback_host("tools.example") && !is_loopback_host(""));
    }

    #[test]
    fn a_rebound_name_is_refused() {
        for host in [
            "evil.example",
            "evil.example:12009",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1.nip.io",
            "localhostx",
            "xlocalhost",
            "evil-localhost",
            "127.1",
            "0177.0.0.1",
            "2130706433",
            "0x7f.1",
            "",
            ":80",
            " localhost",
            "localhost ",
            "localhost:",
            "localhost:x",
            "localhost:99999",
            "localhost:80:80",
            "evil@localhost",
            "localhost,evil.example",
            "localhost/evil",
            "localhost\u{0}",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:",
            "[fe80::1%25eth0]",
            "[127.0.0.1]",
            "lоcalhost",
            "..",
            "a..localhost",
            "*",
            "*.localhost",
            "localhost..",
        ] {
            let ok = host_allowed(Some(host), &names(&["gateway.example", "*"]));
            // A number may have an empty port under RFC 3986, but no client sends one.
            assert!(!ok, "{host:?}");
        }
        assert!(!host_allowed(None, &[]));
    }

    #[test]
    fn a_configured_name_is_allowed_on_its_port() {
        let allowed = names(&["gateway.example", "other.example:8443"]);
        assert!(host_allowed(Some("Gateway.Example"), &allowed));
        assert!(host_allowed(Some("gateway.example:1"), &allowed));
        assert!(host_allowed(Some("other.example:8443"), &allowed));
        assert!(!host_allowed(Some("other.example"), &allowed));
        assert!(!host_allowed(Some("sub.gateway.example"), &allowed));
    }

    #[test]
    fn only_pages_of_this_machine_and_configured_ones_may_call() {
        let allowed = names(&["https://app.example", "vscode-webview://panel"]);
        for origin in [
            "http://localhost:6274",
            "https://localhost",
            "http://127.0.0.1:3000",
            "http://127.9.9.9",
            "http://[::1]:80",
            "http://dev.localhost",
            "https://app.example",
            "vscode-webview://panel",
        ] {
            assert!(origin_allowed(Some(origin), &allowed), "{origin}");
        }
        assert!(origin_allowed(None, &[]));
        for origin in [
            "null",
            "",
            "https://evil.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "https://app.example.evil.example",
            "https://app.example:444",
            "http://app.example",
            "http://192.168.1.20",
            "file://",
            "file://localhost",
            "http://localhost@evil.example",
            "http://localhost/x",
            "http://0.0.0.0",
            "chrome-extension://localhost",
            "http://localhost http://evil.example",
            "localhost",
        ] {
            assert!(!origin_allowed(Some(origin), &allowed), "{origin:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_decided_without_a_panic(text in "\\PC{0,40}", tail in "[\\[\\]:.0-9a-f]{0,20}") {
            let _ = host_allowed(Some(&text), &[]);
            let _ = host_allowed(Some(&tail), &[]);
            let _ = origin_allowed(Some(&format!("http://{tail}")), &[]);
        }

        #[test]
        fn a_foreign_name_is_never_allowed(label in "[a-z0-9.-]{0,20}", tld in "(com|io|example|dev)") {
            let host = format!("{label}.{tld}");
            prop_assert!(!host_allowed(Some(&host), &[]));
            let origin = format!("http://{host}");
            prop_assert!(!origin_allowed(Some(&origin), &[]));
        }
    }
}
