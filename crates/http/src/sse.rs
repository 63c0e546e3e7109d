//! Server-sent events, read (HTML standard §9.2.6), each of bounded length.

use std::time::Duration;

use bytes::Bytes;
use memchr::{memchr, memchr2};

use crate::both_ends::BothEnds;

/// Longest id that a header carries back.
const MAX_ID: usize = 1024;
/// Longest name of an event that is looked at.
const MAX_NAME: usize = 64;
/// A buffer that has become larger is given back to the allocator after its event.
const LARGE_BUFFER: usize = 64 * 1024;

/// What a stream consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SseItem {
    /// An event with data.
    Event(ReceivedEvent),
    /// One over the limit, of which both ends were kept.
    TooLong {
        /// The first bytes.
        head: Bytes,
        /// The last bytes.
        tail: Bytes,
        /// How long it was.
        len: usize,
    },
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedEvent {
    /// Its name; `None`: `message`, as without one.
    pub name: Option<String>,
    /// Its data, several lines of it with line feeds between them.
    pub data: Vec<u8>,
}

/// A stream of events, fed as bytes arrive. However the stream is cut into chunks, the events are the same.
#[derive(Debug)]
pub struct SseParser {
    max: usize,
    keep: usize,
    line: Vec<u8>,
    /// How long the line is, whether it is kept or not.
    line_bytes: usize,
    /// A line feed that follows belongs to the carriage return before it.
    after_cr: bool,
    first_line: bool,
    data: Option<Vec<u8>>,
    name: Option<String>,
    next_id: Option<String>,
    last_id: Option<String>,
    retry: Option<Duration>,
    /// An event over the limit.
    skipping: Option<BothEnds>,
}

impl SseParser {
    /// Events of at most `max` bytes; of longer ones both ends of `keep` bytes.
    pub fn new(max: usize, keep: usize) -> Self {
        Self {
            max,
            keep,
            line: Vec::new(),
            line_bytes: 0,
            after_cr: false,
            first_line: true,
            data: None,
            name: None,
            next_id: None,
            last_id: None,
            retry: None,
            skipping: None,
        }
    }

    /// Takes in bytes and appends the events that they complete. Events without data say nothing and are left out, but their id
    /// counts.
    pub fn push(&mut self, mut bytes: &[u8], items: &mut Vec<SseItem>) {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            self.extend(&bytes[..end]);
            let is_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            match bytes.first() {
                Some(b'\n') if is_cr => bytes = &bytes[1..],
                None if is_cr => self.after_cr = true,
                _ => {}
            }
            self.end_line(items);
        }
        self.extend(bytes);
    }

    /// The id to resume after.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// How long the server wants its client to wait before it comes back.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// How many bytes are held for an event that is not complete.
    pub fn held(&self) -> usize {
        self.line.len() + self.data.as_ref().map_or(0, Vec::len)
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.line_bytes += bytes.len();
        if let Some(skip) = &mut self.skipping {
            return skip.absorb(bytes);
        }
        if self.held() + bytes.len() > self.max {
            let mut skip = BothEnds::new(self.keep);
            let data = self.data.take().unwrap_or_default();
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(bytes);
            let value =
                line.strip_prefix(b"data:").map_or(&line[..], |value| value.strip_prefix(b" ").unwrap_or(value));
            skip.absorb(&data);
            skip.absorb(value);
            self.skipping = Some(skip);
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, items: &mut Vec<SseItem>) {
        let line = std::mem::take(&mut self.line);
        let is_blank = std::mem::take(&mut self.line_bytes) == 0;
        let bom = std::mem::take(&mut self.first_line).then(|| line.strip_prefix(b"\xef\xbb\xbf")).flatten();
        match (is_blank || bom.is_some_and(<[u8]>::is_empty), self.skipping.is_some()) {
            (true, _) => self.dispatch(items),
            (false, true) => {}
            (false, false) => self.field(bom.unwrap_or(&line)),
        }
        if line.capacity() <= LARGE_BUFFER && self.skipping.is_none() {
            self.line = line;
            self.line.clear();
        }
    }

    fn field(&mut self, line: &[u8]) {
        let (field, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => match &mut self.data {
                None => self.data = Some(value.to_vec()),
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            },
            b"event" => self.name = text(value, MAX_NAME).filter(|name| !matches!(name.as_str(), "" | "message")),
            b"id" => self.next_id = text(value, MAX_ID).or(self.next_id.take()),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.retry = text(value, MAX_NAME).and_then(|text| text.parse().ok()).map(Duration::from_millis);
            }
            _ => {}
        }
    }

    fn dispatch(&mut self, items: &mut Vec<SseItem>) {
        if let Some(id) = self.next_id.take() {
            self.last_id = (!id.is_empty()).then_some(id);
        }
        let (name, data) = (self.name.take(), self.data.take());
        if let Some(skipped) = self.skipping.take() {
            let (head, tail, len) = skipped.into_parts();
            items.push(SseItem::TooLong { head, tail, len });
        } else if let Some(data) = data.filter(|data| !data.is_empty()) {
            items.push(SseItem::Event(ReceivedEvent { name, data }));
        }
    }
}

