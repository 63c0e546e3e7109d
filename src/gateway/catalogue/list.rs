//! The prepared pages of one merged list.

use bytes::Bytes;
use mcproxy_ipc::ServerName;

use super::{CursorError, ListKind, Readers, cursor, entry::Entry, server::Parts};
use crate::gateway::rewrite::Naming;

/// How much one answer to a list request holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageLimits {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

/// Most clients never ask for a second page, so a page is as large as any reasonable list.
pub(super) const PAGE: PageLimits = PageLimits { entries: 1000, bytes: 4 << 20 };

/// The prepared answers to one kind of list request.
///
/// A list that fits one page keeps the order of the configuration and of the servers. A longer one is sorted by name or
/// URI: a cursor is the last key that was given out, and only an order that depends on nothing but the keys lets a client
/// go on in a later catalogue without missing an entry or getting one twice.
#[derive(Debug)]
pub(super) struct List {
    kind: ListKind,
    readers: Readers,
    limits: PageLimits,
    /// Each page with the key before it; the first has none.
    pages: Vec<(Option<String>, Bytes)>,
}

impl List {
    /// `first`: what it begins with, as JSON; such a list is one page.
    pub(super) fn build(
        kind: ListKind,
        naming: Naming,
        servers: &Parts,
        readers: Readers,
        limits: PageLimits,
        first: &[Box<str>],
    ) -> Self {
        let count: usize = servers.iter().map(|(_, catalogue)| catalogue.count(kind)).sum();
        if count <= limits.entries || !first.is_empty() {
            let mut page = Page::begin(kind);
            first.iter().for_each(|json| page.push(json));
            for (server, catalogue) in servers {
                for entry in catalogue.entries(kind) {
                    page.push(&entry.json(kind, naming, server.as_str(), readers));
                }
            }
            if count <= 1 || page.out.len() <= limits.bytes || !first.is_empty() {
                return Self { kind, readers, limits, pages: vec![(None, page.finish(None))] };
            }
        }
        let sorted = Sorted::of(kind, naming, servers, readers);
        let mut pages = Vec::new();
        let mut before = None;
        let mut at = 0;
        loop {
            let (page, next) = sorted.page(at, limits);
            let last = before.take();
            match next {
                Some(next) => before = Some(sorted.key(next - 1).to_owned()),
                None => {
                    pages.push((last, page));
                    return Self { kind, readers, limits, pages };
                }
            }
            pages.push((last, page));
            at = next.unwrap_or(at);
        }
    }

    /// The answer to a list request.
    pub(super) fn answer(&self, naming: Naming, servers: &Parts, cursor: Option<&str>) -> Result<Bytes, CursorError> {
        let key = match cursor {
            None => None,
            Some(cursor) => cursor::decode(self.kind, cursor)?,
        };
        if let Some((_, page)) = self.pages.iter().find(|(before, _)| *before == key) {
            return Ok(page.clone());
        }
        // The cursor is of an earlier catalogue.
        let sorted = Sorted::of(self.kind, naming, servers, self.readers);
        Ok(sorted.page(sorted.after(&key.unwrap_or_default()), self.limits).0)
    }
}

/// All entries of a kind in the order of their keys.
struct Sorted<'s> {
    kind: ListKind,
    naming: Naming,
    readers: Readers,
    entries: Vec<(String, &'s ServerName, &'s Entry)>,
}

impl<'s> Sorted<'s> {
    fn of(kind: ListKind, naming: Naming, servers: &'s Parts, readers: Readers) -> Self {
        let mut entries: Vec<_> = servers
            .iter()
            .flat_map(|(server, catalogue)| catalogue.entries(kind).iter().map(move |entry| (server, entry)))
            .map(|(server, entry)| (exposed(kind, naming, server, entry), server, entry))
            .collect();
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Self { kind, naming, readers, entries }
    }

    fn key(&self, at: usize) -> &str {
        &self.entries[at].0
    }

    fn after(&self, key: &str) -> usize {
        self.entries.partition_point(|(own, _, _)| own.as_str() <= key)
    }

    /// The page that begins at a place, and where the next one begins.
    fn page(&self, from: usize, limits: PageLimits) -> (Bytes, Option<usize>) {
        let mut page = Page::begin(self.kind);
        let mut at = from;
        while let Some((_, server, entry)) = self.entries.get(at) {
            let json = entry.json(self.kind, self.naming, server.as_str(), self.readers);
            let full = at - from >= limits.entries || page.out.len() + json.len() > limits.bytes;
            if full && at > from {
                let cursor = cursor::encode(self.kind, self.key(at - 1));
                return (page.finish(Some(&cursor)), Some(at));
            }
            page.push(&json);
            at += 1;
        }
        (page.finish(None), None)
    }
}

/// The name of an entry for clients of a scope.
pub(super) fn exposed(kind: ListKind, naming: Naming, server: &ServerName, entry: &Entry) -> String {
    match naming {
        Naming::Qualified => entry.qualified(kind, server.as_str()),
        Naming::Own => entry.shown.to_string(),
    }
}

struct Page {
    out: String,
    empty: bool,
}

impl Page {
    fn begin(kind: ListKind) -> Self {
        Self { out: format!("{{\"{}\":[", kind.member()), empty: true }
    }

    fn push(&mut self, json: &str) {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.push(',');
        }
        self.out.push_str(json);
    }

    fn finish(mut self, next: Option<&str>) -> Bytes {
        self.out.push(']');
        if let Some(cursor) = next {
            self.out.push_str(",\"nextCursor\":\"");
            self.out.push_str(cursor);
            self.out.push('"');
        }
        self.out.push('}');
        Bytes::from(self.out)
    }
}
