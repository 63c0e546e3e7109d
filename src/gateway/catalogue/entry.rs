use std::{borrow::Cow, ops::Range};

use mcproxy_ipc::ToolRules;
use mcproxy_mcp::{
    RawObject, RawValue, json_string,
    mirrored::{ANNOTATION, MirroredParam, mirrored_params},
    qualify_name, qualify_uri,
};

use super::{
    ListKind, Naming, Readers, glob,
    text::{self, MAX_NAME, MAX_URI},
    warning::{Problem, Warnings},
};
use crate::gateway::rewrite::{Splices, span};

/// Longest name that every client takes, in characters.
const CLIENT_NAME: usize = 64;
const OUTPUT: &str = "outputSchema";

/// One tool, prompt, resource or template, ready to be shown under either naming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// What clients of the server's own endpoint call it: its name after a rename, or its URI.
    pub(super) shown: Box<str>,
    /// What the server calls it, when that is something else.
    renamed_from: Option<Box<str>>,
    /// The entry as JSON.
    text: Box<str>,
    /// Its `outputSchema` describes something else than an object, which earlier revisions than 2026-07-28 do not allow.
    newer: bool,
    /// Where in `text` its name or URI stands.
    name_at: Range<usize>,
    /// Where in `text` URIs of user-interface resources stand.
    ui_at: Box<[Range<usize>]>,
    /// Which arguments of the tool are repeated in headers.
    mirrored: Box<[MirroredParam]>,
}

/// Members that clients refuse, together with the whole list, when their JSON type is another; known by its first byte.
const SHAPES: &[(&str, u8)] = &[
    ("title", b'"'),
    ("description", b'"'),
    ("mimeType", b'"'),
    ("annotations", b'{'),
    ("_meta", b'{'),
    ("icons", b'['),
    ("arguments", b'['),
    ("execution", b'{'),
];

impl Entry {
    /// Reads one element of a server's list; `None` when it is left out.
    pub(super) fn read(kind: ListKind, raw: &RawValue, rules: &ToolRules, warnings: &mut Warnings<'_>) -> Option<Self> {
        let object = match RawObject::from_raw(raw) {
            Ok(object) => object,
            Err(e) => {
                warnings.add(kind, "?", Problem::NotAnObject(e.to_string()));
                return None;
            }
        };
        let field = kind.name_field();
        let Some(own) = object.get_string(field) else {
            warnings.add(kind, "?", Problem::Nameless(field));
            return None;
        };
        if let Err(why) = check_name(kind, &own) {
            warnings.add(kind, &own, Problem::BadName(why));
            return None;
        }
        let mut edits = Splices::of(raw.get());
        let mut shown: &str = &own;
        let mut described = None;
        let mut mirrored = Vec::new();
        if kind == ListKind::Tools {
            if !permitted(rules, &own) {
                return None;
            }
            if let Some(new) = lookup(&rules.rename, &own) {
                if let Err(why) = check_name(kind, new) {
                    warnings.add(kind, &own, Problem::BadRename(new.to_owned(), why));
                    return None;
                }
                edits.replace(object.get(field)?, json_string(new).get().to_owned());
                shown = new;
            }
            described = lookup(&rules.describe, &own);
            if !tool_schemas(&object, &mut edits, &own, warnings) {
                return None;
            }
            mirrored = headers_of(&object, &mut edits, &own, warnings);
        }
        if let Some(description) = described {
            edits.set(&object, "description", json_string(description).get());
        }
        if kind.has_uris() && object.get_string("name").is_none() {
            edits.set(&object, "name", json_string(&own).get());
        }
        tidy(kind, raw.get(), &object, described.is_some(), &mut edits, &own, warnings);
        let newer = kind == ListKind::Tools && !has_object_output(&object);
        let renamed_from = (shown != own).then(|| Box::from(&*own));
        Self::located(kind, shown.into(), renamed_from, mirrored.into(), newer, edits.finish())
    }

