//! The merged lists of one endpoint.

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell},
    collections::HashMap,
    sync::Arc,
};

use bytes::Bytes;
use mcproxy_ipc::ServerName;
use mcproxy_mcp::{RawObject, mirrored::MirroredParam, split_name, split_uri};
use mcproxy_search::Hit;

use super::{
    CacheHints, CursorError, Finder, ListKind, Outline, Readers, ServerCatalogue, capabilities,
    entry::Entry,
    list::{List, PAGE, PageLimits, exposed},
    server::{NamedCatalogue, Parts},
};
use crate::gateway::rewrite::Naming;

/// Bytes of a list up to which it is put together where it is asked for; beyond that another thread does it.
const SMALL: usize = 128 * 1024;

/// The view of one scope: the catalogues of its servers, merged. Where a call goes is known at once; answers to list requests are
/// prepared when a client first asks for them.
#[derive(Debug)]
pub(crate) struct View {
    naming: Naming,
    /// What is called.
    servers: Arc<Parts>,
    /// What is listed: all of it, unless tools are found.
    listed: Arc<Parts>,
    /// Where tools are found instead of listed, how.
    search: Option<ToolSearch>,
    places: HashMap<ServerName, usize>,
    limits: PageLimits,
    lists: [Place; 4],
    /// The tools as clients of 2026-07-28 see them, where that differs.
    newer_tools: Place,
    has_newer_tools: bool,
    outline: Outline,
    words: OnceCell<Words>,
}

/// How a view offers tools that it does not list.
#[derive(Debug, Clone)]
struct ToolSearch {
    /// The tools that find, describe and call them, as JSON.
    tools: Arc<[Box<str>]>,
    /// Patterns of those that are listed all the same, by their names at the common endpoint.
    pinned: Arc<[String]>,
}

/// Where a list is, or will be.
#[derive(Debug, Default)]
struct Place {
    list: OnceCell<Arc<List>>,
    /// It is put together elsewhere.
    begun: Cell<bool>,
}

/// The work that has to be done before [`View::list`] takes no time.
pub(crate) enum Preparation<W> {
    /// Nothing.
    Done,
    /// A task prepares it.
    Begun,
    /// This, and then [`View::prepared`]; on whichever thread.
    Work(W),
}

/// A list that was put together, and for whom.
pub(crate) struct Prepared(Arc<List>, Readers);

/// The description of a scope for its clients.
#[derive(Debug)]
struct Words {
    capabilities: String,
    /// The same for sessions, where it differs.
    of_sessions: Option<String>,
    instructions: Option<String>,
}

/// Where a tool or prompt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'v> {
    /// Whose it is.
    pub(crate) server: &'v ServerName,
    /// The server's name for it.
    pub(crate) name: &'v str,
    /// Which arguments of it are repeated in headers.
    pub(crate) mirrored: &'v [MirroredParam],
}

/// A tool as a search sees it.
#[derive(Debug, Clone)]
pub(crate) struct Offered<'v> {
    /// The clients' name for it.
    pub(crate) name: String,
    /// Whose it is.
    pub(crate) server: &'v ServerName,
    /// All of its description.
    pub(crate) description: Cow<'v, str>,
    /// All of it, under its server's name for it.
    pub(crate) json: &'v str,
}

impl View {
    /// Merges catalogues in the given order. With [`Naming::Own`] there is one server, or none yet.
    pub(crate) fn build(naming: Naming, servers: &Parts) -> Self {
        Self::assemble(naming, servers, PAGE, None)
    }

    /// The same, with these tools (JSON) in the place of the servers', but for those that fit a pattern.
    pub(crate) fn build_for_search(servers: &Parts, tools: Arc<[Box<str>]>, pinned: &[String]) -> Self {
        Self::assemble(Naming::Qualified, servers, PAGE, Some(ToolSearch { tools, pinned: pinned.into() }))
    }

    /// The same, of a scope that showed something else before: lists that are as they were need not be prepared again.
    pub(crate) fn build_after(before: &Self, servers: &Parts) -> Self {
        let mut view = Self::assemble(before.naming, servers, before.limits, before.search.clone());
        for kind in ListKind::ALL.into_iter().filter(|kind| view.outline.agrees(before.outline, *kind)) {
            view.lists[kind as usize].list.clone_from(&before.lists[kind as usize].list);
            if kind == ListKind::Tools {
                view.newer_tools.list.clone_from(&before.newer_tools.list);
            }
        }
        view
    }

