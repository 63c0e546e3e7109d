//! One entry of a list, read and checked.

use std::{borrow::Cow, ops::Range};

use mcproxy_ipc::{SuspicionRule, ToolRules};
use mcproxy_mcp::{
    RawObject, RawValue, is_uri, json_string,
    mirrored::{ANNOTATION, MirroredParam, mirrored_params},
    qualify_name, qualify_template, qualify_uri,
};
use sha2::{Digest, Sha256};

use super::{
    ListKind, Readers,
    arguments::ArgumentSchema,
    check::{self, Mended},
    derived::Derived,
    glob, overrides, suspicion,
    text::{self, MAX_NAME, MAX_URI},
    warning::{CatalogueProblem, Warnings},
};
use crate::gateway::rewrite::{Naming, Splices, span, ui_refs_of};

/// Longest name that every client takes, in characters.
const CLIENT_NAME: usize = 64;
const OUTPUT: &str = "outputSchema";

/// One tool, prompt, resource or template, ready to be shown under either naming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name at the server's own endpoint: the name after a rename, or the URI.
    pub(super) shown: Box<str>,
    /// The server's name for it, when that is another.
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
    /// What arguments are held against; `None`: they cannot be.
    arguments: Derived<Option<Box<ArgumentSchema>>>,
    /// The digest of `text`.
    digest: Derived<[u8; 32]>,
}

impl Entry {
    /// Reads one element of a server's list; `None` when it is left out.
    pub(super) fn read(kind: ListKind, raw: &RawValue, rules: &ToolRules, warnings: &mut Warnings<'_>) -> Option<Self> {
        let (json, repaired) = check::as_i_json(raw.get());
        let object = match RawObject::from_text(&json) {
            Ok(object) => object,
            Err(e) => {
                warnings.add(kind, "?", CatalogueProblem::NotAnObject(e.to_string()));
                return None;
            }
        };
        let field = kind.name_field();
        let Some(own) = object.get_string(field) else {
            warnings.add(kind, "?", CatalogueProblem::Nameless(field));
            return None;
        };
        if let Err(why) = check_name(kind, &own) {
            warnings.add(kind, &own, CatalogueProblem::BadName(why));
            return None;
        }
        // Two readers would call it by two names.
        if let Some(twice) = repaired.iter().find(|mended| mended.pointer.strip_prefix('/') == Some(field)) {
            warnings.add(kind, &own, CatalogueProblem::Unfit(twice.clone()));
            return None;
        }
        if kind == ListKind::Tools && !permitted(rules, &own) {
            return None;
        }
        if kind == ListKind::Tools && needs_tasks(&object) {
            warnings.add(kind, &own, CatalogueProblem::NeedsTasks);
            return None;
        }
        let (json, mended) = match check::entry(kind, &json) {
            Ok(checked) => checked,
            Err(unfit) => {
                warnings.add(kind, &own, CatalogueProblem::Unfit(unfit));
                return None;
            }
        };
        for mended in repaired.into_iter().chain(mended) {
            warnings.add(kind, &own, CatalogueProblem::Mended(mended));
        }
        Self::read_checked(kind, &own, &json, rules, warnings)
    }

