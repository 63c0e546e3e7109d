//! Lines out of a byte stream that arrives in pieces of any size.

use bytes::{Buf, Bytes, BytesMut};
use mcproxy_http::BothEnds;
use mcproxy_ipc::is_unprintable;
use memchr::memchr;

/// Bytes that one read asks for when no long line is under way; an idle worker holds no more than this.
const CHUNK: usize = 8 * 1024;
/// Most bytes that one read asks for, while a long line comes in.
const LARGE_CHUNK: usize = 256 * 1024;

/// One line of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServerLine {
    /// Without its line end and byte order mark; never empty.
    Text(Bytes),
    /// Over the limit. Only its ends were kept.
    TooLong {
        /// The first bytes.
        head: Bytes,
        /// The last bytes.
        tail: Bytes,
        /// How long it was.
        len: usize,
    },
}

/// Cuts a stream into lines of bounded length. However the stream is cut into chunks, the lines are the same.
#[derive(Debug)]
pub(crate) struct Splitter {
    buffer: BytesMut,
    /// The first bytes of the buffer that hold no line end.
    scanned: usize,
    max: usize,
    /// How much is kept of either end of a line over the limit.
    keep: usize,
    skipping: Option<BothEnds>,
    /// The most the current block has held.
    largest: usize,
}

/// A line over the limit.
fn too_long(ends: BothEnds) -> ServerLine {
    let (head, tail, len) = ends.into_parts();
    ServerLine::TooLong { head, tail, len }
}

impl Splitter {
    /// Lines of at most `max` bytes; of longer ones both ends of `keep` bytes.
    pub(crate) fn new(max: usize, keep: usize) -> Self {
        Self { buffer: BytesMut::new(), scanned: 0, max, keep, skipping: None, largest: 0 }
    }

    /// Where the next read goes: always with room for some bytes.
    pub(crate) fn space(&mut self) -> &mut BytesMut {
        let want = self.buffer.len().clamp(CHUNK, LARGE_CHUNK);
        if self.buffer.capacity() - self.buffer.len() < want / 2 {
            self.buffer.reserve(want);
        }
        &mut self.buffer
    }

    /// Adds bytes that were read elsewhere.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete line.
    pub(crate) fn next(&mut self) -> Option<ServerLine> {
        self.largest = self.largest.max(self.buffer.len());
        loop {
            let Some(at) = memchr(b'\n', &self.buffer[self.scanned..]).map(|at| at + self.scanned) else {
                self.wait_for_more();
                return None;
            };
            self.scanned = 0;
            let line = self.buffer.split_to(at);
            self.buffer.advance(1);
            if let Some(line) = self.complete(line) {
                return Some(line);
            }
        }
    }

    /// The rest after the last line end, when the stream is over.
    pub(crate) fn finish(&mut self) -> Option<ServerLine> {
        let rest = self.buffer.split();
        self.scanned = 0;
        self.complete(rest)
    }

    /// Forgets what is not a complete line yet.
    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.scanned = 0;
        self.skipping = None;
    }

    fn complete(&mut self, line: BytesMut) -> Option<ServerLine> {
        if let Some(mut skip) = self.skipping.take() {
            skip.absorb(&line);
            return Some(too_long(skip));
        }
        if line.len() > self.max {
            return Some(too_long(self.skip(&line)));
        }
        strip(line.freeze())
    }

    fn skip(&self, start: &[u8]) -> BothEnds {
        let mut skip = BothEnds::new(self.keep);
        skip.absorb(start);
        skip
    }

    /// No line end in the buffer: a line over the limit is let go of, and so is a large block that held one.
    fn wait_for_more(&mut self) {
        if let Some(skip) = &mut self.skipping {
            skip.absorb(&self.buffer);
            self.buffer.clear();
        } else if self.buffer.len() > self.max {
            self.skipping = Some(self.skip(&self.buffer));
            self.buffer.clear();
        }
        self.scanned = self.buffer.len();
        if self.buffer.is_empty() && self.largest > 2 * CHUNK {
            // A block that was cut into lines stays alive as long as its empty rest does.
            self.buffer = BytesMut::new();
            self.largest = 0;
        }
    }
}

