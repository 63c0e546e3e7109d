//! The catalogue of a server: gathered page by page, kept as the bytes that it sent.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use mcproxy_ipc::{CatalogueCounts, ServerLimits};
use mcproxy_mcp::{CacheHints, ListKind, RawArray, RawObject, RawValue, object_body};

/// Longest cursor; all of a list are kept until it is complete.
const MAX_CURSOR: usize = 16 * 1024;

/// The entries of one kind, as JSON with commas between them.
#[derive(Debug, Default, PartialEq, Eq)]
struct ListEntries {
    count: usize,
    json: Vec<u8>,
    /// The strictest hints of all pages, of a server of 2026-07-28 that gives any.
    caching: Option<CacheHints>,
    /// The tools that can only be run as a task.
    only_tasks: Vec<Box<str>>,
}

/// All that a server offers at one time.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    /// The members `serverInfo` and, when there are some, `instructions`, each followed by a comma.
    identity: String,
    /// The capabilities that the server declares, as the members of an object.
    capabilities: String,
    /// It declares none of its lists: those that it has all the same are declared for it.
    declares_nothing: bool,
    /// Whether it runs tools as tasks (MCP 2025-11-25).
    has_tasks: bool,
    entries: [ListEntries; 4],
}

impl Catalogue {
    /// Takes in how the server describes itself.
    pub(crate) fn set_identity(&mut self, info: &str, capabilities: &str, instructions: Option<&str>) {
        self.identity = format!("\"serverInfo\":{info},");
        self.has_tasks = runs_tasks(capabilities).is_some();
        if let Some(instructions) = instructions {
            self.identity.push_str("\"instructions\":");
            self.identity.push_str(instructions);
            self.identity.push(',');
        }
        object_body(capabilities).unwrap_or_default().clone_into(&mut self.capabilities);
    }

    /// The server declares none of its lists.
    pub(crate) fn declares_nothing(&mut self) {
        self.declares_nothing = true;
    }

    /// Puts in a list that was gathered anew; false when it says what the old one said.
    pub(crate) fn replace(&mut self, mut gathering: Gathering) -> bool {
        gathering.fresh.json.shrink_to_fit();
        let entries = &mut self.entries[gathering.kind as usize];
        let changed = *entries != gathering.fresh;
        *entries = gathering.fresh;
        changed
    }

    /// How long a list is, in bytes.
    pub(crate) fn bytes_of(&self, kind: ListKind) -> usize {
        self.entries[kind as usize].json.len()
    }

    /// The tools that can only be run as a task.
    pub(crate) fn only_tasks(&self) -> &[Box<str>] {
        &self.entries[ListKind::Tools as usize].only_tasks
    }

    /// How much it offers.
    pub(crate) fn counts(&self) -> CatalogueCounts {
        let [tools, prompts, resources, templates] = [0, 1, 2, 3].map(|i: usize| self.entries[i].count);
        CatalogueCounts { tools, prompts, resources, templates, ..CatalogueCounts::default() }
    }

    /// The payload of `WorkerToGateway::Catalogue`.
    pub(crate) fn to_json(&self) -> Bytes {
        let lists: usize = self.entries.iter().map(|entries| entries.json.len() + 24).sum();
        let mut out = Vec::with_capacity(self.identity.len() + self.capabilities.len() + lists + 80);
        out.push(b'{');
        out.extend_from_slice(self.identity.as_bytes());
        out.extend_from_slice(format!("\"capabilities\":{{{}}}", self.all_capabilities()).as_bytes());
        for kind in ListKind::ALL {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(kind.member().as_bytes());
            out.extend_from_slice(b"\":[");
            out.extend_from_slice(&self.entries[kind as usize].json);
            out.push(b']');
        }
        let caching: Vec<String> = ListKind::ALL.iter().filter_map(|kind| self.caching(*kind)).collect();
        if !caching.is_empty() {
            out.extend_from_slice(format!(",\"caching\":{{{}}}", caching.join(",")).as_bytes());
        }
        out.push(b'}');
        out.into()
    }

