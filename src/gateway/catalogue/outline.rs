//! The outline of a view's lists, without the lists: enough to say which of them differ from others.

use std::{
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::LazyLock,
};

use super::{Changes, ListKind, entry::Entry};

/// Of this process, so that no server can make two lists look alike.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The look of the lists of one view: a few bytes, made of what is known of each server since its catalogue was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outline([u64; 4]);

impl Outline {
    /// Of lists that are made of these: the name of each server that has something in a list, and what that looks like.
    pub(super) fn of<'s, L: Iterator<Item = (&'s str, u64)>>(looks: impl Fn(ListKind) -> L) -> Self {
        Self(ListKind::ALL.map(|kind| {
            let mut look = HASHER.build_hasher();
            looks(kind).for_each(|of_server| of_server.hash(&mut look));
            look.finish()
        }))
    }

    /// Whether a list is the same.
    pub(super) fn agrees(self, other: Self, kind: ListKind) -> bool {
        self.0[kind as usize] == other.0[kind as usize]
    }

    /// The changes that clients have to be told who know those lists.
    pub(crate) fn changes_since(self, before: Self) -> Changes {
        let differs = |kind: ListKind| !self.agrees(before, kind);
        Changes {
            tools: differs(ListKind::Tools),
            prompts: differs(ListKind::Prompts),
            resources: differs(ListKind::Resources) || differs(ListKind::Templates),
        }
    }
}

/// The outline of one list of one server.
pub(super) fn look(entries: &[Entry]) -> u64 {
    let mut look = HASHER.build_hasher();
    entries.iter().for_each(|entry| entry.text().hash(&mut look));
    look.finish()
}
