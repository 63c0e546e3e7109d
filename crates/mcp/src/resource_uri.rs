//! URIs of resources that are unique across servers: `{label}+{uri}`, where the label is the server's name as a URI's scheme
//! can hold it. A scheme is of letters, digits, `+`, `-` and `.`, begins with a letter, and is the same in capitals and
//! small letters (RFC 3986, 3.1), so clients write it small. Most names are their own labels; of the others, `GitHub` is
//! `github.12`, `my_server` is `my-server.8` and `2nd` is `s2nd.1`: what was changed stands behind the dot, in bits.

use std::borrow::Cow;

/// Between server and URI.
const SEPARATOR: char = '+';
/// Hosts know user-interface resources by their scheme, so it stays in front: `ui://{label}+rest`.
const UI_SCHEME: &str = "ui://";
/// A text that is no URI is carried percent-encoded behind this. A scheme does not begin with a dot, so no URI of a server's does.
const ENCODED: &str = ".raw:";
/// Stands before names that do not begin with a letter.
const LETTER: char = 's';

/// The URI at the common endpoint of a server's resource. It is one whatever the server calls the resource.
pub fn qualify_uri(server: &str, uri: &str) -> String {
    let label = label(server);
    match uri.strip_prefix(UI_SCHEME) {
        Some(rest) if is_uri(uri) => format!("{UI_SCHEME}{label}{SEPARATOR}{rest}"),
        None if is_uri(uri) => format!("{label}{SEPARATOR}{uri}"),
        _ => {
            let mut out = format!("{label}{SEPARATOR}{ENCODED}");
            for byte in uri.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    out.push(char::from(byte));
                } else {
                    out.push_str(&format!("%{byte:02X}"));
                }
            }
            out
        }
    }
}

/// The URI template at the common endpoint of a server's template. Clients put values into it, so none of it is encoded.
pub fn qualify_template(server: &str, template: &str) -> String {
    let label = label(server);
    match template.strip_prefix(UI_SCHEME) {
        Some(rest) => format!("{UI_SCHEME}{label}{SEPARATOR}{rest}"),
        None => format!("{label}{SEPARATOR}{template}"),
    }
}

/// Server and own URI (or template) of a qualified URI. Up to MCProxy 0.1 a server's name stood there as it is; that is
/// read, too.
pub fn split_uri(qualified: &str) -> Option<(Cow<'_, str>, String)> {
    let (scheme, rest) = match qualified.strip_prefix(UI_SCHEME) {
        Some(rest) => (UI_SCHEME, rest),
        None => ("", qualified),
    };
    let (label, rest) = rest.split_once(SEPARATOR)?;
    let server = server_of(label)?;
    match rest.strip_prefix(ENCODED) {
        Some(encoded) if scheme.is_empty() => Some((server, percent_decoded(encoded)?)),
        _ => Some((server, format!("{scheme}{rest}"))),
    }
}

/// Whether clients take a text for a URI: it begins with a scheme, has no control characters, and the host that follows
/// `//`, if any, is one by the URL standard's rules for schemes that it does not know.
pub fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(plain) {
        return false;
    }
    if text.chars().any(char::is_control) {
        return false;
    }
    rest.strip_prefix("//").is_none_or(|rest| is_authority(rest.split(['/', '?', '#']).next().unwrap_or_default()))
}

fn is_authority(authority: &str) -> bool {
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
    if host.is_empty() && (user.is_some() || port.is_some()) {
        return false;
    }
    let port = port.unwrap_or_default();
    host.bytes().all(|byte| !b" <>[]^|\\@".contains(&byte))
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && (port.is_empty() || port.parse::<u16>().is_ok())
}

/// A server's name as a scheme can hold it. Bit 0 of what stands behind the dot: a letter was put in front; bit n + 1: the
/// character at n is a capital, or `_` in the place of `-`.
fn label(server: &str) -> Cow<'_, str> {
    let front = !server.starts_with(|c: char| c.is_ascii_alphabetic());
    let changed = |c: char| c.is_ascii_uppercase() || c == '_';
    if !front && !server.contains(changed) {
        return Cow::Borrowed(server);
    }
    let mut out = String::with_capacity(server.len() + 16);
    let mut bits = u64::from(front);
    if front {
        out.push(LETTER);
    }
    for (at, c) in server.chars().enumerate() {
        if changed(c) {
            bits |= 1_u64.checked_shl(u32::try_from(at + 1).unwrap_or(u32::MAX)).unwrap_or(0);
        }
        out.push(if c == '_' { '-' } else { c.to_ascii_lowercase() });
    }
    out.push_str(&format!(".{bits:x}"));
    Cow::Owned(out)
}