    fn assemble(naming: Naming, servers: &Parts, limits: PageLimits, search: Option<ToolSearch>) -> Self {
        let servers: Arc<Parts> = match naming {
            Naming::Qualified => servers,
            Naming::Own => &servers[..servers.len().min(1)],
        }
        .into();
        let listed = match &search {
            None => servers.clone(),
            Some(search) => {
                let pinned = |(server, catalogue): &NamedCatalogue| {
                    (server.clone(), Arc::new(catalogue.with_pinned(server, &search.pinned)))
                };
                servers.iter().map(pinned).collect()
            }
        };
        Self {
            naming,
            places: servers.iter().enumerate().map(|(at, (server, _))| (server.clone(), at)).collect(),
            limits,
            lists: Default::default(),
            newer_tools: Place::default(),
            has_newer_tools: listed.iter().any(|(_, catalogue)| catalogue.has_newer_tools()),
            outline: Outline::of(|kind| {
                let filled = listed.iter().filter(move |(_, catalogue)| catalogue.count(kind) > 0);
                filled.map(move |(server, catalogue)| (server.as_str(), catalogue.look(kind)))
            }),
            words: OnceCell::new(),
            servers,
            listed,
            search,
        }
    }

    #[cfg(test)]
    pub(super) fn build_in_pages(naming: Naming, servers: &Parts, limits: PageLimits) -> Self {
        Self::assemble(naming, servers, limits, None)
    }

    /// Whether it is made of these very catalogues.
    pub(crate) fn is_of(&self, servers: &Parts) -> bool {
        let same = |((one, of_one), (other, of_other)): (&NamedCatalogue, &NamedCatalogue)| {
            one == other && Arc::ptr_eq(of_one, of_other)
        };
        self.servers.len() == servers.len() && self.servers.iter().zip(servers).all(same)
    }

    /// The parts that a large list is put together from.
    pub(crate) fn prepare(
        &self,
        kind: ListKind,
        readers: Readers,
    ) -> Preparation<impl FnOnce() -> Prepared + Send + use<>> {
        let weight: usize = self.listed.iter().map(|(_, catalogue)| catalogue.bytes(kind)).sum();
        let (place, readers) = self.place(kind, readers);
        if weight <= SMALL || place.list.get().is_some() {
            return Preparation::Done;
        }
        if place.begun.replace(true) {
            return Preparation::Begun;
        }
        let (naming, listed, limits, first) = (self.naming, self.listed.clone(), self.limits, self.first(kind));
        let build = move || List::build(kind, naming, &listed, readers, limits, &first);
        Preparation::Work(move || Prepared(Arc::new(build()), readers))
    }

    /// It was.
    pub(crate) fn prepared(&self, kind: ListKind, Prepared(list, readers): Prepared) {
        let (place, _) = self.place(kind, readers);
        let _ = place.list.set(list); // it may have been needed before
    }

    /// The result of a list request, as JSON on one line.
    pub(crate) fn list(&self, kind: ListKind, cursor: Option<&str>, readers: Readers) -> Result<Bytes, CursorError> {
        let (place, readers) = self.place(kind, readers);
        let build = || Arc::new(List::build(kind, self.naming, &self.listed, readers, self.limits, &self.first(kind)));
        place.list.get_or_init(build).answer(self.naming, &self.listed, cursor)
    }

    /// What a list begins with besides what the servers have in it, as JSON.
    fn first(&self, kind: ListKind) -> Arc<[Box<str>]> {
        self.search.as_ref().filter(|_| kind == ListKind::Tools).map(|search| search.tools.clone()).unwrap_or_default()
    }

    /// Where a list is, or will be, and whose eyes it is for.
    fn place(&self, kind: ListKind, readers: Readers) -> (&Place, Readers) {
        match readers {
            Readers::Stateless if kind == ListKind::Tools && self.has_newer_tools => (&self.newer_tools, readers),
            Readers::Stateless | Readers::Sessions => (&self.lists[kind as usize], Readers::Sessions),
        }
    }

    fn words(&self) -> &Words {
        self.words.get_or_init(|| {
            let capabilities = capabilities::merge(self.naming, &self.servers);
            Words {
                of_sessions: capabilities::of_sessions(&capabilities),
                capabilities,
                instructions: match &self.search {
                    None => capabilities::instructions(self.naming, &self.servers),
                    Some(_) => Some(capabilities::search_instructions(&self.servers)),
                },
            }
        })
    }

    /// How long a list stays true: what the strictest server says, and `ours` for servers that say nothing, or when there
    /// is none. What is private for us is private. `fixed`: the server whose lists never change.
    pub(crate) fn hints(&self, kind: ListKind, ours: CacheHints, fixed: &str) -> CacheHints {
        let others = self.servers.iter().filter(|(server, _)| server.as_str() != fixed);
        let said = others.map(|(_, catalogue)| catalogue.hints(kind).unwrap_or(ours));
        let all = said.reduce(CacheHints::and).unwrap_or(ours);
        CacheHints { private: all.private || ours.private, ..all }
    }

