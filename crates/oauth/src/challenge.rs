//! What a server says of the token that it wants, in `WWW-Authenticate` (RFC 6750 section 3, RFC 9728 section 5.1). Pure.

use url::Url;

/// What a server says of the token that it wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthChallenge {
    /// Where its metadata is.
    pub resource_metadata: Option<Url>,
    /// The scope that it wants.
    pub scope: Option<String>,
    /// Why it did not take the token that it was shown.
    pub error: Option<String>,
}

impl AuthChallenge {
    /// The challenge for a bearer token in the header's value; `None`: there is none.
    pub fn parse(header: &str) -> Option<Self> {
        let mut challenge = None::<Self>;
        for item in items(header) {
            let (scheme, parameter) = split_scheme(item);
            if let Some(scheme) = scheme {
                if challenge.is_some() {
                    break; // the next challenge, of another scheme
                }
                if scheme.eq_ignore_ascii_case("bearer") {
                    challenge = Some(Self::default());
                }
            }
            if let (Some(challenge), Some((name, value))) = (&mut challenge, parameter.split_once('=')) {
                challenge.take(name.trim(), unquoted(value.trim()));
            }
        }
        challenge
    }

    /// Whether the token lacks a scope and is good otherwise.
    pub fn wants_more_scope(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }

    fn take(&mut self, name: &str, value: String) {
        match name.to_ascii_lowercase().as_str() {
            "resource_metadata" => self.resource_metadata = Url::parse(&value).ok(),
            "scope" => self.scope = Some(value).filter(|scope| is_scope(scope)),
            "error" => self.error = Some(value),
            _ => {}
        }
    }
}

/// RFC 6749 section 3.3.
pub(crate) fn is_scope(text: &str) -> bool {
    let is_of_scope =
        |byte: u8| byte == b' ' || byte == b'!' || (b'#'..=b'[').contains(&byte) || (b']'..=b'~').contains(&byte);
    !text.trim().is_empty() && text.len() <= 4096 && text.bytes().all(is_of_scope)
}

/// The parts between commas that stand in no quotes.
fn items(header: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    header
        .split(move |char: char| {
            let ends = char == ',' && !is_quoted;
            match char {
                _ if is_escaped => is_escaped = false,
                '\\' if is_quoted => is_escaped = true,
                '"' => is_quoted = !is_quoted,
                _ => {}
            }
            ends
        })
        .map(str::trim)
}

/// `Bearer realm="x"` is a scheme and its first parameter, `Bearer` a scheme alone, `realm="x"` a further parameter.
fn split_scheme(item: &str) -> (Option<&str>, &str) {
    let end = item.find(['=', '"']).unwrap_or(item.len());
    match item[..end].trim_end().split_once([' ', '\t']) {
        Some((scheme, _)) => (Some(scheme), item[scheme.len()..].trim_start()),
        None if end == item.len() && !item.is_empty() => (Some(item), ""),
        None => (None, item),
    }
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut plain = String::new();
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        plain.extend(if char == '\\' { chars.next() } else { Some(char) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_challenge_for_a_bearer_token_is_found_among_others() {
        let header = r#"Basic realm="a, b", bearer realm="x", error="invalid_token" , resource_metadata="https://h/.well-known/oauth-protected-resource/mcp", scope="a b:c", DPoP algs="ES256""#;
        let challenge = AuthChallenge::parse(header).expect("there is one");
        assert_eq!(
            challenge.resource_metadata.map(String::from).as_deref(),
            Some("https://h/.well-known/oauth-protected-resource/mcp")
        );
        assert_eq!((challenge.scope.as_deref(), challenge.error.as_deref()), (Some("a b:c"), Some("invalid_token")));
        assert_eq!(AuthChallenge::parse("Bearer"), Some(AuthChallenge::default()));
        assert_eq!(AuthChallenge::parse("Basic realm=\"Bearer\""), None);
        assert_eq!(AuthChallenge::parse(""), None);
        let step_up = AuthChallenge::parse(r#"Bearer error=insufficient_scope, scope="files:write""#).expect("one");
        assert!(step_up.wants_more_scope() && step_up.scope.as_deref() == Some("files:write"));
        assert_eq!(AuthChallenge::parse("Bearer scope=\"a\\\"b\"").expect("one").scope, None, "no scope has quotes");
    }

    proptest! {
        #[test]
        fn any_header_is_a_challenge_or_none(header in "[ -~]{0,80}") {
            let _ = AuthChallenge::parse(&header);
            let _ = AuthChallenge::parse(&format!("Bearer {header}"));
        }
    }
}
