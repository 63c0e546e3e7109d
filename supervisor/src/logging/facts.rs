//! The keys and values of a record, in the order in which they are written.

use std::{fmt, fmt::Write as _};

use slog::{KV as _, Key, OwnedKVList, Record, Serializer};

/// What a record says besides its message: the facts of its logger first, such as the server, then its own.
pub(super) fn facts(record: &Record<'_>, values: &OwnedKVList) -> Vec<(Key, String)> {
    let mut facts = Collected(Vec::new());
    // A value that cannot be written is left out, and so are those behind it. slog tells the last ones first.
    let _ = values.serialize(record, &mut facts);
    let own = facts.0.len();
    let _ = record.kv().serialize(record, &mut facts);
    facts.0[..own].reverse();
    facts.0[own..].reverse();
    facts.0
}

/// The message and these facts as one text: `message, key: value, …`.
pub(super) fn sentence(record: &Record<'_>, facts: &[(Key, String)]) -> String {
    let mut text = record.msg().to_string();
    for (key, value) in facts {
        // Writing to a String cannot fail.
        let _ = write!(text, ", {key}: {value}");
    }
    text
}

struct Collected(Vec<(Key, String)>);

impl Serializer for Collected {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        self.0.push((key, value.to_string()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use slog::{Level, b, o, record};

    use super::*;

    #[test]
    fn facts_are_in_the_order_in_which_they_are_written_those_of_the_logger_first() {
        let values: OwnedKVList = o!("server" => "time", "generation" => 3).into();
        let message = format_args!("it failed");
        let parts = b!("attempt" => 2, "error" => "no\nway");
        let record = record!(Level::Info, "", &message, parts);
        let facts = facts(&record, &values);
        assert_eq!(sentence(&record, &facts), "it failed, server: time, generation: 3, attempt: 2, error: no\nway");
    }
}