fn strip(mut line: Bytes) -> Option<ServerLine> {
    if line.starts_with(b"\xef\xbb\xbf") {
        line.advance(3);
    }
    while line.last().is_some_and(u8::is_ascii_whitespace) {
        line.truncate(line.len() - 1);
    }
    let blank = line.iter().take_while(|b| b.is_ascii_whitespace()).count();
    line.advance(blank);
    (!line.is_empty()).then_some(ServerLine::Text(line))
}

/// Foreign bytes for a log: capped, and without characters that a terminal would obey or hide.
pub(crate) fn printable(bytes: &[u8], max: usize) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(max)]);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) && c != '\t' { out.extend(c.escape_default()) } else { out.push(c) }
    }
    if bytes.len() > max {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(stream: &[u8], cuts: &[usize], max: usize) -> Vec<ServerLine> {
        let mut splitter = Splitter::new(max, 8);
        let mut lines = Vec::new();
        let mut rest = stream;
        for cut in cuts.iter().cycle() {
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            splitter.space();
            splitter.push(chunk);
            rest = after;
            lines.extend(std::iter::from_fn(|| splitter.next()));
            if rest.is_empty() {
                break;
            }
        }
        lines.extend(splitter.finish());
        lines
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_the_stream_is_cut(
            stream in prop::collection::vec(
                prop::sample::select(b"ab{\xef\xbb\xbf\xff\x00 \r\n\n".to_vec()), 0..400),
            cuts in prop::collection::vec(1usize..40, 1..20),
            max in 1usize..60,
        ) {
            prop_assert_eq!(split(&stream, &cuts, max), split(&stream, &[usize::MAX], max));
        }

        #[test]
        fn no_line_is_over_the_limit_and_none_is_empty(
            stream in prop::collection::vec(prop::sample::select(b"abc\n".to_vec()), 0..300),
            cuts in prop::collection::vec(1usize..40, 1..20),
        ) {
            for line in split(&stream, &cuts, 16) {
                match line {
                    ServerLine::Text(text) => prop_assert!(!text.is_empty() && text.len() <= 16),
                    ServerLine::TooLong { head, tail, len } => {
                        prop_assert!(len > 16 && head.len() == 8 && tail.len() == 8);
                    }
                }
            }
        }
    }

    #[test]
    fn a_line_over_the_limit_keeps_both_ends_and_the_next_line_is_whole() {
        let lines = split(b"0123456789abcdefghij\nnext\n", &[3], 10);
        let long = ServerLine::TooLong { head: (&b"01234567"[..]).into(), tail: (&b"cdefghij"[..]).into(), len: 20 };
        assert_eq!(lines, [long, ServerLine::Text((&b"next"[..]).into())]);
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let mut splitter = Splitter::new(1024, 16);
        for _ in 0..10_000 {
            splitter.space();
            splitter.push(&[b'x'; 4096]);
            assert_eq!(splitter.next(), None);
            assert!(splitter.buffer.capacity() < 64 * 1024);
        }
        splitter.push(b"\n");
        assert!(matches!(splitter.next(), Some(ServerLine::TooLong { len: 40_960_000, .. })));
    }

    #[test]
    fn a_large_block_is_let_go_of_after_its_line() {
        let mut splitter = Splitter::new(4 << 20, 16);
        splitter.push(&vec![b'x'; 2 << 20]);
        splitter.push(b"\n");
        assert!(matches!(splitter.next(), Some(ServerLine::Text(_))));
        assert_eq!(splitter.next(), None);
        assert!(splitter.buffer.capacity() <= CHUNK);
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(printable(b"a\x1b[31m\x00b", 64), "a\\u{1b}[31m\\u{0}b");
        assert_eq!(printable("a\u{202e}b\u{200f}".as_bytes(), 64), "a\\u{202e}b\\u{200f}");
        assert_eq!(printable(b"abcdef", 3), "abc…");
    }
}
