//! The catalogue of one server, read once and prepared.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use mcproxy_ipc::{CatalogueCounts, ServerName, ToolRules};
use mcproxy_mcp::{ObjectError, RawArray, RawObject, RawValue, is_uri, method, one_line, qualify_uri, split_uri};
use mcproxy_search::{Document, Segment, estimate_tokens};
use url::Url;

use super::{
    CacheHints, CatalogueProblem, CatalogueWarning, ListKind, Readers, declared,
    derived::Derived,
    entry::Entry,
    glob, grant, outline,
    tool_vectors::{self, TextDigest},
    unused_rules,
    warning::Warnings,
};
use crate::gateway::rewrite::Naming;

/// One server of a view.
pub(crate) type NamedCatalogue = (ServerName, Arc<ServerCatalogue>);

/// The servers of a view.
pub(crate) type Parts = [NamedCatalogue];

/// One server's offer, read and prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerCatalogue {
    lists: [Arc<Entries>; 4],
    /// How long each stays true, where the server said so.
    hints: [Option<CacheHints>; 4],
    /// Resources under what clients make of their URIs that normalise them, where that is something else.
    normalised: HashMap<Box<str>, usize>,
    /// A JSON object.
    capabilities: Box<str>,
    instructions: Option<Box<str>>,
    /// Its prompts and resources are none of its reader's.
    tools_alone: bool,
    /// How many of its tools have texts that try to give orders, those that are held too.
    suspicious: usize,
    /// Those that are not offered for it, by the server's names.
    held: Arc<[Box<str>]>,
}

impl ServerCatalogue {
    /// Reads the payload of a worker's `Catalogue`. What is wrong with single entries is a warning.
    pub(crate) fn read(
        server: &ServerName,
        payload: &[u8],
        rules: &ToolRules,
    ) -> Result<(Self, Vec<CatalogueWarning>), ObjectError> {
        let text = one_line(std::str::from_utf8(payload).map_err(ObjectError::Utf8)?);
        let object = RawObject::from_text(&text)?;
        let mut warnings = Warnings::new(server);
        // First of all, so that their warnings are not those that find no room.
        let capabilities = declared::capabilities(object.get("capabilities"), &mut warnings).into();
        let instructions = declared::instructions(object.get("instructions"), &mut warnings).map(Into::into);
        unused_rules::report(object.get(ListKind::Tools.member()), rules, &mut warnings);
        let lists =
            ListKind::ALL.map(|kind| Arc::new(Entries::read(kind, object.get(kind.member()), rules, &mut warnings)));
        let caching = object.get_object("caching").unwrap_or_default();
        let hints = ListKind::ALL.map(|kind| CacheHints::read(&caching.get_object(kind.member())?));
        let catalogue = Self {
            normalised: normalised(server, &lists[ListKind::Resources as usize].entries),
            lists,
            hints,
            capabilities,
            instructions,
            tools_alone: false,
            suspicious: warnings.suspicious(),
            held: warnings.take_held().into(),
        };
        // Here, because a large catalogue is read beside the calls.
        catalogue.list(ListKind::Tools).tokens();
        Ok((catalogue, warnings.finish()))
    }

    /// The same with other tools.
    pub(super) fn with_tools(&self, tools: Vec<Entry>) -> Self {
        let mut catalogue = self.clone();
        catalogue.lists[ListKind::Tools as usize] = Arc::new(Entries::of(tools));
        catalogue
    }

    /// The same with these tools and nothing else, for readers whose prompts and resources its own are not.
    pub(super) fn with_tools_alone(&self, tools: Vec<Entry>) -> Self {
        let mut lists: [Arc<Entries>; 4] = Default::default();
        lists[ListKind::Tools as usize] = Arc::new(Entries::of(tools));
        Self {
            lists,
            hints: self.hints,
            normalised: HashMap::new(),
            capabilities: grant::capabilities_of_tools(&self.capabilities()).into(),
            instructions: self.instructions.clone(),
            tools_alone: true,
            suspicious: self.suspicious,
            held: self.held.clone(),
        }
    }

    /// Whether its readers may read its resources, listed or not.
    pub(crate) fn shows_resources(&self) -> bool {
        !self.tools_alone
    }