    /// The tool of this name.
    pub(crate) fn tool(&self, name: &str) -> Option<Target<'_>> {
        self.find(ListKind::Tools, name)
    }

    /// The prompt of this name.
    pub(crate) fn prompt(&self, name: &str) -> Option<Target<'_>> {
        self.find(ListKind::Prompts, name)
    }

    /// The server of a resource and its own URI for it, listed or not: what fits a template is in no list.
    pub(crate) fn resource(&self, uri: &str) -> Option<(ServerName, String)> {
        match self.naming {
            Naming::Own => {
                let (server, catalogue) = self.servers.first().filter(|(_, catalogue)| catalogue.shows_resources())?;
                Some((server.clone(), catalogue.own_resource(server, uri)))
            }
            Naming::Qualified => {
                let (server, own) = split_uri(uri)?;
                let (server, catalogue) =
                    self.server_in_uri(&server).filter(|(_, catalogue)| catalogue.shows_resources())?;
                let listed = catalogue.resource(uri, &own).map(str::to_owned);
                Some((server.clone(), listed.unwrap_or(own)))
            }
        }
    }

    /// Whether a server tells of changes of its resources; `None`: it has not said yet.
    pub(crate) fn subscribes(&self, server: &ServerName) -> Option<bool> {
        self.server(server.as_str()).map(|(_, catalogue)| catalogue.subscribes())
    }

    /// The tool whose name is most like this one, for an error message.
    pub(crate) fn nearest_tool(&self, name: &str) -> Option<String> {
        if name.len() > 256 {
            return None;
        }
        let wish = name.to_ascii_lowercase();
        let far = wish.chars().count().div_ceil(3);
        let distance = |(server, own): &(&ServerName, &str)| {
            // A model that leaves the server's name out, or puts another separator, means this one.
            let own = own.to_ascii_lowercase();
            let full = format!("{}__{own}", server.as_str().to_ascii_lowercase());
            let forms = [strsim::osa_distance(&full, &wish), strsim::osa_distance(&own, &wish)];
            let loose = |text: &str| text.replace(['_', '-', '.', ':', '/'], "");
            if loose(&full) == loose(&wish) { 0 } else { forms.into_iter().min().unwrap_or(usize::MAX) }
        };
        self.entries(ListKind::Tools)
            .map(|(server, entry)| (distance(&(server, &entry.shown)), server, entry))
            .filter(|(distance, ..)| *distance <= far)
            .min_by_key(|(distance, ..)| *distance)
            .map(|(_, server, entry)| exposed(ListKind::Tools, self.naming, server, entry))
    }

    /// The capabilities for `initialize`, as a JSON object.
    pub(crate) fn capabilities(&self) -> &str {
        &self.words().capabilities
    }

    /// The same, as clients of a session are told.
    pub(crate) fn session_capabilities(&self) -> &str {
        let Words { capabilities, of_sessions, .. } = self.words();
        of_sessions.as_ref().unwrap_or(capabilities)
    }

    /// The one server that declares the extension that a method belongs to; `None`: there is none, or several.
    pub(crate) fn owner_of(&self, method: &str) -> Option<&ServerName> {
        let mut owners = self.servers.iter().filter(|(_, catalogue)| catalogue.extends(method));
        let (owner, _) = owners.next()?;
        owners.next().is_none().then_some(owner)
    }

    /// The one server that declares what a notification is named after; `None`: there is none, or several.
    pub(crate) fn owner_of_notification(&self, method: &str) -> Option<&ServerName> {
        let mut owners = self.servers.iter().filter(|(_, catalogue)| catalogue.declares_notification(method));
        let (owner, _) = owners.next()?;
        owners.next().is_none().then_some(owner)
    }

    /// Whether a server has tasks (the extension of 2026-07-28).
    pub(crate) fn has_tasks(&self, server: &ServerName) -> bool {
        let catalogue = self.places.get(server).and_then(|place| self.servers.get(*place));
        catalogue.is_some_and(|(_, catalogue)| catalogue.has_tasks())
    }

    /// Whether a server runs tools as tasks of 2025-11-25.
    pub(crate) fn runs_tasks(&self) -> bool {
        self.servers.iter().any(|(_, catalogue)| catalogue.runs_tasks())
    }

    /// Whether this one does.
    pub(crate) fn runs_tasks_of(&self, server: &ServerName) -> bool {
        self.places.get(server).is_some_and(|place| self.servers[*place].1.runs_tasks())
    }

    /// The servers that declare the skills extension.
    pub(crate) fn skill_servers(&self) -> Vec<ServerName> {
        self.servers.iter().filter(|(_, catalogue)| catalogue.has_skills()).map(|(server, _)| server.clone()).collect()
    }

    /// Whether there are any.
    pub(crate) fn has_skills(&self) -> bool {
        self.servers.iter().any(|(_, catalogue)| catalogue.has_skills())
    }

    /// The instructions for the model in `initialize`.
    pub(crate) fn instructions(&self) -> Option<&str> {
        self.words().instructions.as_deref()
    }

    /// The outline of its lists.
    pub(crate) fn outline(&self) -> Outline {
        self.outline
    }

    /// How much memory the answers take, about, once all are prepared.
    pub(crate) fn bytes(&self) -> usize {
        let of =
            |catalogue: &ServerCatalogue| ListKind::ALL.map(|kind| catalogue.bytes(kind)).into_iter().sum::<usize>();
        self.servers.iter().map(|(_, catalogue)| of(catalogue)).sum()
    }

    /// A tool as it would be listed, as JSON.
    pub(crate) fn tool_json(&self, name: &str, readers: Readers) -> Option<Cow<'_, str>> {
        let (server, entry) = self.entry(ListKind::Tools, name)?;
        Some(entry.json(ListKind::Tools, self.naming, server.as_str(), readers))
    }

    /// The digest of a tool's definition.
    pub(crate) fn tool_digest(&self, name: &str) -> Option<[u8; 32]> {
        self.entry(ListKind::Tools, name).map(|(_, entry)| entry.digest())
    }

    /// What is wrong with arguments (JSON) for a tool; none: nothing that can be seen before its server looks.
    pub(crate) fn mistakes(&self, name: &str, arguments: &str) -> Vec<String> {
        self.entry(ListKind::Tools, name).map(|(_, entry)| entry.mistakes(arguments)).unwrap_or_default()
    }

    /// The `inputSchema` of a tool, JSON.
    pub(crate) fn input_schema(&self, name: &str) -> Option<&str> {
        let (_, entry) = self.entry(ListKind::Tools, name)?;
        Some(RawObject::from_text(entry.text()).ok()?.get("inputSchema")?.get())
    }

    /// Whether reading the words of its tools takes so long that another thread should search them.
    pub(crate) fn is_large(&self) -> bool {
        self.servers.iter().map(|(_, catalogue)| catalogue.bytes(ListKind::Tools)).sum::<usize>() > SMALL
    }

    /// What searches its tools.
    pub(crate) fn finder(&self) -> Finder {
        Finder(self.servers.clone())
    }

    /// A tool that the finder of this view found.
    pub(crate) fn found(&self, hit: &Hit) -> Option<Offered<'_>> {
        let (server, catalogue) = self.servers.get(hit.segment)?;
        let entry = catalogue.entries(ListKind::Tools).get(hit.tool)?;
        let name = exposed(ListKind::Tools, self.naming, server, entry);
        Some(Offered { name, server, description: entry.description().unwrap_or_default(), json: entry.text() })
    }

    fn entries(&self, kind: ListKind) -> impl Iterator<Item = (&ServerName, &Entry)> {
        self.servers.iter().flat_map(move |(server, c)| c.entries(kind).iter().map(move |entry| (server, entry)))
    }

    fn find(&self, kind: ListKind, name: &str) -> Option<Target<'_>> {
        let (server, entry) = self.entry(kind, name)?;
        Some(Target { server, name: entry.own(), mirrored: entry.mirrored() })
    }

    pub(super) fn entry(&self, kind: ListKind, name: &str) -> Option<(&ServerName, &Entry)> {
        let ((server, catalogue), own) = match self.naming {
            Naming::Own => (self.servers.first()?, name),
            Naming::Qualified => {
                // A server name holds no `__` and does not end in `_`, so the first `__` is the separator.
                let (server, own) = split_name(name)?;
                (self.server(server)?, own)
            }
        };
        catalogue.find(kind, own).map(|entry| (server, entry))
    }

    /// The server that a URI names. Names stood there as they are once, and clients wrote them small.
    fn server_in_uri(&self, name: &str) -> Option<&(ServerName, Arc<ServerCatalogue>)> {
        let mut alike = self.servers.iter().filter(|(server, _)| server.as_str().eq_ignore_ascii_case(name));
        self.server(name).or_else(|| alike.next().filter(|_| alike.next().is_none()))
    }

    fn server(&self, name: &str) -> Option<&(ServerName, Arc<ServerCatalogue>)> {
        self.places.get(name).map(|&at| &self.servers[at])
    }
}
