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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: ProtocolVersion = ProtocolVersion::V2025_11_25;
    const Q: Naming = Naming::Qualified;

    #[test]
    fn links_and_embedded_resources_of_a_tool_stay_readable() {
        let raw = r#"{ "content":[{"type":"text","text":"resource"},{"n":1.50,"type":"resource_link","uri":"f:///a","name":"uri"},{"type":"resource","resource":{"uri":"ui://x/y","text":"uri"}}], "big":12345678901234567890123}"#;
        let expected = r#"{ "content":[{"type":"text","text":"resource"},{"n":1.50,"type":"resource_link","uri":"s+f:///a","name":"uri"},{"type":"resource","resource":{"uri":"ui://s+x/y","text":"uri"}}], "big":12345678901234567890123}"#;
        assert_eq!(call_result(Q, "s", raw, NOW), expected);
        assert!(matches!(call_result(Naming::Own, "s", raw, NOW), Cow::Borrowed(_)));
    }

    #[test]
    fn references_to_user_interfaces_are_rewritten_wherever_they_stand() {
        let meta = r#""_meta":{"ui":{"resourceUri":"ui://w/1"},"openai/outputTemplate":"ui://w/2","ui/resourceUri":"ui://w/3","n":1.50}"#;
        let rewritten = meta.replace("ui://w", "ui://s+w");
        let block = format!(r#"{{"type":"text","text":"x",{meta}}}"#);
        let embedded = format!(r#"{{"type":"resource","resource":{{"uri":"a:b",{meta}}}}}"#);
        for (raw, rewrite) in [
            (format!(r#"{{"content":[],{meta}}}"#), call_result as ResultRewrite),
            (format!(r#"{{"content":[{block},{embedded}]}}"#), call_result),
            (format!(r#"{{"messages":[{{"role":"user","content":{block}}}],{meta}}}"#), prompt_result),
            (format!(r#"{{"contents":[{{"uri":"a:b",{meta}}}],{meta}}}"#), read_result),
            (format!(r#"{{"taskId":7,"result":{{"content":[{block}],{meta}}}}}"#), task_result),
        ] {
            let expected = raw.replace(meta, &rewritten).replace(r#""uri":"a:b""#, r#""uri":"s+a:b""#);
            assert_eq!(rewrite(Q, "s", &raw, NOW), expected);
            assert_eq!(rewrite(Naming::Own, "s", &raw, NOW), raw);
        }
    }

    #[test]
    fn a_result_without_links_is_not_even_parsed() {
        let not_json = "{\"content\":[{\"type\":\"text\"";
        assert!(matches!(call_result(Q, "s", not_json, NOW), Cow::Borrowed(text) if text == not_json));
    }

    #[test]
    fn prompts_and_reads_are_rewritten_in_their_own_places() {
        let prompt = r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"a:b"}}},{"content":[{"type":"resource_link","uri":"c:d"}]}]}"#;
        let expected = r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"s+a:b"}}},{"content":[{"type":"resource_link","uri":"s+c:d"}]}]}"#;
        assert_eq!(prompt_result(Q, "s", prompt, NOW), expected);
        let read = r#"{"contents":[{"uri":"a:b","text":"x"},{"uri":"a:c","blob":""},{"uri":7},3]}"#;
        assert_eq!(
            read_result(Q, "s", read, NOW),
            r#"{"contents":[{"uri":"s+a:b","text":"x"},{"uri":"s+a:c","blob":""},{"uri":7},3]}"#
        );
    }

    #[test]
    fn tasks_of_sessions_are_known_by_their_server_too() {
        let created = r#"{"task":{"taskId":"7","status":"working","n":1.50}}"#;
        assert_eq!(created_task(Q, "s", created, NOW), created.replace(r#""7""#, r#""s+7""#));
        assert_eq!(created_task(Naming::Own, "s", created, NOW), created);
        let at_once = r#"{"content":[{"type":"resource_link","uri":"a:b"}]}"#;
        assert_eq!(created_task(Q, "s", at_once, NOW), call_result(Q, "s", at_once, NOW));
        let over = r#"{"content":[],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"7"}}}"#;
        assert_eq!(task_outcome(Q, "s", over, NOW), over.replace(r#""7""#, r#""s+7""#));
        assert_eq!(task_outcome(Q, "s", r#"{"content":[]}"#, NOW), r#"{"content":[]}"#);
    }

    #[test]
    fn every_file_of_a_skill_can_be_read_where_it_is_listed() {
        let list = r#"{"skills":[{"uri":"skill://a/SKILL.md","frontmatter":{"uri":"x"},"resources":[{"uri":"skill://a/SKILL.md","size":1.50}]},{"uri":"x:y","resources":"dynamic"},7]}"#;
        let expected = list.replace("skill://", "s+skill://").replace("x:y", "s+x:y");
        assert_eq!(skill_result(Q, "s", list, NOW), expected);
        let one = r#"{"skill":{"uri":"a:b","resources":[{"uri":"a:c"}]},"ttlMs":1}"#;
        assert_eq!(skill_result(Q, "s", one, NOW), one.replace("a:", "s+a:"));
        let directory = r#"{"resources":[{"uri":"a:b","mimeType":"inode/directory"}]}"#;
        assert_eq!(skill_result(Q, "s", directory, NOW), directory.replace("a:", "s+a:"));
        assert_eq!(skill_result(Naming::Own, "s", list, NOW), list);
    }

    #[test]
    fn tasks_are_known_by_their_server() {
        let now = ProtocolVersion::V2026_07_28;
        let begun = r#"{"resultType":"task","taskId":"7","status":"working"}"#;
        assert_eq!(call_result(Q, "s", begun, now), begun.replace(r#""7""#, r#""s+7""#));
        assert_eq!(call_result(Naming::Own, "s", begun, now), begun);
        let other = r#"{"resultType":"complete","taskId":"7"}"#;
        assert_eq!(call_result(Q, "s", other, now), other, "this is the server's own");
        let over = r#"{"resultType":"complete","taskId":"7","status":"completed","result":{"content":[{"type":"resource_link","uri":"a:b","name":"taskId"}]}}"#;
        let expected = over.replace(r#""7""#, r#""s+7""#).replace(r#""a:b""#, r#""s+a:b""#);
        assert_eq!(task_result(Q, "s", over, now), expected);
        assert_eq!(task_result(Naming::Own, "s", over, now), over);
    }

    #[test]
    fn errors_and_updates_name_the_resource_as_the_client_knows_it() {
        let raw = r#"{"code":-32002,"message":"Not found: a:b","data":{"uri":"a:b"}}"#;
        assert_eq!(error(Q, "s", raw, NOW), raw.replace(r#":"a:b""#, r#":"s+a:b""#));
        assert_eq!(error(Naming::Own, "s", raw, NOW), raw);
        assert_eq!(error(Q, "s", r#"{"code":1,"data":[{"uri":"a"}]}"#, NOW), r#"{"code":1,"data":[{"uri":"a"}]}"#);
        assert_eq!(updated_params(Q, "s", r#"{"uri":"a:b","x":1}"#, NOW), r#"{"uri":"s+a:b","x":1}"#);
        assert_eq!(unchanged(Q, "s", raw, NOW), raw);
    }

    #[test]
    fn older_clients_get_text_for_what_they_do_not_know() {
        let raw = r#"{"content":[{"type":"audio","data":"AAAA","mimeType":"audio/wav"},{"type":"resource_link","uri":"a:b","name":"n"}]}"#;
        let old = call_result(Q, "s", raw, ProtocolVersion::V2024_11_05);
        assert_eq!(
            old,
            r#"{"content":[{"type":"text","text":"[audio, audio/wav, about 3 bytes: this client's protocol version has no audio]"},{"type":"text","text":"[resource] s+a:b\nname: n"}]}"#
        );
        let middle = call_result(Naming::Own, "s", raw, ProtocolVersion::V2025_03_26);
        assert!(middle.contains(r#""type":"audio""#) && middle.contains("[resource] a:b"), "{middle}");
    }

    #[test]
    fn structured_content_that_is_no_object_becomes_text() {
        assert_eq!(
            call_result(Q, "s", r#"{"structuredContent":[1]}"#, NOW),
            r#"{"content":[{"type":"text","text":"[1]"}]}"#
        );
        assert_eq!(
            call_result(Q, "s", r#"{"content":[],"structuredContent":3}"#, NOW),
            r#"{"content":[{"type":"text","text":"3"}]}"#
        );
        assert_eq!(
            call_result(Q, "s", r#"{"structuredContent":"x","isError":true}"#, NOW),
            r#"{"isError":true,"content":[{"type":"text","text":"\"x\""}]}"#
        );
        assert_eq!(
            call_result(Q, "s", r#"{"isError":true,"structuredContent":"x"}"#, NOW),
            r#"{"isError":true,"content":[{"type":"text","text":"\"x\""}]}"#
        );
        assert_eq!(
            call_result(Q, "s", r#"{"content":[{"type":"text"}],"structuredContent":null}"#, NOW),
            r#"{"content":[{"type":"text"}]}"#
        );
        let list = r#"{"content":[{"type":"text","text":"[1]"}],"structuredContent":[1]}"#;
        assert_eq!(call_result(Q, "s", list, ProtocolVersion::V2026_07_28), list, "any value may stand there");
        let fine = r#"{"content":[],"structuredContent":{"a":1}}"#;
        assert!(matches!(call_result(Q, "s", fine, NOW), Cow::Borrowed(_)));
    }

    #[test]
    fn a_client_that_does_not_know_structured_content_gets_it_as_text() {
        let text = r#""content":[{"type":"text","text":"{\"a\":1}"}]"#;
        for version in [ProtocolVersion::V2024_11_05, ProtocolVersion::V2025_03_26] {
            for only in [r#"{"structuredContent":{"a":1}}"#, r#"{"content":[],"structuredContent":{"a":1}}"#] {
                let result = call_result(Q, "s", only, version);
                assert!(result.contains(text) && result.contains(r#""structuredContent":{"a":1}"#), "{result}");
                assert!(RawObject::from_text(&result).is_ok(), "{result}");
            }
            let both = r#"{"content":[{"type":"text","text":"one"}],"structuredContent":{"a":1}}"#;
            assert!(matches!(call_result(Q, "s", both, version), Cow::Borrowed(_)));
        }
        // The others know it, but `content` must be there all the same.
        let result = call_result(Q, "s", r#"{"structuredContent":{"a":1}}"#, NOW);
        assert_eq!(result, format!(r#"{{"structuredContent":{{"a":1}},{text}}}"#));
    }

    proptest! {
        #[test]
        fn any_text_passes_without_a_panic(parts in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"content\"", "\"resource\"", "\"resource_link\"", "\"type\"", "\"uri\"", "\"x\"", "1", "null",
            "\"structuredContent\"", "\"messages\"", "\"contents\"", " ", "\"audio\"",
        ]), 0..30)) {
            let text = parts.concat();
            for version in ProtocolVersion::ALL {
                let _ = call_result(Q, "s", &text, version);
                let _ = prompt_result(Q, "s", &text, version);
                let _ = task_result(Q, "s", &text, version);
                let _ = read_result(Q, "s", &text, version);
            }
        }

        #[test]
        fn near_results_stay_json(blocks in prop::collection::vec(prop::sample::select(vec![
            r#"{"type":"resource_link","uri":"a:b"}"#, r#"{"type":"resource","resource":{"uri":"a:\u00e9"}}"#, r#"{"type":"audio"}"#, "null",
            r#"{"type":"resource"}"#, r#"{"type":"resource_link","uri":3}"#, "[]", r#"{"uri":"x","uri":"y","type":"resource_link"}"#,
        ]), 0..6), structured in prop::sample::select(vec!["", r#","structuredContent":[1]"#, r#","structuredContent" : {} , "z":1"#])) {
            let text = format!("{{\"content\" : [{}]{structured}}}", blocks.join(","));
            for version in ProtocolVersion::ALL {
                let out = call_result(Q, "s", &text, version);
                prop_assert!(RawObject::from_text(&out).is_ok(), "{out}");
            }
        }
    }
}
