//! A server's own description, made so that it cannot break `initialize` or `server/discover` of an endpoint that it
//! shares with others.

use std::borrow::Cow;

use mcproxy_mcp::{RawObject, RawValue, i_json};

use super::{
    CatalogueProblem, check,
    text::{decode, visible},
    warning::Warnings,
};
use crate::gateway::rewrite::Splices;

/// Longest value of one capability, extension or experimental capability, in bytes.
const MAX_MEMBER: usize = 16 * 1024;
/// Most extensions, and most experimental capabilities, of one server.
const MAX_MEMBERS: usize = 64;
/// Longest instructions of a server, in bytes; where servers share an endpoint they get less.
const MAX_INSTRUCTIONS: usize = 64 * 1024;
const SUBJECT: &str = "capabilities";

/// The capabilities of a server as every client takes them, as a JSON object.
pub(super) fn capabilities(raw: Option<&RawValue>, warnings: &mut Warnings<'_>) -> String {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return "{}".to_owned() };
    if !raw.get().starts_with('{') {
        warnings.add(None, SUBJECT, CatalogueProblem::NotAnObject("it is taken for an empty one".to_owned()));
        return "{}".to_owned();
    }
    let (json, repaired) = check::as_i_json(raw.get());
    let (json, mended) = check::capabilities(&json);
    for mended in repaired.into_iter().chain(mended) {
        warnings.add(None, SUBJECT, CatalogueProblem::Mended(mended));
    }
    bounded(&json, warnings).unwrap_or_else(|| json.into_owned())
}

/// The same without what is too large; `None`: nothing is.
fn bounded(json: &str, warnings: &mut Warnings<'_>) -> Option<String> {
    let object = RawObject::from_text(json).ok()?;
    let mut edits = Splices::of(json);
    for key in ["experimental", "extensions"] {
        let Some((raw, members)) = object.get(key).and_then(|raw| Some((raw, RawObject::from_raw(raw).ok()?))) else {
            continue;
        };
        let small = |value: &RawValue| value.get().len() <= MAX_MEMBER;
        let kept: Vec<&str> =
            members.iter().filter(|(_, value)| small(value)).map(|(key, _)| key).take(MAX_MEMBERS).collect();
        for (name, value) in members.iter().filter(|(name, _)| !kept.contains(name)) {
            let mut pointer = format!("/{key}");
            i_json::push_segment(&mut pointer, name);
            warnings.add(None, SUBJECT, too_large(pointer, value.get().len()));
        }
        edits.retain(raw.get(), &members, |name| kept.contains(&name));
    }
    // Of the others only what we know is said to clients of several servers, and not with their words.
    let most = MAX_MEMBER * MAX_MEMBERS;
    let large: Vec<&str> = object.iter().filter(|(_, value)| value.get().len() > most).map(|(key, _)| key).collect();
    for key in &large {
        warnings.add(None, SUBJECT, too_large(format!("/{key}"), most));
    }
    edits.retain(json, &object, |key| !large.contains(&key));
    match edits.finish() {
        Cow::Borrowed(_) => None,
        Cow::Owned(json) => Some(json),
    }
}

fn too_large(pointer: String, bytes: usize) -> CatalogueProblem {
    CatalogueProblem::TooLarge { pointer, bytes, limit: MAX_MEMBER }
}

/// The instructions of a server, without hidden characters and bounded.
pub(super) fn instructions(raw: Option<&RawValue>, warnings: &mut Warnings<'_>) -> Option<String> {
    let raw = raw.map(RawValue::get).filter(|raw| raw.starts_with('"'))?;
    let text = decode(&i_json::readable(raw).ok()?)?.into_owned();
    let mut text = visible(&text).into_owned();
    if text.len() > MAX_INSTRUCTIONS {
        let bytes = text.len();
        text.truncate(text.floor_char_boundary(MAX_INSTRUCTIONS));
        text.push('…');
        warnings.add(None, "instructions", CatalogueProblem::Cut { bytes, limit: MAX_INSTRUCTIONS });
    }
    (!text.trim().is_empty()).then_some(text)
}
