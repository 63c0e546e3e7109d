//! Server-sent events, taken out of a stream that may be cut anywhere.

use bytes::BytesMut;

/// One event. Comments, `id` and `retry` are dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// `message` unless the server says otherwise.
    pub(crate) name: Option<String>,
    pub(crate) data: Vec<u8>,
}

/// The parser: keeps what is not yet a whole line.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Bytes of the current line that were searched for its end already.
    searched: usize,
    event: Event,
    has_data: bool,
}

impl Events {
    /// The next whole event at the front of `input`; takes what it has read.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Option<Event> {
        loop {
            let Some(found) = memchr::memchr(b'\n', &input[self.searched..]) else {
                self.searched = input.len();
                return None;
            };
            let line = input.split_to(self.searched + found + 1);
            self.searched = 0;
            let line = line.strip_suffix(b"\r\n").unwrap_or(&line[..line.len() - 1]);
            if !line.is_empty() {
                self.field(line);
                continue;
            }
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.has_data) {
                return Some(event);
            }
        }
    }

    fn field(&mut self, line: &[u8]) {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.has_data {
                    self.event.data.push(b'\n');
                }
                self.event.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => self.event.name = Some(String::from_utf8_lossy(value).into_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(wire: &[u8], cut: usize) -> Vec<Event> {
        let (mut input, mut events, mut all) = (BytesMut::new(), Events::default(), Vec::new());
        for piece in wire.chunks(cut) {
            input.extend_from_slice(piece);
            while let Some(event) = events.next(&mut input) {
                all.push(event);
            }
        }
        all
    }

    proptest! {
        #[test]
        fn events_are_read_however_the_stream_is_cut(
            texts in prop::collection::vec("[ -~]{0,60}", 1..6),
            cut in 1usize..40,
            crlf: bool,
        ) {
            let end = if crlf { "\r\n" } else { "\n" };
            let mut wire = format!(": hello{end}{end}id: 1{end}data{end}{end}");
            for text in &texts {
                wire.push_str(&format!("event: message{end}id: 7{end}data: {text}{end}{end}"));
            }
            let events = read(wire.as_bytes(), cut);
            prop_assert_eq!(&events[0], &Event { name: None, data: vec![] }, "a priming event has no text");
            let read: Vec<_> = events[1..].iter().map(|event| String::from_utf8_lossy(&event.data).into_owned()).collect();
            prop_assert_eq!(read, texts);
        }

        #[test]
        fn foreign_bytes_never_panic(wire: Vec<u8>, cut in 1usize..9) {
            read(&wire, cut);
        }
    }

    #[test]
    fn several_data_lines_make_one_event() {
        let events = read(b"event: endpoint\ndata:a\ndata: b\n\nid: 3\n\ndata: c\n", 4);
        assert_eq!(events, vec![Event { name: Some("endpoint".into()), data: b"a\nb".to_vec() }]);
    }
}
