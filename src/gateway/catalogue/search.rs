//! Searches of the tools of one view.

use std::sync::Arc;

use mcproxy_search::{Hit, Segment, search};

use super::server::Parts;

/// Longest query, in bytes; what comes after is not looked for.
const MAX_QUERY: usize = 4096;

/// The tools of one view, to be searched on whichever thread.
pub(crate) struct Finder(pub(super) Arc<Parts>);

impl Finder {
    /// The tools that fit the query, best first. Reads the words of those that were never searched.
    pub(crate) fn find(&self, query: &str) -> Vec<Hit> {
        let segments: Vec<&Segment> = self.0.iter().map(|(server, catalogue)| catalogue.segment(server)).collect();
        search(&segments, &query[..query.floor_char_boundary(MAX_QUERY)])
    }
}
