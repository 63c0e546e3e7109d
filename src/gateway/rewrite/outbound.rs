//! From a server to a client.

use std::{borrow::Cow, sync::LazyLock};

use mcproxy_mcp::{ProtocolVersion, RawObject, RawValue, json_string, meta, qualify_task, qualify_uri};
use memchr::memmem::Finder;

use super::{Naming, Splices, splice::elements, ui_refs};

/// One of the functions here: the client's naming, the server, its result, the client's version.
pub(crate) type ResultRewrite = for<'r> fn(Naming, &str, &'r str, ProtocolVersion) -> Cow<'r, str>;

/// The result of `tools/call`, as the client understands it.
pub(crate) fn call_result<'r>(naming: Naming, server: &str, raw: &'r str, version: ProtocolVersion) -> Cow<'r, str> {
    Outbound { naming, server, version }.call_result(raw)
}

/// The result of `prompts/get`, as the client understands it.
pub(crate) fn prompt_result<'r>(naming: Naming, server: &str, raw: &'r str, version: ProtocolVersion) -> Cow<'r, str> {
    Outbound { naming, server, version }.prompt_result(raw)
}

/// The result of `resources/read`, as the client understands it.
pub(crate) fn read_result<'r>(naming: Naming, server: &str, raw: &'r str, version: ProtocolVersion) -> Cow<'r, str> {
    Outbound { naming, server, version }.read_result(raw)
}

/// The result of a call that is made as a task (2025-11-25): the task, or the tool's answer at once.
pub(crate) fn created_task<'r>(naming: Naming, server: &str, raw: &'r str, version: ProtocolVersion) -> Cow<'r, str> {
    let outbound = Outbound { naming, server, version };
    let task = RawObject::from_text(raw).ok().and_then(|object| object.get_object("task"));
    match task.filter(|_| naming == Naming::Qualified) {
        Some(task) => {
            let mut edits = Splices::of(raw);
            outbound.task_id(&task, &mut edits);
            edits.finish()
        }
        None => outbound.call_result(raw),
    }
}

/// The outcome of a task: the result of its tool, which says in its `_meta` which task it is of.
pub(crate) fn task_outcome<'r>(naming: Naming, server: &str, raw: &'r str, version: ProtocolVersion) -> Cow<'r, str> {
    let outbound = Outbound { naming, server, version };
    let result = outbound.call_result(raw);
    let related = {
        let object = RawObject::from_text(&result).unwrap_or_default();
        object.get_object("_meta").and_then(|all| all.get_object(meta::RELATED_TASK)).map(|task| {
            let mut edits = Splices::of(&result);
            outbound.task_id(&task, &mut edits);
            edits.finish().into_owned()
        })
    };
    related.map_or(result, Cow::Owned)
}

/// The entries of skills and directories (SEP-2640): each file by the URI that it can be read at.
pub(crate) fn skill_result<'r>(naming: Naming, server: &str, raw: &'r str, version: ProtocolVersion) -> Cow<'r, str> {
    Outbound { naming, server, version }.skill_result(raw)
}

/// The result of `tasks/get`: of a task that is over, what the call came to is part of it.
pub(crate) fn task_result<'r>(naming: Naming, server: &str, raw: &'r str, version: ProtocolVersion) -> Cow<'r, str> {
    Outbound { naming, server, version }.task_result(raw)
}

/// A JSON-RPC error: a resource that was not found is named in `data.uri`.
pub(crate) fn error<'r>(naming: Naming, server: &str, raw: &'r str, version: ProtocolVersion) -> Cow<'r, str> {
    let mut edits = Splices::of(raw);
    if let Some(data) = RawObject::from_text(raw).ok().and_then(|error| error.get_object("data")) {
        Outbound { naming, server, version }.uri(&data, &mut edits);
    }
    edits.finish()
}

/// The params of `notifications/resources/updated`.
pub(crate) fn updated_params<'r>(naming: Naming, server: &str, raw: &'r str, version: ProtocolVersion) -> Cow<'r, str> {
    let mut edits = Splices::of(raw);
    if let Ok(object) = RawObject::from_text(raw) {
        Outbound { naming, server, version }.uri(&object, &mut edits);
    }
    edits.finish()
}

/// A result that holds no names and no URIs.
pub(crate) fn unchanged<'r>(_: Naming, _: &str, raw: &'r str, _: ProtocolVersion) -> Cow<'r, str> {
    Cow::Borrowed(raw)
}