    /// The members of the server's capabilities, with those that its lists speak for.
    fn all_capabilities(&self) -> String {
        let mut members: Vec<&str> = vec![self.capabilities.as_str()];
        if self.declares_nothing {
            let has = |kind: ListKind| self.entries[kind as usize].count > 0;
            members.extend(has(ListKind::Tools).then_some("\"tools\":{}"));
            members.extend(has(ListKind::Prompts).then_some("\"prompts\":{}"));
            members.extend((has(ListKind::Resources) || has(ListKind::Templates)).then_some("\"resources\":{}"));
        }
        members.retain(|members| !members.trim().is_empty());
        members.join(",")
    }

    /// The member of `caching` for one list.
    fn caching(&self, kind: ListKind) -> Option<String> {
        let hints = self.entries[kind as usize].caching?;
        Some(format!("\"{}\":{{{}}}", kind.member(), hints.to_members()))
    }

    /// How many bytes a list of this kind may have beside the rest.
    fn room_for(&self, kind: ListKind, limits: &ServerLimits) -> usize {
        let others = ListKind::ALL.iter().filter(|other| **other != kind);
        let taken: usize = others.map(|other| self.bytes_of(*other)).sum();
        limits.catalogue_bytes.saturating_sub(taken + self.identity.len() + self.capabilities.len())
    }
}

/// The step after a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AfterPage {
    /// The page at this cursor (a JSON string).
    Page(Box<str>),
    /// Nothing: that was all.
    Complete,
    /// Nothing: the rest is left out, for the reason given.
    Cut(&'static str),
    /// Nothing: the answer holds no list, for the reason given.
    NoList(&'static str),
}

/// One list on its way in.
#[derive(Debug)]
pub(crate) struct Gathering {
    kind: ListKind,
    fresh: ListEntries,
    cursors: Vec<Box<str>>,
    /// Where each page lies in the list.
    pages: Vec<Range<usize>>,
    has_tasks: bool,
    max_pages: usize,
    max_entries: usize,
    max_bytes: usize,
}

impl Gathering {
    pub(crate) fn new(kind: ListKind, catalogue: &Catalogue, limits: &ServerLimits) -> Self {
        let max_bytes = catalogue.room_for(kind, limits);
        let (max_pages, max_entries) = (limits.pages, limits.tools);
        Self {
            kind,
            fresh: ListEntries::default(),
            cursors: Vec::new(),
            pages: Vec::new(),
            has_tasks: catalogue.has_tasks,
            max_pages,
            max_entries,
            max_bytes,
        }
    }

    pub(crate) fn kind(&self) -> ListKind {
        self.kind
    }

    /// Whether there is nothing in it so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.fresh.count == 0
    }

    /// For how long the list is true, of a server that says so.
    pub(crate) fn ttl(&self) -> Option<Duration> {
        self.fresh.caching.map(|caching| Duration::from_millis(caching.ttl_ms))
    }

    /// Takes in the result of one list request.
    pub(crate) fn page(&mut self, result: &RawValue) -> AfterPage {
        let Ok(page) = RawObject::from_raw(result) else { return AfterPage::NoList("its answer is not an object") };
        let entries = page.get(self.kind.member()).map(RawArray::from_raw);
        let Some(Ok(RawArray(entries))) = entries else { return AfterPage::NoList("its answer has no list") };
        if let Some(said) = CacheHints::read(&page) {
            self.fresh.caching = Some(self.fresh.caching.map_or(said, |before| before.and(said)));
        }
        let (begin, count_before) = (self.fresh.json.len(), self.fresh.count);
        for entry in entries {
            let entry = usable(self.kind, entry, self.has_tasks);
            if self.fresh.count == self.max_entries {
                return AfterPage::Cut("more entries than limits.maxTools");
            }
            if self.fresh.json.len() + entry.text().len() + 1 > self.max_bytes {
                return AfterPage::Cut("more bytes than limits.maxCatalogue");
            }
            if self.fresh.count > 0 {
                self.fresh.json.push(b',');
            }
            self.fresh.json.extend_from_slice(entry.text().as_bytes());
            if let Usable::OnlyAsTask { name, .. } = entry {
                self.fresh.only_tasks.push(name);
            }
            self.fresh.count += 1;
        }
        if self.is_repeated(begin) {
            // A server that does not look at cursors, and gives its one page whatever it is asked.
            self.fresh.json.truncate(begin);
            self.fresh.count = count_before;
            return AfterPage::Complete;
        }
        let Some(cursor) = page.get("nextCursor").map(RawValue::get).filter(|cursor| cursor.starts_with('"')) else {
            return AfterPage::Complete;
        };
        if cursor.len() > MAX_CURSOR {
            return AfterPage::Cut("a cursor is too long");
        }
        if self.cursors.iter().any(|seen| **seen == *cursor) {
            return AfterPage::Cut("a cursor came twice");
        }
        self.cursors.push(cursor.into());
        if self.cursors.len() >= self.max_pages {
            AfterPage::Cut("more pages than limits.maxPages")
        } else {
            AfterPage::Page(cursor.into())
        }
    }
}