    /// The same with those of its tools only that fit one of the patterns, by their names at the common endpoint.
    pub(super) fn with_pinned(&self, server: &ServerName, patterns: &[String]) -> Self {
        let is_pinned = |tool: &&Entry| {
            let name = tool.qualified(ListKind::Tools, server.as_str());
            patterns.iter().any(|pattern| glob::fits(pattern, &name))
        };
        self.with_tools(self.entries(ListKind::Tools).iter().filter(is_pinned).cloned().collect())
    }

    /// Whether a tool is not offered because its texts try to give orders; by the server's name of it.
    pub(crate) fn holds(&self, own: &str) -> bool {
        self.held.iter().any(|held| **held == *own)
    }

    /// How many entries of a kind are shown.
    pub(crate) fn count(&self, kind: ListKind) -> usize {
        self.entries(kind).len()
    }

    /// Whether it declares the extension that a method belongs to.
    pub(crate) fn extends(&self, method: &str) -> bool {
        let extensions = self.capabilities().get_object("extensions");
        extensions.is_some_and(|extensions| extensions.iter().any(|(extension, _)| belongs(method, extension)))
    }

    /// Whether it declares what a notification is named after, as an extension or an experiment: `notifications/claude/channel`
    /// and what is below it are of `claude/channel`.
    pub(crate) fn declares_notification(&self, method: &str) -> bool {
        let name = method.strip_prefix("notifications/").unwrap_or(method);
        let is_of = |declared: &str| !declared.is_empty() && (name == declared || belongs(name, declared));
        let capabilities = self.capabilities();
        ["extensions", "experimental"].into_iter().any(|group| {
            capabilities.get_object(group).is_some_and(|group| group.iter().any(|(declared, _)| is_of(declared)))
        })
    }

    /// Whether it has tasks (the extension of 2026-07-28).
    pub(crate) fn has_tasks(&self) -> bool {
        let extensions = self.capabilities().get_object("extensions");
        extensions.is_some_and(|extensions| extensions.get(method::TASKS_EXTENSION).is_some())
    }

    /// Whether it runs tools as tasks of 2025-11-25.
    pub(crate) fn runs_tasks(&self) -> bool {
        let requests = self.capabilities().get_object("tasks").and_then(|tasks| tasks.get_object("requests"));
        requests.and_then(|requests| requests.get_object("tools")?.get_object("call")).is_some()
    }

    /// Whether it has skills (SEP-2640).
    pub(crate) fn has_skills(&self) -> bool {
        let extensions = self.capabilities().get_object("extensions");
        extensions.is_some_and(|extensions| extensions.get(method::SKILLS_EXTENSION).is_some())
    }

