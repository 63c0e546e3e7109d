//! Colours, where there is a terminal that has them and nobody said no (<https://no-color.org>).

use std::{borrow::Cow, ffi::OsStr};

/// What a text is, and so how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// It is as it should be.
    Good,
    /// It is on its way, or at rest.
    Pending,
    /// Somebody has to do something.
    Bad,
    /// It stands above others.
    Heading,
    /// It is of less interest.
    Quiet,
}

impl Paint {
    /// How the state of a server looks.
    pub(crate) fn of_state(state: &str) -> Self {
        match state {
            "ready" => Self::Good,
            "starting" | "stopping" | "backoff" => Self::Pending,
            "idle" | "stopped" | "disabled" => Self::Quiet,
            _ => Self::Bad,
        }
    }

    /// The parameters of its control sequence (ECMA-48, SGR). Only the eight colours that every terminal lets its user choose.
    fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Pending => "33",
            Self::Bad => "31",
            Self::Heading => "1",
            Self::Quiet => "2",
        }
    }
}

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Style {
    has_colours: bool,
}

impl Style {
    /// For a stream that is a terminal or not.
    pub(crate) fn of(is_terminal: bool) -> Self {
        let variable = |name: &str| std::env::var_os(name);
        Self::decide(is_terminal, variable("NO_COLOR").as_deref(), variable("TERM").as_deref())
    }

    fn decide(is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> Self {
        let refused = no_color.is_some_and(|value| !value.is_empty());
        Self { has_colours: is_terminal && !refused && term != Some(OsStr::new("dumb")) }
    }

    /// Whether there are any.
    pub(crate) fn has_colours(self) -> bool {
        self.has_colours
    }

    /// The text as it looks.
    pub(crate) fn paint(self, paint: Paint, text: &str) -> Cow<'_, str> {
        match self.has_colours && !text.is_empty() {
            true => Cow::Owned(format!("\x1b[{}m{text}\x1b[0m", paint.code())),
            false => Cow::Borrowed(text),
        }
    }

    /// A heading.
    pub(crate) fn heading(self, text: &str) -> String {
        self.paint(Paint::Heading, text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_whose_user_did_not_refuse_them() {
        let has = |terminal, no_color: Option<&str>, term: Option<&str>| {
            Style::decide(terminal, no_color.map(OsStr::new), term.map(OsStr::new)).has_colours
        };
        assert!(has(true, None, Some("xterm")) && has(true, Some(""), None));
        assert!(
            !has(false, None, Some("xterm")) && !has(true, Some("1"), Some("xterm")) && !has(true, None, Some("dumb"))
        );
        let (with, without) = (Style { has_colours: true }, Style::default());
        assert_eq!(with.paint(Paint::Good, "ready"), "\u{1b}[32mready\u{1b}[0m");
        assert_eq!((without.paint(Paint::Bad, "x"), with.paint(Paint::Bad, "")), ("x".into(), "".into()));
    }
}