/// The client that a result goes to, and the server that it comes from, as far as a rewrite has to know them.
struct Outbound<'a> {
    naming: Naming,
    server: &'a str,
    version: ProtocolVersion,
}

impl Outbound<'_> {
    fn call_result<'r>(&self, raw: &'r str) -> Cow<'r, str> {
        let structured = self.version < ProtocolVersion::V2026_07_28 && holds(raw, &STRUCTURED);
        let task = self.naming == Naming::Qualified && holds(raw, &TASK);
        if !structured && !task && !self.concerns(raw) {
            return Cow::Borrowed(raw);
        }
        let Ok(object) = RawObject::from_text(raw) else { return Cow::Borrowed(raw) };
        let mut edits = Splices::of(raw);
        if task && object.get_string("resultType").as_deref() == Some("task") {
            self.task_id(&object, &mut edits);
        }
        self.ui_refs(&object, &mut edits);
        let content = elements(object.get("content"));
        let value = object.get("structuredContent").filter(|_| structured);
        // Only an object may stand there up to 2025-11-25.
        let misplaced = value.is_some_and(|value| !value.get().starts_with('{'));
        if misplaced {
            edits.retain(raw, &object, |key| key != "structuredContent");
        }
        // Who does not get it or does not know it (before 2025-06-18) reads `content`, which all revisions want to be there: servers
        // are to put the same into a text block.
        let unread = misplaced || self.version < ProtocolVersion::V2025_06_18 || object.get("content").is_none();
        if let Some(value) = value.filter(|value| unread && content.is_empty() && value.get() != "null") {
            let block = text_block(value.get());
            match object.get("content") {
                Some(old) => edits.replace(old, format!("[{block}]")),
                None if misplaced && object.iter().count() == 1 => {
                    return Cow::Owned(format!("{{\"content\":[{block}]}}"));
                }
                None => edits.append(&object, "content", &format!("[{block}]")),
            }
        }
        if self.concerns(raw) {
            for block in content {
                self.block(block, &mut edits);
            }
        }
        edits.finish()
    }

    fn task_result<'r>(&self, raw: &'r str) -> Cow<'r, str> {
        let Ok(object) = RawObject::from_text(raw) else { return Cow::Borrowed(raw) };
        let mut edits = Splices::of(raw);
        self.task_id(&object, &mut edits);
        self.ui_refs(&object, &mut edits);
        if let Some(result) = object.get_object("result").filter(|_| self.concerns(raw)) {
            self.ui_refs(&result, &mut edits);
            for block in elements(result.get("content")) {
                self.block(block, &mut edits);
            }
        }
        edits.finish()
    }

    fn task_id(&self, task: &RawObject<'_>, edits: &mut Splices<'_>) {
        if let (Naming::Qualified, Some(raw), Some(id)) = (self.naming, task.get("taskId"), task.get_string("taskId")) {
            edits.replace(raw, json_string(&qualify_task(self.server, &id)).get().to_owned());
        }
    }

    fn prompt_result<'r>(&self, raw: &'r str) -> Cow<'r, str> {
        if !self.concerns(raw) {
            return Cow::Borrowed(raw);
        }
        let Ok(object) = RawObject::from_text(raw) else { return Cow::Borrowed(raw) };
        let mut edits = Splices::of(raw);
        self.ui_refs(&object, &mut edits);
        for message in elements(object.get("messages")) {
            let content = RawObject::from_raw(message).ok().and_then(|message| message.get("content"));
            match content {
                Some(block) if block.get().starts_with('{') => self.block(block, &mut edits),
                other => elements(other).into_iter().for_each(|block| self.block(block, &mut edits)),
            }
        }
        edits.finish()
    }

    fn read_result<'r>(&self, raw: &'r str) -> Cow<'r, str> {
        if self.naming == Naming::Own {
            return Cow::Borrowed(raw);
        }
        let Ok(object) = RawObject::from_text(raw) else { return Cow::Borrowed(raw) };
        let mut edits = Splices::of(raw);
        self.ui_refs(&object, &mut edits);
        for part in elements(object.get("contents")) {
            if let Ok(part) = RawObject::from_raw(part) {
                self.uri(&part, &mut edits);
                self.ui_refs(&part, &mut edits);
            }
        }
        edits.finish()
    }

    fn skill_result<'r>(&self, raw: &'r str) -> Cow<'r, str> {
        let Ok(object) = RawObject::from_text(raw) else { return Cow::Borrowed(raw) };
        let mut edits = Splices::of(raw);
        for entry in elements(object.get("skills")).into_iter().chain(object.get("skill")) {
            self.named(entry, &mut edits);
        }
        // Of a directory.
        for entry in elements(object.get("resources")) {
            self.named(entry, &mut edits);
        }
        edits.finish()
    }

    /// The URI of an entry, and of all files that it lists.
    fn named(&self, entry: &RawValue, edits: &mut Splices<'_>) {
        let Ok(entry) = RawObject::from_raw(entry) else { return };
        self.uri(&entry, edits);
        for file in elements(entry.get("resources")) {
            if let Ok(file) = RawObject::from_raw(file) {
                self.uri(&file, edits);
            }
        }
    }

    /// Whether a result may hold a block that is changed; decided without parsing it.
    fn concerns(&self, raw: &str) -> bool {
        let links = self.naming == Naming::Qualified || self.version < ProtocolVersion::V2025_06_18;
        let refers = self.naming == Naming::Qualified && ui_refs::may_be_in(raw);
        refers
            || (links && holds(raw, &RESOURCE))
            || (self.version < ProtocolVersion::V2025_03_26 && holds(raw, &AUDIO))
    }

    fn block(&self, raw: &RawValue, edits: &mut Splices<'_>) {
        let Ok(block) = RawObject::from_raw(raw) else { return };
        self.ui_refs(&block, edits);
        match block.get_string("type").as_deref() {
            Some("resource_link") if self.version < ProtocolVersion::V2025_06_18 => {
                edits.replace(raw, self.link_as_text(&block));
            }
            Some("resource_link") => self.uri(&block, edits),
            Some("resource") => {
                if let Some(resource) = block.get_object("resource") {
                    self.uri(&resource, edits);
                    self.ui_refs(&resource, edits);
                }
            }
            Some("audio") if self.version < ProtocolVersion::V2025_03_26 => {
                let kind = block.get_string("mimeType").unwrap_or(Cow::Borrowed("unknown type"));
                let size = block.get_string("data").map_or(0, |data| data.len() / 4 * 3);
                let text = format!("[audio, {kind}, about {size} bytes: this client's protocol version has no audio]");
                edits.replace(raw, text_block(&text));
            }
            _ => {}
        }
    }

    fn uri(&self, object: &RawObject<'_>, edits: &mut Splices<'_>) {
        if self.naming == Naming::Own {
            return;
        }
        if let (Some(raw), Some(uri)) = (object.get("uri"), object.get_string("uri")) {
            edits.replace(raw, json_string(&qualify_uri(self.server, &uri)).get().to_owned());
        }
    }

    /// The references in the `_meta` of an object.
    fn ui_refs(&self, object: &RawObject<'_>, edits: &mut Splices<'_>) {
        let Some(meta) = object.get_object("_meta").filter(|_| self.naming == Naming::Qualified) else { return };
        for reference in ui_refs::of_meta(&meta) {
            if let Ok(uri) = serde_json::from_str::<String>(reference.get()) {
                edits.replace(reference, json_string(&qualify_uri(self.server, &uri)).get().to_owned());
            }
        }
    }

    fn link_as_text(&self, link: &RawObject<'_>) -> String {
        let uri = link.get_string("uri").unwrap_or_default();
        let uri = match self.naming {
            Naming::Qualified => Cow::Owned(qualify_uri(self.server, &uri)),
            Naming::Own => uri,
        };
        let mut text = format!("[resource] {uri}");
        for key in ["title", "name", "mimeType", "description"] {
            if let Some(more) = link.get_string(key) {
                text.push_str(&format!("\n{key}: {more}"));
            }
        }
        text_block(&text)
    }
}

// Every result is searched for these; preparing a search costs more than searching a short result.
static STRUCTURED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""structuredContent""#));
static TASK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""taskId""#));
static RESOURCE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"resource"));
static AUDIO: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"audio\""));

fn holds(raw: &str, needle: &Finder<'static>) -> bool {
    needle.find(raw.as_bytes()).is_some()
}

fn text_block(text: &str) -> String {
    format!("{{\"type\":\"text\",\"text\":{}}}", json_string(text).get())
}

#[cfg(test)]
#[path = "outbound_tests.rs"]
mod tests;