    fn located(
        kind: ListKind,
        shown: Box<str>,
        renamed_from: Option<Box<str>>,
        mirrored: Box<[MirroredParam]>,
        newer: bool,
        text: Cow<'_, str>,
    ) -> Option<Self> {
        let object = RawObject::from_text(&text).ok()?;
        let name_at = span(&text, object.get(kind.name_field())?.get())?;
        let mut ui_at = Vec::new();
        if let Some(meta) = object.get_object("_meta") {
            let nested = meta.get_object("ui").and_then(|ui| ui.get("resourceUri"));
            let found = [meta.get("ui/resourceUri"), nested];
            ui_at.extend(found.into_iter().flatten().filter_map(|uri| span(&text, uri.get())));
        }
        Some(Self { shown, renamed_from, name_at, ui_at: ui_at.into(), mirrored, newer, text: text.into() })
    }

    /// What the server calls it.
    pub(super) fn own(&self) -> &str {
        self.renamed_from.as_deref().unwrap_or(&self.shown)
    }

    /// Which arguments of the tool its calls repeat in headers.
    pub(super) fn mirrored(&self) -> &[MirroredParam] {
        &self.mirrored
    }

    /// Its description; read only when somebody searches.
    pub(super) fn description(&self) -> Option<Cow<'_, str>> {
        RawObject::from_text(&self.text).ok()?.get_string("description")
    }

    /// Its name or URI at the common endpoint.
    pub(super) fn qualified(&self, kind: ListKind, server: &str) -> String {
        if kind.has_uris() { qualify_uri(server, &self.shown) } else { qualify_name(server, &self.shown) }
    }

    /// Whether not all clients may see all of it.
    pub(super) fn is_newer(&self) -> bool {
        self.newer
    }

    /// The JSON that these clients see.
    pub(super) fn json(&self, kind: ListKind, naming: Naming, server: &str, readers: Readers) -> Cow<'_, str> {
        let lowered = self.newer && readers == Readers::Sessions;
        if naming == Naming::Own && !lowered {
            return Cow::Borrowed(&self.text);
        }
        let mut edits = Splices::of(&self.text);
        if lowered && let Ok(object) = RawObject::from_text(&self.text) {
            edits.retain(&self.text, &object, |key| key != OUTPUT);
        }
        if naming == Naming::Own {
            return edits.finish();
        }
        edits.replace_range(self.name_at.clone(), json_string(&self.qualified(kind, server)).get().to_owned());
        for at in &self.ui_at {
            if let Some(uri) = text::decode(&self.text[at.clone()]) {
                edits.replace_range(at.clone(), json_string(&qualify_uri(server, &uri)).get().to_owned());
            }
        }
        edits.finish()
    }

    /// Says when some clients would refuse the name at the common endpoint.
    pub(super) fn warn_of_picky_clients(&self, kind: ListKind, warnings: &mut Warnings<'_>) {
        if kind.has_uris() {
            return;
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        let exposed = self.qualified(kind, warnings.server.as_str());
        let length = exposed.chars().count();
        if !exposed.bytes().all(plain) {
            warnings.add(kind, &self.shown, Problem::OddName);
        } else if length > CLIENT_NAME {
            warnings.add(kind, &self.shown, Problem::LongName { exposed, length });
        }
    }
}

/// Whether what a tool returns is an object, as far as it says.
fn has_object_output(tool: &RawObject<'_>) -> bool {
    let schema = tool.get(OUTPUT).filter(|schema| schema.get().starts_with('{'));
    let kind =
        schema.map(|schema| RawObject::from_raw(schema).ok().and_then(|schema| schema.get("type")).map(RawValue::get));
    kind.is_none_or(|kind| kind == Some(r#""object""#))
}

fn check_name(kind: ListKind, name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.chars().any(text::is_hidden) {
        return Err("has control or invisible characters");
    }
    if kind.has_uris() {
        return if name.len() > MAX_URI { Err("is a URI of more than 8 KiB") } else { Ok(()) };
    }
    if name.chars().nth(MAX_NAME).is_some() { Err("has more than 256 characters") } else { Ok(()) }
}

fn permitted(rules: &ToolRules, name: &str) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| glob::fits(pattern, name));
    (rules.allow.is_empty() || any(&rules.allow)) && !any(&rules.deny)
}

