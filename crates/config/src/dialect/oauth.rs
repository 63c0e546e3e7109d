//! What programs write of a login, in an entry's `oauth`: our words for it, and no more of it than we know.

use super::{members_mut, word};
use crate::problem::printable;
use crate::report::Report;
use crate::tree::{ConfigText, Node, TreeValue};

/// Our keys, and what others call them.
const NAMES: &[(&str, &str)] = &[
    ("client_id", "clientId"),
    ("CLIENT_ID", "clientId"),
    ("client_secret", "clientSecret"),
    ("CLIENT_SECRET", "clientSecret"),
    ("client_metadata_url", "clientMetadataUrl"),
    ("scope", "scopes"),
];
const OURS: &[&str] = &["clientId", "clientSecret", "clientMetadataUrl", "scopes", "grant", "ca"];

/// Puts our words in the place of theirs. What has none is left out, and that is said: MCProxy finds the authorization server itself.
pub(super) fn translate(entry: &mut Node, report: &mut Report) {
    if let Some(members) = members_mut(entry) {
        // Some write whether there is to be a login at all; there is one where the server wants it.
        members.retain(|member| member.key != "oauth" || !matches!(member.node.value, TreeValue::Bool(_)));
    }
    let Some(oauth) = entry.get_mut("oauth") else { return };
    let Some(members) = members_mut(oauth) else { return };
    members.retain_mut(|member| {
        if let Some((_, ours)) = NAMES.iter().find(|(theirs, _)| *theirs == member.key) {
            member.key = (*ours).to_owned();
        }
        let is_ours = OURS.contains(&member.key.as_str());
        if !is_ours {
            let key = printable(&member.key);
            let why = "MCProxy finds the authorization server and logs in by itself";
            report.warn(member.key_span.start, format!("`oauth.{key}` is ignored: {why}"));
        }
        is_ours
    });
    if let Some(scopes) = oauth.get_mut("scopes") {
        one_by_one(scopes);
    }
}

/// A text of several scopes as a list of them.
fn one_by_one(scopes: &mut Node) {
    let Some(text) = word(scopes) else { return };
    let texts = text.split_whitespace().map(|scope| ConfigText::literal(scope.to_owned()));
    let list = texts.map(|text| Node { span: scopes.span.clone(), value: TreeValue::String(text) }).collect();
    scopes.value = TreeValue::Array(list);
}