/// The server of a label, or of a name that stands in its place.
fn server_of(written: &str) -> Option<Cow<'_, str>> {
    let Some((plain, bits)) = written.split_once('.') else {
        let name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        return (!written.is_empty() && written.bytes().all(name)).then_some(Cow::Borrowed(written));
    };
    let bits = u64::from_str_radix(bits, 16).ok()?;
    let plain = if bits & 1 == 1 { plain.strip_prefix(LETTER)? } else { plain };
    let changed =
        |at: usize| u32::try_from(at + 1).ok().and_then(|at| bits.checked_shr(at)).is_some_and(|bits| bits & 1 == 1);
    let server: String = plain
        .chars()
        .enumerate()
        .map(|(at, c)| match c {
            '-' if changed(at) => '_',
            c if changed(at) => c.to_ascii_uppercase(),
            c => c,
        })
        .collect();
    // There is one label for each name.
    (*label(&server) == *written).then_some(Cow::Owned(server))
}

/// The text that is written with `%` and two digits for bytes (RFC 3986 §2.1); `None` when it is not.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            out.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            out.push(*byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_a_scheme_can_hold_stands_there_as_it_is() {
        assert_eq!(qualify_uri("time-2", "file:///a b"), "time-2+file:///a b");
        assert_eq!(qualify_uri("srv", "ui://x/y"), "ui://srv+x/y");
        assert_eq!(qualify_template("srv", "f:///{+p}"), "srv+f:///{+p}");
    }

    #[test]
    fn a_name_that_no_scheme_can_hold_gets_a_label_and_is_read_as_before_too() {
        for (server, label) in [
            ("GitHub", "github.12"),
            ("my_server", "my-server.8"),
            ("2nd", "s2nd.1"),
            ("-x_Y", "s-x-y.19"),
            ("a-b", "a-b"),
        ] {
            assert_eq!(qualify_uri(server, "note://One"), format!("{label}+note://One"));
            assert_eq!(qualify_uri(server, "ui://a/b"), format!("ui://{label}+a/b"));
            for written in [label, server] {
                let expected = Some((Cow::Borrowed(server), "note://One".to_owned()));
                assert_eq!(split_uri(&format!("{written}+note://One")), expected);
            }
        }
        for none in [
            "github.13+a:b",
            "github.+a:b",
            "a.0+a:b",
            "A.2+a:b",
            "+a:b",
            "a b+c:d",
            "https://example.org/a+b",
            "file:///x",
        ] {
            assert_eq!(split_uri(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_no_uri_is_carried_in_one() {
        for (own, qualified) in [
            ("readme.md", "srv+.raw:readme.md"),
            ("/etc/hosts", "srv+.raw:%2Fetc%2Fhosts"),
            ("my_app://x", "srv+.raw:my_app%3A%2F%2Fx"),
            ("note://[x", "srv+.raw:note%3A%2F%2F%5Bx"),
            ("note://h:99999/", "srv+.raw:note%3A%2F%2Fh%3A99999%2F"),
            ("é", "srv+.raw:%C3%A9"),
        ] {
            assert_eq!(qualify_uri("srv", own), qualified);
            assert_eq!(split_uri(qualified), Some((Cow::Borrowed("srv"), own.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn what_is_qualified_splits_back(server in "[A-Za-z0-9-]([A-Za-z0-9-]{1,8}_?[A-Za-z0-9-]){0,3}", rest in "\\PC{1,20}") {
            for uri in [rest.clone(), format!("ui://{rest}"), format!("file:///{rest}"), format!("x:{rest}")] {
                let qualified = qualify_uri(&server, &uri);
                prop_assert!(is_uri(&qualified), "{qualified}");
                prop_assert_eq!(split_uri(&qualified), Some((Cow::Borrowed(&*server), uri.clone())));
                let template = qualify_template(&server, &uri);
                prop_assert_eq!(split_uri(&template), Some((Cow::Borrowed(&*server), uri)));
                let (label, _) = qualified.trim_start_matches("ui://").split_once('+').expect("a separator");
                prop_assert!(label.starts_with(|c: char| c.is_ascii_lowercase()) && !label.contains(|c: char| c.is_ascii_uppercase() || c == '_'));
            }
        }

        #[test]
        fn any_text_splits_somehow(text in "[a-zA-Z0-9_.+:/%-]{0,30}", other in "\\PC{0,20}") {
            let _ = (split_uri(&text), split_uri(&other), is_uri(&other));
        }
    }
}