impl Gathering {
    /// Whether the page that begins there says what an earlier one said.
    fn is_repeated(&mut self, begin: usize) -> bool {
        // With the comma before it left out.
        let begin = begin + usize::from(begin > 0);
        let new = begin.min(self.fresh.json.len())..self.fresh.json.len();
        let json = &self.fresh.json;
        let repeated = !new.is_empty() && self.pages.iter().any(|page| json[page.clone()] == json[new.clone()]);
        if !repeated {
            self.pages.push(new);
        }
        repeated
    }
}

/// An entry as it is passed on.
enum Usable<'e> {
    AsItIs(&'e str),
    /// A tool that can only be run as a task (MCP 2025-11-25). Its calls are made as tasks for those who know none, so clients
    /// hear that they need not make one.
    OnlyAsTask {
        name: Box<str>,
        text: String,
    },
}

impl Usable<'_> {
    fn text(&self) -> &str {
        match self {
            Self::AsItIs(text) => text,
            Self::OnlyAsTask { text, .. } => text,
        }
    }
}

/// What can be made of an entry. What is no object, cannot be read, or can only be run as a task of a server that runs none,
/// is the gateway's to leave out, with a warning.
fn usable(kind: ListKind, entry: &RawValue, has_tasks: bool) -> Usable<'_> {
    only_as_task(kind, entry).filter(|_| has_tasks).unwrap_or(Usable::AsItIs(entry.get()))
}

fn only_as_task(kind: ListKind, entry: &RawValue) -> Option<Usable<'_>> {
    let object = RawObject::from_raw(entry).ok()?;
    let execution = object.get_object("execution").filter(|_| kind == ListKind::Tools);
    let support = execution.as_ref().and_then(|execution| execution.get("taskSupport"));
    let required = support.filter(|_| {
        execution.as_ref().and_then(|execution| execution.get_string("taskSupport")).as_deref() == Some("required")
    });
    let (text, required) = (entry.get(), required?);
    let name = object.get_string("name")?.into();
    // It is a slice of the entry.
    let at = required.get().as_ptr().addr() - text.as_ptr().addr();
    let text = [&text[..at], "\"optional\"", &text[at + required.get().len()..]].concat();
    Some(Usable::OnlyAsTask { name, text })
}

/// The declaration that tools can be run as tasks.
fn runs_tasks(capabilities: &str) -> Option<()> {
    let requests = RawObject::from_text(capabilities).ok()?.get_object("tasks")?.get_object("requests")?;
    requests.get_object("tools")?.get_object("call").map(drop)
}

#[cfg(test)]
mod tests;
