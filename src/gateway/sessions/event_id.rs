//! How events of a stream are named, so that a client can ask for what came after one.

use std::fmt;

/// The purpose of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamKind {
    /// Of one POST: what precedes the answer, and the answer.
    Answering,
    /// Of a GET: what belongs to no request.
    Listening,
}

/// Which stream of a session: `p3-7` or `g3-7`. The gateway that opened it is in the name, so that what an earlier one said
/// is not taken for ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamName {
    kind: StreamKind,
    gateway: u64,
    number: u64,
}

/// Which event: `{stream}.{number}`. The number 0 is the beginning of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventId {
    /// The stream it is of.
    pub(crate) stream: StreamName,
    /// Its number there.
    pub(crate) number: u64,
}

impl StreamName {
    pub(crate) fn new(kind: StreamKind, gateway: u64, number: u64) -> Self {
        Self { kind, gateway, number }
    }

    /// Its purpose.
    pub(crate) fn kind(self) -> StreamKind {
        self.kind
    }

    /// The id of one of its events.
    pub(crate) fn event(self, number: u64) -> EventId {
        EventId { stream: self, number }
    }
}

impl EventId {
    /// The id of that text, if it is one of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (stream, number) = text.split_once('.')?;
        let (kind, rest) = match stream.strip_prefix('p') {
            Some(rest) => (StreamKind::Answering, rest),
            None => (StreamKind::Listening, stream.strip_prefix('g')?),
        };
        let (gateway, own) = rest.split_once('-')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
        Some(StreamName::new(kind, digits(gateway)?, digits(own)?).event(digits(number)?))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamName { kind, gateway, number } = self.stream;
        let kind = match kind {
            StreamKind::Answering => 'p',
            StreamKind::Listening => 'g',
        };
        write!(f, "{kind}{gateway}-{number}.{}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_reads_as_it_was_written(answering: bool, gateway: u64, stream: u64, number: u64) {
            let kind = if answering { StreamKind::Answering } else { StreamKind::Listening };
            let id = StreamName::new(kind, gateway, stream).event(number);
            prop_assert_eq!(EventId::parse(&id.to_string()), Some(id));
        }

        #[test]
        fn nothing_else_is_an_id(text in "[pgx0-9.+-]{0,12}|\\PC{0,20}") {
            if let Some(id) = EventId::parse(&text) {
                prop_assert_eq!(EventId::parse(&id.to_string()), Some(id));
            }
        }
    }

    #[test]
    fn foreign_ids_are_refused() {
        for text in ["", "7", "p1-2", "p1.2", "x1-2.3", "p1-2.-3", "p+1-2.3", "p1-2.3.4", "p1-2. 3", "p-1-2.3"] {
            assert_eq!(EventId::parse(text), None, "{text}");
        }
    }
}
