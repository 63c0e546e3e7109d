//! What the lists of a view look like, without the lists: enough to say which of them differ from others.

use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};

use super::{Changes, ListKind, list::List};

/// Of this process, so that no server can make two lists look alike.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The look of the lists of one view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outline {
    lists: [u64; 4],
    newer_tools: Option<u64>,
}

impl Outline {
    pub(super) fn of(lists: &[List; 4], newer_tools: Option<&List>) -> Self {
        let look = |list: &List| HASHER.hash_one(list.pages());
        Self { lists: ListKind::ALL.map(|kind| look(&lists[kind as usize])), newer_tools: newer_tools.map(look) }
    }

    /// What clients have to be told who know those lists.
    pub(crate) fn changes_since(self, before: Self) -> Changes {
        let differs = |kind: ListKind| self.lists[kind as usize] != before.lists[kind as usize];
        Changes {
            tools: differs(ListKind::Tools) || self.newer_tools != before.newer_tools,
            prompts: differs(ListKind::Prompts),
            resources: differs(ListKind::Resources) || differs(ListKind::Templates),
        }
    }
}
