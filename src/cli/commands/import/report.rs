//! What an import could not take over as it was, and what is left to do.

use std::io;

use serde_json::{Value, json};

use crate::cli::{console::Console, human};

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Who may call what is not quite as it was.
    Access,
    /// Something works otherwise, or not at all.
    Lost,
    /// A person has to do something.
    ToDo,
    /// Good to know.
    Note,
}

impl Weight {
    const ALL: [Self; 4] = [Self::Access, Self::Lost, Self::ToDo, Self::Note];

    fn word(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Lost => "lost",
            Self::ToDo => "todo",
            Self::Note => "note",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Access => "Who may call",
            Self::Lost => "Not as it was",
            Self::ToDo => "To do",
            Self::Note => "Notes",
        }
    }
}

/// All notes, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct ImportReport {
    notes: Vec<Note>,
}

#[derive(Debug, PartialEq, Eq)]
struct Note {
    weight: Weight,
    about: String,
    text: String,
}

impl ImportReport {
    /// Notes something, once. `about`: a server, an endpoint, a file.
    pub(super) fn add(&mut self, weight: Weight, about: impl Into<String>, text: impl Into<String>) {
        let note = Note { weight, about: about.into(), text: text.into() };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// For people. Notes that say the same of several are one.
    pub(super) fn write(&self, console: &mut Console) -> io::Result<()> {
        for weight in Weight::ALL {
            let notes: Vec<&Note> = self.notes.iter().filter(|note| note.weight == weight).collect();
            if notes.is_empty() {
                continue;
            }
            writeln!(console.out, "\n{}", weight.title())?;
            let mut told: Vec<&str> = Vec::new();
            for note in &notes {
                if told.contains(&note.text.as_str()) {
                    continue;
                }
                told.push(&note.text);
                let alike = notes.iter().filter(|other| other.text == note.text);
                let about: Vec<&str> = alike.map(|other| other.about.as_str()).collect();
                let line = format!("{}: {}", human::one_line(&about.join(", ")), human::one_line(&note.text));
                for (at, part) in human::wrap(&line, 76, usize::MAX).iter().enumerate() {
                    writeln!(console.out, "{} {part}", if at == 0 { "  -" } else { "   " })?;
                }
            }
        }
        Ok(())
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let note = |note: &Note| json!({"kind": note.weight.word(), "about": note.about, "text": note.text});
        self.notes.iter().map(note).collect()
    }

    /// The texts of one kind, for tests.
    #[cfg(test)]
    pub(super) fn of(&self, weight: Weight) -> Vec<String> {
        let notes = self.notes.iter().filter(|note| note.weight == weight);
        notes.map(|note| format!("{}: {}", note.about, note.text)).collect()
    }
}
