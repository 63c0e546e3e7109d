//! One thing that was looked at.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cli::style::Paint;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gravity {
    /// As it should be.
    Good,
    /// Good to know; nothing fails because of it alone.
    Hint,
    /// Somebody has to do something.
    Bad,
}

impl Gravity {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Hint => "hint",
            Self::Bad => "bad",
        }
    }

    pub(super) fn paint(self) -> Paint {
        match self {
            Self::Good => Paint::Good,
            Self::Hint => Paint::Pending,
            Self::Bad => Paint::Bad,
        }
    }
}

/// Something that can be done without asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Repair {
    /// Give a file or directory this mode.
    Mode(PathBuf, u32),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DoctorFinding {
    pub(super) gravity: Gravity,
    pub(super) about: String,
    pub(super) message: String,
    /// What to do.
    pub(super) help: Option<String>,
    pub(super) repair: Option<Repair>,
    pub(super) is_mended: bool,
}

impl DoctorFinding {
    fn new(gravity: Gravity, about: impl Into<String>, message: impl Into<String>, help: Option<String>) -> Self {
        Self { gravity, about: about.into(), message: message.into(), help, repair: None, is_mended: false }
    }

    pub(super) fn good(about: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Gravity::Good, about, message, None)
    }

    pub(super) fn hint(about: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Gravity::Hint, about, message, Some(help.into()))
    }

    pub(super) fn bad(about: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Gravity::Bad, about, message, Some(help.into()))
    }

    /// The same with what can be done about it.
    pub(super) fn with_repair(self, repair: Repair) -> Self {
        Self { repair: Some(repair), ..self }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "state": self.gravity.word(),
            "about": self.about,
            "message": self.message,
            "help": self.help,
            "mendable": self.repair.is_some(),
            "mended": self.is_mended,
        })
    }
}