    /// The server's own description in `initialize`.
    pub(crate) fn capabilities(&self) -> RawObject<'_> {
        RawObject::from_text(&self.capabilities).unwrap_or_default()
    }

    /// Whether it takes `resources/subscribe`.
    pub(crate) fn subscribes(&self) -> bool {
        let resources = self.capabilities().get_object("resources");
        resources.is_some_and(|r| r.get("subscribe").map(RawValue::get) == Some("true"))
    }

    /// Whether it takes `completion/complete`.
    pub(crate) fn completes(&self) -> bool {
        self.capabilities().get_object("completions").is_some()
    }

    /// How long a list stays true, where the server said so.
    pub(crate) fn hints(&self, kind: ListKind) -> Option<CacheHints> {
        self.hints[kind as usize]
    }

    pub(super) fn instructions(&self) -> Option<&str> {
        self.instructions.as_deref()
    }

    /// How many entries of each list there are.
    pub(crate) fn counts(&self) -> CatalogueCounts {
        let [tools, prompts, resources, templates] = ListKind::ALL.map(|kind| self.entries(kind).len());
        let tool_tokens = self.list(ListKind::Tools).tokens();
        CatalogueCounts { tools, prompts, resources, templates, tool_tokens, suspicious: self.suspicious }
    }

    /// The outline of a list: two lists that differ have different ones.
    pub(super) fn look(&self, kind: ListKind) -> u64 {
        self.list(kind).look
    }

    /// How many bytes a list takes, about.
    pub(super) fn bytes(&self, kind: ListKind) -> usize {
        self.list(kind).bytes
    }

    /// How many bytes its tools take in a list, about.
    pub(crate) fn bytes_of_tools(&self) -> usize {
        self.bytes(ListKind::Tools)
    }

    /// Whether there are tools of which not all clients may see everything.
    pub(super) fn has_newer_tools(&self) -> bool {
        self.list(ListKind::Tools).newer
    }

    /// Its tools as the common endpoint lists them, JSON.
    pub(crate) fn tools_as_listed(&self, server: &str) -> impl Iterator<Item = Cow<'_, str>> {
        let tools = self.entries(ListKind::Tools).iter();
        tools.map(move |entry| entry.json(ListKind::Tools, Naming::Qualified, server, Readers::Stateless))
    }

    /// The names of its tools at the server's own endpoint.
    pub(crate) fn tool_names(&self) -> impl Iterator<Item = &str> {
        self.entries(ListKind::Tools).iter().map(|entry| &*entry.shown)
    }

    pub(super) fn entries(&self, kind: ListKind) -> &[Entry] {
        &self.list(kind).entries
    }

    pub(super) fn find(&self, kind: ListKind, shown: &str) -> Option<&Entry> {
        let list = self.list(kind);
        let at = list.by_name.binary_search_by(|&i| (*list.entries[i].shown).cmp(shown)).ok()?;
        Some(&list.entries[list.by_name[at]])
    }

    /// The server's own URI of a resource that a client knows as `known`; `decoded` is what that stands for if it is not
    /// listed. `None`: take it as it is.
    pub(super) fn resource(&self, known: &str, decoded: &str) -> Option<&str> {
        let own = |at: usize| &*self.entries(ListKind::Resources)[at].shown;
        match self.find(ListKind::Resources, decoded) {
            Some(entry) => Some(&entry.shown),
            None => self.normalised.get(known).map(|at| own(*at)),
        }
    }

    /// The same at the server's own endpoint, where only what is no URI is called something else.
    pub(super) fn own_resource(&self, server: &ServerName, known: &str) -> String {
        let encoded = split_uri(known).filter(|(of, own)| *of == server.as_str() && !is_uri(own));
        let decoded = encoded.map_or_else(|| known.to_owned(), |(_, own)| own);
        self.resource(known, &decoded).unwrap_or(known).to_owned()
    }

    /// The words of its tools. Read when they are first searched.
    pub(super) fn segment(&self, server: &ServerName) -> &Segment {
        let tools = self.list(ListKind::Tools);
        tools.words.get(|| {
            let documents = tools.entries.iter().map(|tool| Document::of_tool(&*tool.shown, tool.text()));
            Segment::build(server.as_str(), documents)
        })
    }

    /// The digests of what is embedded of its tools.
    pub(super) fn text_digests(&self, server: &ServerName) -> &[TextDigest] {
        let tools = self.list(ListKind::Tools);
        tools.digests.get(|| {
            let texts = tools.entries.iter().map(|tool| tool_vectors::text(server.as_str(), &tool.shown, tool.text()));
            texts.map(|text| tool_vectors::digest(&text)).collect()
        })
    }

    /// What is embedded of one of its tools.
    pub(super) fn text_of(&self, server: &ServerName, tool: usize) -> Option<String> {
        let tool = self.entries(ListKind::Tools).get(tool)?;
        Some(tool_vectors::text(server.as_str(), &tool.shown, tool.text()))
    }

    fn list(&self, kind: ListKind) -> &Entries {
        &self.lists[kind as usize]
    }
}

/// One list, in the server's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Entries {
    entries: Vec<Entry>,
    /// Their places, sorted by name.
    by_name: Vec<usize>,
    /// Their outline.
    look: u64,
    /// Their size in bytes.
    bytes: usize,
    /// Not all clients may see all of them.
    newer: bool,
    words: Derived<Segment>,
    tokens: Derived<usize>,
    digests: Derived<Box<[TextDigest]>>,
}

impl Entries {
    fn read(kind: ListKind, raw: Option<&RawValue>, rules: &ToolRules, warnings: &mut Warnings<'_>) -> Self {
        let elements = match raw {
            None => return Self::default(),
            Some(raw) if raw.get() == "null" => return Self::default(),
            Some(raw) => match RawArray::from_raw(raw) {
                Ok(RawArray(elements)) => elements,
                Err(_) => {
                    warnings.add(kind, kind.member(), CatalogueProblem::NotAList);
                    return Self::default();
                }
            },
        };
        let mut own_names = HashSet::with_capacity(elements.len());
        let mut shown_names = HashSet::with_capacity(elements.len());
        let mut entries: Vec<Entry> = Vec::with_capacity(elements.len());
        for raw in elements {
            let Some(entry) = Entry::read(kind, raw, rules, warnings) else { continue };
            let renamed = entry.own() != &*entry.shown;
            if !own_names.insert(Box::<str>::from(entry.own())) {
                warnings.add(kind, entry.own(), CatalogueProblem::Duplicate);
            } else if !shown_names.insert(entry.shown.clone()) {
                let problem = if renamed {
                    CatalogueProblem::BadRename(entry.shown.to_string(), "is the name of another tool")
                } else {
                    CatalogueProblem::Taken
                };
                warnings.add(kind, entry.own(), problem);
            } else {
                entry.warn_of_picky_clients(kind, warnings);
                entries.push(entry);
            }
        }
        Self::of(entries)
    }

