//! Server-sent events, read.

use std::time::Duration;

use memchr::memchr2;

/// A stream of server-sent events (HTML standard §9.2.6), fed as bytes arrive.
#[derive(Debug)]
pub(crate) struct SseParser {
    max: usize,
    line: Vec<u8>,
    /// A line feed that follows belongs to the carriage return before it.
    after_cr: bool,
    first_line: bool,
    data: Option<String>,
    named_otherwise: bool,
    next_id: Option<String>,
    last_id: Option<String>,
    retry: Option<Duration>,
}

/// An event is longer than allowed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {0} bytes")]
pub(crate) struct EventTooLong(usize);

impl SseParser {
    /// Refuses events of more than `max` bytes.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            line: Vec::new(),
            after_cr: false,
            first_line: true,
            data: None,
            named_otherwise: false,
            next_id: None,
            last_id: None,
            retry: None,
        }
    }

    /// Takes in bytes and appends the data of the `message` events that they complete. Events without data say nothing
    /// and are left out, but their id counts.
    pub(crate) fn push(&mut self, mut bytes: &[u8], messages: &mut Vec<String>) -> Result<(), EventTooLong> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            self.extend(&bytes[..end])?;
            let is_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            match bytes.first() {
                Some(b'\n') if is_cr => bytes = &bytes[1..],
                None if is_cr => self.after_cr = true,
                _ => {}
            }
            let line = std::mem::take(&mut self.line);
            self.take_line(&line, messages)?;
            if line.capacity() <= 64 * 1024 {
                self.line = line;
                self.line.clear();
            }
        }
        self.extend(bytes)
    }

    /// The id to resume after.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// How long the server wants us to wait before we come back.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), EventTooLong> {
        if self.line.len() + bytes.len() + self.data.as_ref().map_or(0, String::len) > self.max {
            return Err(EventTooLong(self.max));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn take_line(&mut self, line: &[u8], messages: &mut Vec<String>) -> Result<(), EventTooLong> {
        let line = if std::mem::take(&mut self.first_line) {
            line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
        } else {
            line
        };
        if line.is_empty() {
            self.dispatch(messages);
            return Ok(());
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match field {
            b"data" => match &mut self.data {
                None => self.data = Some(value.into_owned()),
                Some(data) => {
                    // Damaged UTF-8 grows when it is replaced.
                    if data.len() + value.len() >= self.max {
                        return Err(EventTooLong(self.max));
                    }
                    data.push('\n');
                    data.push_str(&value);
                }
            },
            b"event" => self.named_otherwise = !matches!(&*value, "" | "message"),
            // Too long an id would not fit a header.
            b"id" if !value.contains('\0') && value.len() <= 1024 => self.next_id = Some(value.into_owned()),
            b"retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis);
            }
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, messages: &mut Vec<String>) {
        if let Some(id) = self.next_id.take() {
            self.last_id = (!id.is_empty()).then_some(id);
        }
        let named_otherwise = std::mem::take(&mut self.named_otherwise);
        if let Some(data) = self.data.take().filter(|data| !data.is_empty() && !named_otherwise) {
            messages.push(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(chunks: &[&[u8]]) -> (Vec<String>, Option<String>) {
        let mut parser = SseParser::new(1000);
        let mut messages = Vec::new();
        for chunk in chunks {
            parser.push(chunk, &mut messages).expect("within the limit");
        }
        (messages, parser.last_id().map(str::to_owned))
    }

    proptest! {
        #[test]
        fn events_are_the_same_however_the_stream_is_cut(
            lines in prop::collection::vec(
                prop::sample::select(vec![
                    "data: {\"a\":1}", "data:é", "data", "data: ", "", "", "id: 7", "id", "retry: 10", "retry: x", ": comment",
                    "event: message", "event: ping", "unknown: 1", "\u{feff}data: x",
                ]),
                0..30,
            ),
            ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 30),
            cut in 1usize..9,
        ) {
            let text: String = lines.iter().zip(&ends).flat_map(|(line, end)| [*line, *end]).collect();
            let whole = parse(&[text.as_bytes()]);
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            prop_assert_eq!(parse(&chunks), whole);
        }

        #[test]
        fn any_bytes_are_events_or_too_long(bytes in prop::collection::vec(any::<u8>(), 0..400), max in 0usize..300) {
            let mut messages = Vec::new();
            let result = SseParser::new(max).push(&bytes, &mut messages);
            prop_assert!(result == Ok(()) || result == Err(EventTooLong(max)));
        }
    }

    #[test]
    fn several_data_lines_are_one_message() {
        let (messages, id) = parse(&[b"\xef\xbb\xbfid: 5\ndata: a\ndata:b\n\ndata: cut off"]);
        assert_eq!(messages, ["a\nb"]);
        assert_eq!(id.as_deref(), Some("5"));
    }

    #[test]
    fn a_priming_event_is_silent_but_its_id_counts() {
        let (messages, id) = parse(&[b"id: s.0\nretry: 250\ndata: \n\n"]);
        assert!(messages.is_empty());
        assert_eq!(id.as_deref(), Some("s.0"));
    }

    #[test]
    fn events_of_another_name_are_not_messages() {
        assert_eq!(parse(&[b"event: ping\ndata: x\n\nevent: message\ndata: y\n\n"]).0, ["y"]);
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = SseParser::new(100);
        let mut messages = Vec::new();
        let result = (0..50).try_for_each(|_| parser.push(b"data: 0123456789\n", &mut messages));
        assert_eq!(result, Err(EventTooLong(100)));
    }
}
