//! Warnings about entries that are left out or mended.

use std::fmt;

use mcproxy_ipc::ServerName;

use super::{ListKind, check::Mended, suspicion::Suspicion};

/// Something about one entry of a server's catalogue that an operator may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CatalogueWarning {
    /// The kind of entry; `None`: the server's own description.
    pub(crate) kind: Option<ListKind>,
    /// Its name or URI, shortened and with hidden characters escaped.
    pub(crate) name: String,
    /// The defect, and what was done.
    pub(crate) problem: CatalogueProblem,
    /// The number of further entries that were mended in the same way.
    pub(crate) more: usize,
}

/// The defect of an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CatalogueProblem {
    /// The whole list is unusable.
    #[error("the list is not an array; it is shown as empty")]
    NotAList,
    /// No object.
    #[error("left out: not a JSON object that can be read: {0}")]
    NotAnObject(String),
    /// Without it nothing can be called.
    #[error("left out: `{0}` is missing or not a string")]
    Nameless(&'static str),
    /// A name that could deceive or break a client.
    #[error("left out: its name {0}")]
    BadName(&'static str),
    /// A name that the server uses twice.
    #[error("left out: the server lists this name twice")]
    Duplicate,
    /// The place of its name is taken.
    #[error("left out: `tools.rename` gave its name to another tool")]
    Taken,
    /// A rename that leads to a name that is taken or unusable.
    #[error("left out: `tools.rename` calls it `{0}`, which {1}")]
    BadRename(String, &'static str),
    /// Needs tasks, which the server does not run.
    #[error("left out: it can only be run as a task, and the server does not declare that it runs tasks")]
    NeedsTasks,
    /// Something in it that clients refuse together with the whole list, and that cannot be mended.
    #[error("left out: {}, and clients would refuse the whole list", .0.fault())]
    Unfit(Mended),
    /// Something in it that clients refuse, and that was mended.
    #[error("{0}")]
    Mended(Mended),
    /// An `x-mcp-header` that breaks its rules.
    #[error("an `x-mcp-header` in its inputSchema {0}; it was left out, or clients would leave the tool out")]
    BadHeader(&'static str),
    /// Titles or descriptions held invisible characters.
    #[error("invisible or control characters were removed from its title or description")]
    HiddenCharacters,
    /// It tries to give orders to a model.
    #[error("{0}{1}")]
    Suspicious(Suspicion, &'static str),
    /// Some clients refuse it.
    #[error(
        "clients see it as `{exposed}`: {length} characters, and some refuse more than 64; give it a shorter one in `tools.rename` or shorten the server's name"
    )]
    LongName {
        /// The full name.
        exposed: String,
        /// Its length.
        length: usize,
    },
    /// Some clients refuse it.
    #[error(
        "its name has characters that some clients and models refuse (all take letters, digits, `_` and `-`); rename it in `tools.rename`"
    )]
    OddName,
    /// It is over a bound.
    #[error("`{pointer}` has {bytes} bytes, more than {limit}, and was left out")]
    TooLarge {
        /// What, as a JSON pointer.
        pointer: String,
        /// Its length.
        bytes: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// It is over a bound.
    #[error("cut after {limit} of {bytes} bytes")]
    Cut {
        /// Its length.
        bytes: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// Something of the configuration that has no effect.
    #[error("a rule of `{key}` that matches none of the {tools} tools that the server offers, and so has no effect")]
    UnusedRule {
        /// Where it stands.
        key: &'static str,
        /// How many tools there are.
        tools: usize,
    },
    /// More of the same.
    #[error("{0} further warnings of this server are not shown")]
    More(usize),
}

impl fmt::Display for CatalogueWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some(kind) => write!(f, "{} \"{}\": {}", kind.noun(), self.name, self.problem)?,
            None => write!(f, "{}: {}", self.name, self.problem)?,
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, " (and the same in {more} more)"),
        }
    }
}

/// Warnings as they are found, bounded.
pub(super) struct Warnings<'a> {
    pub(super) server: &'a ServerName,
    list: Vec<CatalogueWarning>,
    more: usize,
    suspicious: usize,
    held: Vec<Box<str>>,
}

impl<'a> Warnings<'a> {
    /// A server with thousands of bad entries must not flood the log.
    const MAX: usize = 100;

    pub(super) fn new(server: &'a ServerName) -> Self {
        Self { server, list: Vec::new(), more: 0, suspicious: 0, held: Vec::new() }
    }

    pub(super) fn add(&mut self, kind: impl Into<Option<ListKind>>, name: &str, problem: CatalogueProblem) {
        let kind = kind.into();
        self.suspicious += usize::from(matches!(problem, CatalogueProblem::Suspicious(..)));
        // A server's library makes the same mistake everywhere.
        let same = |other: &&mut CatalogueWarning| other.kind == kind && other.problem == problem;
        if matches!(problem, CatalogueProblem::Mended(_))
            && let Some(known) = self.list.iter_mut().find(same)
        {
            known.more += 1;
            return;
        }
        if self.list.len() == Self::MAX {
            self.more += 1;
            return;
        }
        let name = name.chars().take(80).flat_map(char::escape_debug).collect();
        self.list.push(CatalogueWarning { kind, name, problem, more: 0 });
    }

    /// How many entries try to give orders.
    pub(super) fn suspicious(&self) -> usize {
        self.suspicious
    }

    /// This tool is not offered because of that.
    pub(super) fn hold(&mut self, own: &str) {
        self.held.push(own.into());
    }

    /// Those, by their server's names.
    pub(super) fn take_held(&mut self) -> Vec<Box<str>> {
        std::mem::take(&mut self.held)
    }

    pub(super) fn finish(mut self) -> Vec<CatalogueWarning> {
        if self.more > 0 {
            let problem = CatalogueProblem::More(self.more);
            self.list.push(CatalogueWarning { kind: None, name: "…".into(), problem, more: 0 });
        }
        self.list
    }
}