    /// About how many tokens of a model's context they take.
    fn tokens(&self) -> usize {
        *self.tokens.get(|| self.entries.iter().map(|entry| estimate_tokens(entry.text())).sum())
    }

    fn of(entries: Vec<Entry>) -> Self {
        let mut by_name: Vec<usize> = (0..entries.len()).collect();
        by_name.sort_unstable_by(|&a, &b| entries[a].shown.cmp(&entries[b].shown));
        Self {
            look: outline::look(&entries),
            bytes: entries.iter().map(|entry| entry.text().len()).sum(),
            newer: entries.iter().any(Entry::is_newer),
            words: Derived::default(),
            tokens: Derived::default(),
            digests: Derived::default(),
            entries,
            by_name,
        }
    }
}

/// Resources' URIs as clients write them that normalise URIs (the URL standard), where that is something else: at the
/// server's own endpoint, and at common ones.
fn normalised(server: &ServerName, resources: &[Entry]) -> HashMap<Box<str>, usize> {
    let mut known = HashMap::new();
    for (at, entry) in resources.iter().enumerate() {
        for written in [entry.shown.to_string(), qualify_uri(server.as_str(), &entry.shown)] {
            if let Some(url) = Url::parse(&written).ok().filter(|url| url.as_str() != written) {
                known.entry(url.as_str().into()).or_insert(at);
            }
        }
    }
    known
}

/// Whether a method is one of an extension: its first words are the extension's name (`com.example/maps` of
/// `com.example/maps/find`), or the last word of that (`maps` of `maps/find`), as those of tasks are.
///
/// Tasks have rules of their own, and an extension cannot take over what the protocol itself has named.
fn belongs(name: &str, extension: &str) -> bool {
    let is_notification = name.split('/').next() == Some("notifications");
    if extension == method::TASKS_EXTENSION || is_notification || method::is_of_the_protocol(name) {
        return false;
    }
    let begins_with = |words: &str| name.strip_prefix(words).is_some_and(|rest| rest.starts_with('/'));
    let last = extension.rsplit('/').next().unwrap_or_default();
    !last.is_empty() && (begins_with(extension) || begins_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_belongs_to_the_experiment_that_it_is_named_after() {
        let payload =
            br#"{"capabilities":{"experimental":{"claude/channel":{}},"extensions":{"com.example/maps":{}}}}"#;
        let server = ServerName::try_from("s").expect("a name");
        let (catalogue, _) = ServerCatalogue::read(&server, payload, &ToolRules::default()).expect("reads");
        for (method, expected) in [
            ("notifications/claude/channel", true),
            ("notifications/claude/channel/permission_request", true),
            ("notifications/com.example/maps/moved", true),
            ("maps/moved", true),
            ("notifications/claude", false),
            ("notifications/other", false),
        ] {
            assert_eq!(catalogue.declares_notification(method), expected, "{method}");
        }
    }

    #[test]
    fn a_method_belongs_to_the_extension_that_it_is_named_after() {
        for (method, extension, expected) in [
            ("tasks/list", "io.modelcontextprotocol/tasks", false),
            ("ui/open", "io.modelcontextprotocol/ui", true),
            ("resources/subscribe", "com.example/resources", false),
            ("com.example/maps/find", "com.example/maps", true),
            ("maps/find", "com.example/maps", true),
            ("maps", "com.example/maps", false),
            ("mapsfind", "com.example/maps", false),
            ("tools/call", "com.example/tools", false),
            ("/find", "com.example/", false),
            ("a/b", "a", true),
        ] {
            assert_eq!(belongs(method, extension), expected, "{method} of {extension}");
        }
    }
}