    /// The same, of JSON that clients take.
    fn read_checked(
        kind: ListKind,
        own: &str,
        json: &str,
        rules: &ToolRules,
        warnings: &mut Warnings<'_>,
    ) -> Option<Self> {
        let object = RawObject::from_text(json).ok()?;
        let mut edits = Splices::of(json);
        let mut shown = own;
        let mut mirrored = Vec::new();
        if kind == ListKind::Tools {
            if let Some(new) = lookup(&rules.rename, own) {
                if let Err(why) = check_name(kind, new) {
                    warnings.add(kind, own, CatalogueProblem::BadRename(new.to_owned(), why));
                    return None;
                }
                edits.replace(object.get(kind.name_field())?, json_string(new).get().to_owned());
                shown = new;
            }
            overrides::apply(&object, &mut edits, own, rules);
            output_schema(json, &object, &mut edits, own, warnings);
            mirrored = headers_of(&object, &mut edits, own, warnings);
        }
        if kind.has_uris() && object.get("name").is_none() {
            edits.append(&object, "name", json_string(own).get());
        }
        if kind == ListKind::Tools && is_held(json, own, rules, warnings) {
            return None;
        }
        remove_hidden(kind, json, &mut edits, own, warnings);
        let newer = kind == ListKind::Tools && !has_object_output(&object);
        let renamed_from = (shown != own).then(|| Box::from(own));
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
            ui_at.extend(ui_refs_of(&meta).filter_map(|uri| span(&text, uri.get())));
        }
        let (ui_at, text) = (ui_at.into(), text.into());
        let (arguments, digest) = (Derived::default(), Derived::default());
        Some(Self { shown, renamed_from, name_at, ui_at, mirrored, newer, text, arguments, digest })
    }

    /// The tool as a group shows it. `qualified`: its name at the common endpoint, which the group's rules know; `shown`: its name
    /// in the group.
    pub(super) fn in_group(&self, qualified: &str, shown: &str, rules: &ToolRules) -> Option<Self> {
        let object = RawObject::from_text(&self.text).ok()?;
        let mut edits = Splices::of(&self.text);
        if shown != &*self.shown {
            edits.replace_range(self.name_at.clone(), json_string(shown).get().to_owned());
        }
        overrides::apply(&object, &mut edits, qualified, rules);
        let renamed_from = (shown != self.own()).then(|| Box::from(self.own()));
        let text = edits.finish();
        Self::located(ListKind::Tools, shown.into(), renamed_from, self.mirrored.clone(), self.newer, text)
    }

    /// All of it, as JSON under the names of its own endpoint.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The SHA-256 of that.
    pub(super) fn digest(&self) -> [u8; 32] {
        *self.digest.get(|| Sha256::digest(self.text.as_bytes()).into())
    }

    /// The server's name for it.
    pub(super) fn own(&self) -> &str {
        self.renamed_from.as_deref().unwrap_or(&self.shown)
    }

    /// Which arguments of the tool its calls repeat in headers.
    pub(super) fn mirrored(&self) -> &[MirroredParam] {
        &self.mirrored
    }

    /// What is wrong with arguments for the tool, JSON; none: nothing that we could see.
    pub(super) fn mistakes(&self, arguments: &str) -> Vec<String> {
        let schema = self.arguments.get(|| ArgumentSchema::of_tool(&self.text).map(Box::new));
        schema.as_ref().map(|schema| schema.mistakes(arguments)).unwrap_or_default()
    }

    /// Its description; read only for a search.
    pub(super) fn description(&self) -> Option<Cow<'_, str>> {
        RawObject::from_text(&self.text).ok()?.get_string("description")
    }

    /// Its name or URI at the common endpoint.
    pub(super) fn qualified(&self, kind: ListKind, server: &str) -> String {
        match kind {
            ListKind::Tools | ListKind::Prompts => qualify_name(server, &self.shown),
            ListKind::Resources => qualify_uri(server, &self.shown),
            ListKind::Templates => qualify_template(server, &self.shown),
        }
    }

    /// Whether not all clients may see all of it.
    pub(super) fn is_newer(&self) -> bool {
        self.newer
    }

    /// The JSON that these clients see.
    pub(super) fn json(&self, kind: ListKind, naming: Naming, server: &str, readers: Readers) -> Cow<'_, str> {
        let downgraded = self.newer && readers == Readers::Sessions;
        // Some clients refuse the whole list for one that is no URI, whichever server it is of.
        let foreign = kind == ListKind::Resources && !is_uri(&self.shown);
        if naming == Naming::Own && !downgraded && !foreign {
            return Cow::Borrowed(&self.text);
        }
        let mut edits = Splices::of(&self.text);
        if downgraded && let Ok(object) = RawObject::from_text(&self.text) {
            edits.retain(&self.text, &object, |key| key != OUTPUT);
        }
        if naming == Naming::Own && !foreign {
            return edits.finish();
        }
        edits.replace_range(self.name_at.clone(), json_string(&self.qualified(kind, server)).get().to_owned());
        for at in self.ui_at.iter().filter(|_| naming == Naming::Qualified) {
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
            warnings.add(kind, &self.shown, CatalogueProblem::OddName);
        } else if length > CLIENT_NAME {
            warnings.add(kind, &self.shown, CatalogueProblem::LongName { exposed, length });
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

pub(super) fn check_name(kind: ListKind, name: &str) -> Result<(), &'static str> {
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

pub(super) fn permitted(rules: &ToolRules, name: &str) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| glob::fits(pattern, name));
    (rules.allow.is_empty() || any(&rules.allow)) && !any(&rules.deny)
}

