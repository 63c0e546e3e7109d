//! Who may call, and what.

use std::collections::HashMap;

use data_encoding::HEXLOWER_PERMISSIVE;
use mcproxy_ipc::{
    OAUTH_PRINCIPAL, RateLimit, ServerName,
    control::{Group, TokenAccess, TokenHash, ToolView},
};
use sha2::{Digest, Sha256};

use crate::dialect::RESERVED_NAME;
use crate::raw::{RawApprove, RawAuth, RawAuthMode, RawToken, RawToolView};
use crate::report::Report;
use crate::tree::Node;
use crate::{approvals, groups, instant, rate};

/// Shorter tokens can be guessed.
const MIN_TOKEN: usize = 16;

/// What names servers, groups and tools.
type NamedRights<'r> = (Option<&'r Vec<String>>, Option<&'r Vec<String>>, Option<&'r Vec<String>>);

/// The tokens that clients have to show one of; `None`: everyone may call. `node` is the value of `auth` in the file, `known` holds
/// all servers by the names that the file uses for them.
pub(crate) fn check(
    raw: Option<&RawAuth>,
    node: &Node,
    known: &HashMap<String, ServerName>,
    groups: &[Group],
    report: &mut Report,
) -> Option<Vec<TokenHash>> {
    let (tokens, has_oauth) = match raw {
        None | Some(RawAuth::Mode(RawAuthMode::None)) => return None,
        Some(RawAuth::Tokens(raw)) => (raw.tokens.as_deref(), raw.oauth.is_some()),
    };
    // What had a mistake was told of, and is not there.
    if tokens.is_none() && !has_oauth && !report.is_refused() {
        report.add(node.span.start, "`auth` needs `tokens`, `oauth`, or both; `\"none\"` lets everyone in");
    }
    let tokens = tokens.unwrap_or_default();
    let elements = node.get("tokens").map(Node::elements).unwrap_or_default();
    let mut checked: Vec<TokenHash> = Vec::with_capacity(tokens.len());
    for (raw, element) in tokens.iter().zip(elements) {
        // Reported with all other unset variables.
        if element.lacks_text() {
            continue;
        }
        let named = (raw.servers.as_ref(), raw.groups.as_ref(), raw.tools.as_ref());
        let access = access(named, (raw.view, raw.approve), element, (known, groups), report);
        match token(raw, access) {
            Err(message) => report.add(element.span.start, message),
            Ok(token) if has_oauth && token.name.starts_with(OAUTH_PRINCIPAL) => {
                let message = "names that begin with `oauth:` are those of people who log in by `auth.oauth`";
                report.add(element.span.start, message);
            }
            Ok(token) if checked.iter().any(|other| other.sha256 == token.sha256) => {
                report.add(element.span.start, "the same token is there twice");
            }
            Ok(token) if checked.iter().any(|other| other.name == token.name && rights(other) != rights(&token)) => {
                let message = "another token of this name may use something else; all tokens of one name have the same \
                               `servers`, `groups`, `tools`, `view`, `approve`, `rate` and `admin`";
                report.add(element.span.start, message);
            }
            Ok(token) => checked.push(token),
        }
    }
    Some(checked)
}

/// What tokens of one name have in common.
fn rights(token: &TokenHash) -> (&TokenAccess, Option<RateLimit>, bool) {
    (&token.access, token.rate, token.may_administer)
}

fn token(raw: &RawToken, access: TokenAccess) -> Result<TokenHash, &'static str> {
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
    let expires = match raw.expires.as_deref().map(instant::parse) {
        None => None,
        Some(Some(expires)) => Some(expires),
        Some(None) => {
            return Err("`expires` must be a date or a time of RFC 3339: `2027-01-31` or `2027-01-31T12:00:00Z`");
        }
    };
    Ok(TokenHash {
        name: raw.name.clone(),
        sha256,
        expires,
        access,
        rate: raw.rate.as_ref().map(rate::of),
        may_administer: raw.admin,
    })
}

/// What a token may use. Every name in it must be one of the file: a typing error must not become a right to nothing, unseen.
pub(crate) fn access(
    (servers, named_groups, tools): NamedRights<'_>,
    (view, approve): (RawToolView, RawApprove),
    node: &Node,
    (known, groups): (&HashMap<String, ServerName>, &[Group]),
    report: &mut Report,
) -> TokenAccess {
    let servers = servers.map(|names| {
        let mut servers = Vec::with_capacity(names.len());
        for (name, element) in names.iter().zip(elements(node, "servers")) {
            match known.get(name).cloned() {
                Some(server) => servers.push(server),
                None if name == RESERVED_NAME => servers.extend(ServerName::try_from(RESERVED_NAME)),
                None => groups::unknown("server", known.keys().map(String::as_str), element, report),
            }
        }
        servers
    });
    let named = named_groups.map(|names| {
        let all = || groups.iter().map(|group| group.name.as_str());
        for (_, element) in names.iter().zip(elements(node, "groups")).filter(|(name, _)| !all().any(|of| of == *name))
        {
            groups::unknown("group", all(), element, report);
        }
        names.clone()
    });
    for (pattern, element) in tools.into_iter().flatten().zip(elements(node, "tools")) {
        if let Some(complaint) = groups::pattern_complaint(pattern) {
            report.add(element.span.start, complaint);
        }
    }
    let view = match view {
        RawToolView::List => ToolView::List,
        RawToolView::Search => ToolView::Search,
    };
    TokenAccess { servers, groups: named, tools: tools.cloned(), view, approve: approvals::mode(approve) }
}

fn elements<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    node.get(key).map(Node::elements).unwrap_or_default()
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text).as_bytes();
    HEXLOWER_PERMISSIVE.decode(digits).ok()?.try_into().ok()
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