fn lookup<'r>(pairs: &'r [(String, String)], name: &str) -> Option<&'r str> {
    pairs.iter().find(|(own, _)| own == name).map(|(_, new)| new.as_str())
}

/// Makes `inputSchema` what every client takes. One tool that breaks this rule makes strict clients refuse the whole
/// list, and here the list holds the tools of all servers. False when the tool has to go.
fn tool_schemas(object: &RawObject<'_>, edits: &mut Splices<'_>, name: &str, warnings: &mut Warnings<'_>) -> bool {
    const ANY: &str = r#"{"type":"object"}"#;
    let by_task = object.get_object("execution").and_then(|e| e.get_string("taskSupport").map(|t| t == "required"));
    if by_task == Some(true) {
        warnings.add(ListKind::Tools, name, Problem::NeedsTasks);
        return false;
    }
    let Some(schema) = object.get("inputSchema") else {
        edits.append(object, "inputSchema", ANY);
        return true;
    };
    let kind = RawObject::from_raw(schema).ok().map(|mut members| {
        // It does not belong here, and leaves.
        members.remove(ANNOTATION);
        (members.is_empty(), members.get("type").map(RawValue::get))
    });
    match kind {
        Some((_, Some(r#""object""#))) => true,
        Some((true, _)) => {
            edits.replace(schema, ANY.to_owned());
            true
        }
        Some((false, None)) => {
            edits.insert_in(schema, r#""type":"object","#);
            true
        }
        Some((false, Some(_))) | None => {
            warnings.add(ListKind::Tools, name, Problem::BadSchema);
            false
        }
    }
}

/// Which arguments of a tool its calls repeat in headers. An annotation that breaks the rules would cost the tool, since
/// clients must leave such a tool out (2026-07-28, transports, schema extension); so it is the annotation that goes.
fn headers_of(
    object: &RawObject<'_>,
    edits: &mut Splices<'_>,
    name: &str,
    warnings: &mut Warnings<'_>,
) -> Vec<MirroredParam> {
    let Some(schema) = object.get("inputSchema") else { return Vec::new() };
    let (params, bad) = mirrored_params(schema);
    for annotation in bad {
        warnings.add(ListKind::Tools, name, Problem::BadHeader(annotation.why));
        if let Ok(members) = RawObject::from_raw(annotation.schema) {
            edits.retain(annotation.schema.get(), &members, |key| key != ANNOTATION);
        }
    }
    params
}

/// Takes out what clients choke on or what people cannot see.
fn tidy(
    kind: ListKind,
    text: &str,
    object: &RawObject<'_>,
    described: bool,
    edits: &mut Splices<'_>,
    name: &str,
    warnings: &mut Warnings<'_>,
) {
    let wrong = |key: &str, first: u8| {
        let value = object.get(key).map(RawValue::get).filter(|value| !value.as_bytes().starts_with(&[first]))?;
        (key != "description" || !described).then_some(value)
    };
    let mut gone: Vec<&str> = Vec::new();
    for (key, first) in SHAPES {
        if let Some(value) = wrong(key, *first) {
            gone.push(key);
            if value != "null" {
                warnings.add(kind, name, Problem::BadField(key));
            }
        }
    }
    if let Some(schema) = object.get(OUTPUT).filter(|schema| kind == ListKind::Tools && !schema.get().starts_with('{'))
    {
        gone.push(OUTPUT);
        if schema.get() != "null" {
            warnings.add(kind, name, Problem::BadField(OUTPUT));
        }
    }
    if !gone.is_empty() {
        edits.retain(text, object, |key| !gone.contains(&key));
    }
    let keys: &[&str] = if kind.has_uris() { &["name", "title", "description"] } else { &["title", "description"] };
    let hidden = text::hidden_in(text, keys);
    if !hidden.is_empty() {
        warnings.add(kind, name, Problem::HiddenCharacters);
    }
    for (range, with) in hidden {
        edits.replace_range(range, with);
    }
}
