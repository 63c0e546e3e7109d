//! Who may call.

use mcproxy_ipc::control::TokenHash;
use sha2::{Digest, Sha256};

use crate::raw::{RawAuth, RawAuthMode, RawToken};
use crate::report::Report;
use crate::tree::Node;

/// Shorter tokens can be guessed.
const MIN_TOKEN: usize = 16;

/// The tokens that clients have to show one of; `None`: everyone may call. `node` is the value of `auth` in the file.
pub(crate) fn check(raw: Option<&RawAuth>, node: &Node, report: &mut Report) -> Option<Vec<TokenHash>> {
    let tokens = match raw {
        None | Some(RawAuth::Mode(RawAuthMode::None)) => return None,
        Some(RawAuth::Tokens(raw)) => &raw.tokens,
    };
    let elements = node.get("tokens").map(Node::elements).unwrap_or_default();
    let mut checked: Vec<TokenHash> = Vec::with_capacity(tokens.len());
    for (raw, element) in tokens.iter().zip(elements) {
        match token(raw) {
            // Reported with all other unset variables.
            _ if element.lacks_text() => {}
            Err(message) => report.add(element.span.start, message),
            Ok(token) if checked.iter().any(|other| other.name == token.name) => {
                report.add(element.span.start, "another token has the same name");
            }
            Ok(token) if checked.iter().any(|other| other.sha256 == token.sha256) => {
                report.add(element.span.start, "another name has the same token");
            }
            Ok(token) => checked.push(token),
        }
    }
    Some(checked)
}

fn token(raw: &RawToken) -> Result<TokenHash, &'static str> {
    let sha256 = match (&raw.token, &raw.sha256) {
        (Some(token), None) if token.len() < MIN_TOKEN => return Err("the token has fewer than 16 characters"),
        (Some(token), None) => Sha256::digest(token).into(),
        (None, Some(hex)) => parse_hex(hex).ok_or("`sha256` must be 64 hexadecimal digits")?,
        (None, None) => return Err("`token` or `sha256` is missing"),
        (Some(_), Some(_)) => return Err("write either `token` or `sha256`, not both"),
    };
    if raw.name.trim().is_empty() || raw.name.len() > 64 || raw.name.chars().any(char::is_control) {
        return Err("the name of a token must be 1 to 64 printable characters");
    }
    Ok(TokenHash { name: raw.name.clone(), sha256 })
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let text = text.strip_prefix("sha256:").unwrap_or(text).as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
        let digit = |index: usize| char::from(pair[index]).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_and_its_hash_are_the_same_token() {
        let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        assert_eq!(parse_hex(hash), Some(Sha256::digest("test").into()));
        assert_eq!(parse_hex(&hash[1..]), None);
        assert_eq!(parse_hex(&hash.replace('9', "g")), None);
    }
}