pub(super) fn lookup<'r>(pairs: &'r [(String, String)], name: &str) -> Option<&'r str> {
    pairs.iter().find(|(own, _)| own == name).map(|(_, new)| new.as_str())
}

/// Whether a tool can only be run as a task of 2025-11-25, of a server that runs none. Where the server does, its worker calls
/// the tool `optional` and makes the tasks.
fn needs_tasks(tool: &RawObject<'_>) -> bool {
    tool.get_object("execution").is_some_and(|e| e.get_string("taskSupport").as_deref() == Some("required"))
}

/// Takes out an `outputSchema` that clients cannot compile, and its `$id`: some clients keep the schemas of all servers
/// under their ids, so one server could put its own in the place of another's.
fn output_schema(text: &str, tool: &RawObject<'_>, edits: &mut Splices<'_>, name: &str, warnings: &mut Warnings<'_>) {
    const ID: &str = "$id";
    let Some(schema) = tool.get(OUTPUT) else { return };
    let Ok(members) = RawObject::from_raw(schema) else { return };
    let mut without_id = members.clone();
    without_id.remove(ID);
    let Some((pointer, why)) = check::refused_output(&without_id.to_raw()) else {
        edits.retain(schema.get(), &members, |key| key != ID);
        return;
    };
    edits.retain(text, tool, |key| key != OUTPUT);
    let pointer = format!("/{OUTPUT}{pointer}");
    let done = "the outputSchema was left out, or clients would refuse the whole list";
    warnings.add(ListKind::Tools, name, CatalogueProblem::Mended(Mended { pointer, why: why.into(), done }));
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
        warnings.add(ListKind::Tools, name, CatalogueProblem::BadHeader(annotation.why));
        if let Ok(members) = RawObject::from_raw(annotation.schema) {
            edits.retain(annotation.schema.get(), &members, |key| key != ANNOTATION);
        }
    }
    params
}

/// Whether a tool is held because its texts try to give orders, and says so.
fn is_held(json: &str, own: &str, rules: &ToolRules, warnings: &mut Warnings<'_>) -> bool {
    if rules.suspicious == SuspicionRule::Ignore {
        return false;
    }
    let holds = rules.suspicious == SuspicionRule::Hold;
    let found = suspicion::of_tool(json, lookup(&rules.describe, own), lookup(&rules.title, own));
    if let Some(found) = found {
        let done = if holds { "; it is held (tools.suspicious)" } else { "" };
        warnings.add(ListKind::Tools, own, CatalogueProblem::Suspicious(found, done));
    }
    let held = holds && found.is_some();
    if held {
        warnings.hold(own);
    }
    held
}

/// Takes out what people cannot see.
fn remove_hidden(kind: ListKind, text: &str, edits: &mut Splices<'_>, name: &str, warnings: &mut Warnings<'_>) {
    let keys: &[&str] = if kind.has_uris() { &["name", "title", "description"] } else { &["title", "description"] };
    let hidden = text::hidden_in(text, keys);
    if !hidden.is_empty() {
        warnings.add(kind, name, CatalogueProblem::HiddenCharacters);
    }
    for (range, with) in hidden {
        edits.replace_range(range, with);
    }
}