/// A text that is short, and nothing that a header or a log could not carry.
fn text(value: &[u8], max: usize) -> Option<String> {
    let is_plain = |byte: &u8| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f;
    let text = std::str::from_utf8(value).ok()?;
    (value.len() <= max && value.iter().all(is_plain)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse_with(max: usize, chunks: &[&[u8]]) -> (Vec<SseItem>, Option<String>) {
        let mut parser = SseParser::new(max, 8);
        let mut items = Vec::new();
        for chunk in chunks {
            parser.push(chunk, &mut items);
            assert!(parser.held() <= max, "{parser:?}");
        }
        (items, parser.last_id().map(str::to_owned))
    }

    /// `name:data` of each event.
    fn parse(text: &str) -> (Vec<String>, Option<String>) {
        let (items, id) = parse_with(1000, &[text.as_bytes()]);
        let shown = |item| match item {
            SseItem::Event(ReceivedEvent { name, data }) => {
                format!("{}{}", name.map(|name| name + ":").unwrap_or_default(), String::from_utf8_lossy(&data))
            }
            SseItem::TooLong { len, .. } => format!("too long: {len}"),
        };
        (items.into_iter().map(shown).collect(), id)
    }

    proptest! {
        #[test]
        fn events_are_the_same_however_the_stream_is_cut(
            lines in prop::collection::vec(
                prop::sample::select(vec![
                    "data: {\"a\":1}", "data:é", "data", "data: ", "", "", "id: 7", "id", "retry: 10", "retry: x", ": comment",
                    "event: message", "event: ping", "unknown: 1", "\u{feff}data: x", "data: 0123456789012345678901234567890123456789",
                ]),
                0..30,
            ),
            ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 30),
            cut in 1usize..9,
        ) {
            let text: String = lines.iter().zip(&ends).flat_map(|(line, end)| [*line, *end]).collect();
            let whole = parse_with(1000, &[text.as_bytes()]);
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            prop_assert_eq!(parse_with(1000, &chunks), whole);
        }

        #[test]
        fn any_bytes_are_events_within_the_limit(bytes in prop::collection::vec(any::<u8>(), 0..400), max in 16usize..300) {
            for item in parse_with(max, &[&bytes]).0 {
                match item {
                    SseItem::Event(event) => prop_assert!(event.data.len() <= max && !event.data.is_empty()),
                    SseItem::TooLong { head, tail, len } => prop_assert!(head.len() <= 8 && tail.len() <= 8 && len >= tail.len()),
                }
            }
        }
    }

    #[test]
    fn several_data_lines_are_one_event() {
        let (events, id) = parse("\u{feff}id: 5\ndata: a\ndata:b\n\ndata: cut off");
        assert_eq!((&events[..], id.as_deref()), (&["a\nb".to_owned()][..], Some("5")));
    }

    #[test]
    fn a_priming_event_is_silent_but_its_id_counts() {
        assert_eq!(parse("id: s.0\nretry: 250\ndata: \n\n"), (vec![], Some("s.0".to_owned())));
    }

    #[test]
    fn events_have_names_and_message_is_none() {
        assert_eq!(
            parse("event: endpoint\ndata: x\n\nevent: message\ndata: y\n\ndata: z\n\n").0,
            ["endpoint:x", "y", "z"]
        );
    }

    #[test]
    fn an_event_over_the_limit_keeps_both_ends_and_the_next_one_is_whole() {
        let text = format!("data: {}\n\ndata: next\n\n", "0123456789".repeat(5));
        for cut in [1, 7, 1000] {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            let (items, _) = parse_with(30, &chunks);
            let [SseItem::TooLong { head, tail, len }, SseItem::Event(next)] = &items[..] else { panic!("{items:?}") };
            assert!(head.starts_with(b"0123") && tail.ends_with(b"23456789") && *len > 30, "{items:?}");
            assert_eq!(&next.data[..], b"next");
        }
    }

    #[test]
    fn an_event_without_end_is_not_kept() {
        let mut parser = SseParser::new(1024, 16);
        let mut items = Vec::new();
        for _ in 0..10_000 {
            parser.push(b"data: 0123456789\n", &mut items);
        }
        assert!(items.is_empty() && parser.held() <= 1024);
    }

    #[test]
    fn an_id_that_no_header_could_carry_is_none() {
        assert_eq!(parse("id: 1\ndata: a\n\nid: x\u{0}y\ndata: b\n\n").1.as_deref(), Some("1"));
        let long = format!("id: {}\ndata: b\n\n", "x".repeat(2000));
        assert_eq!(parse(&long).1, None);
    }
}
