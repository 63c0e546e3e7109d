//! Where requests begin and end among the bytes of a connection (RFC 9112 §6 and §7). The HTTP library knows that, too, and does
//! not say it: how long a head may take can only be watched by one who sees where it begins.
//!
//! On its way this takes from heads what asks for another protocol (RFC 9110 §7.8). A server may ignore that, and this one does;
//! the library would end the connection after the answer, or take all that follows for the body of a WebSocket.

use memchr::{memchr, memchr_iter, memchr2};

/// The longest name of a field that matters here.
const LONGEST_NAME: usize = "transfer-encoding".len();
const UPGRADE: &[u8] = b"upgrade";
/// Stands in the place of a letter of what asks for another protocol.
const BLOT: u8 = b'-';

/// How far a connection's bytes have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FramingPosition {
    /// No request has begun since the last one.
    Between,
    /// In the head of a request, and what it has said so far of its body.
    Head(Line, Body),
    /// In a body of which so much is missing.
    Content(u64),
    /// In the line before a chunk.
    ChunkSize(Digits),
    /// In a chunk, with the line end that follows it.
    Chunk(u64),
    /// Behind the last chunk, in a line that is empty so far or not.
    Trailer { empty: bool },
    /// The library refuses this request, and ends the connection.
    Unreadable,
}

/// Where in a line of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// It is empty so far.
    Empty,
    /// In the name of a field, of which so much is known.
    Name([u8; LONGEST_NAME], usize),
    /// In the value of `Content-Length`.
    Length,
    /// In the value of `Upgrade`, whose first letter has not come yet.
    Protocol,
    /// In the value of `Connection`, where so many letters of `upgrade` have come.
    Option(usize),
    /// Nothing in it matters any more.
    Rest,
}

/// The framing of a body, as its head states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(u64),
    Chunked,
    Unreadable,
}

/// The size of a chunk, as far as it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digits {
    More(u64),
    /// Extensions follow.
    Complete(u64),
    TooMany,
}

/// Follows the requests of one connection.
#[derive(Debug)]
pub(crate) struct Framing(FramingPosition);

impl Framing {
    pub(crate) fn new() -> Self {
        Self(FramingPosition::Between)
    }

    /// Whether a head has begun that is not complete.
    pub(crate) fn is_in_head(&self) -> bool {
        matches!(self.0, FramingPosition::Head(..))
    }

    /// Whether the last request is complete, and no other has begun.
    pub(crate) fn is_between(&self) -> bool {
        self.0 == FramingPosition::Between
    }

    /// Takes the next bytes of the client, without what asks for another protocol; says how many heads they complete.
    pub(crate) fn take(&mut self, mut bytes: &mut [u8]) -> u32 {
        let mut heads = 0;
        while let Some(&first) = bytes.first() {
            let (state, taken) = match self.0 {
                FramingPosition::Between if matches!(first, b'\r' | b'\n') => (FramingPosition::Between, 1),
                FramingPosition::Between => match whole_head(bytes) {
                    Some((body, taken)) => {
                        heads += 1;
                        (after_head(body), taken)
                    }
                    // The request line: what it says is for the library.
                    None => (FramingPosition::Head(Line::Rest, Body::Length(0)), 0),
                },
                FramingPosition::Head(line, body) => {
                    let (state, taken) = head(line, body, bytes);
                    heads += u32::from(!matches!(state, FramingPosition::Head(..)));
                    (state, taken)
                }
                FramingPosition::Content(missing) => match skip(missing, bytes) {
                    (0, taken) => (FramingPosition::Between, taken),
                    (missing, taken) => (FramingPosition::Content(missing), taken),
                },
                FramingPosition::Chunk(missing) => match skip(missing, bytes) {
                    (0, taken) => (FramingPosition::ChunkSize(Digits::More(0)), taken),
                    (missing, taken) => (FramingPosition::Chunk(missing), taken),
                },
                FramingPosition::ChunkSize(digits) => (chunk_size(digits, first), 1),
                FramingPosition::Trailer { empty: true } if first == b'\n' => (FramingPosition::Between, 1),
                FramingPosition::Trailer { empty } => {
                    (FramingPosition::Trailer { empty: first == b'\n' || (empty && first == b'\r') }, 1)
                }
                FramingPosition::Unreadable => return heads,
            };
            self.0 = state;
            bytes = &mut bytes[taken..];
        }
        heads
    }
}

/// How much is missing after these bytes, and how many of them belong to it.
fn skip(missing: u64, bytes: &[u8]) -> (u64, usize) {
    let taken = usize::try_from(missing).map_or(bytes.len(), |missing| missing.min(bytes.len()));
    (missing - taken as u64, taken)
}

/// The body that a head announces and the length of the head, if that is there as a whole and says nothing unusual: most do, and
/// need not be followed byte by byte.
fn whole_head(bytes: &[u8]) -> Option<(Body, usize)> {
    /// A length from which on a further digit may be too much.
    const MUCH: u64 = u64::MAX / 10;
    let (mut body, mut line) = (0, 0);
    for end in memchr_iter(b'\n', bytes) {
        let field = &bytes[line..end];
        match field {
            [] | [b'\r'] if line > 0 => return Some((Body::Length(body), end + 1)),
            [b'c' | b'C' | b't' | b'T' | b'u' | b'U', ..] if line > 0 => {
                if let Some(value) = value_in(field, b"content-length") {
                    body = value.iter().try_fold(body, |length, byte| match byte {
                        b' ' | b'\t' | b'\r' => Some(length),
                        b'0'..=b'9' if length < MUCH => Some(length * 10 + u64::from(byte - b'0')),
                        _ => None,
                    })?;
                } else if value_in(field, UPGRADE).is_some()
                    || value_in(field, b"transfer-encoding").is_some()
                    || value_in(field, b"connection").is_some_and(|value| memchr2(b'u', b'U', value).is_some())
                {
                    return None;
                }
            }
            [b'\r', ..] => return None,
            _ => {}
        }
        line = end + 1;
    }
    None
}

/// The value of a field if it has this name.
fn value_in<'f>(field: &'f [u8], name: &[u8]) -> Option<&'f [u8]> {
    let (start, value) = field.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

/// The state after the next bytes of a head, and how many were taken.
fn head(line: Line, body: Body, bytes: &mut [u8]) -> (FramingPosition, usize) {
    let byte = bytes[0];
    if line == Line::Rest {
        return match memchr(b'\n', bytes) {
            Some(end) => (FramingPosition::Head(Line::Empty, body), end + 1),
            None => (FramingPosition::Head(Line::Rest, body), bytes.len()),
        };
    }
    let (line, body) = match (line, byte) {
        (Line::Empty, b'\n') => return (after_head(body), 1),
        (_, b'\n') => (Line::Empty, body),
        (Line::Empty, b'\r') => (Line::Empty, body),
        // Most names are not even looked at, and most of the others are there as a whole.
        (Line::Empty, b'c' | b'C' | b't' | b'T' | b'u' | b'U') => return name_at(bytes, body),
        (Line::Empty, _) => (Line::Rest, body),
        (Line::Name(name, length), b':') => value_of(&name[..length], body),
        (Line::Name(_, LONGEST_NAME), _) => (Line::Rest, body),
        (Line::Name(mut name, length), _) => {
            name[length] = byte.to_ascii_lowercase();
            (Line::Name(name, length + 1), body)
        }
        (Line::Protocol, b' ' | b'\t' | b'\r') => (Line::Protocol, body),
        (Line::Protocol, _) => {
            // The library knows one protocol only, and looks at the whole value.
            bytes[0] = BLOT;
            (Line::Rest, body)
        }
        (Line::Length, _) => (Line::Length, with_digit(body, byte)),
        (Line::Option(matched), _) => match byte.to_ascii_lowercase() {
            letter if letter == UPGRADE[matched] && matched + 1 == UPGRADE.len() => {
                bytes[0] = BLOT;
                (Line::Option(0), body)
            }
            letter if letter == UPGRADE[matched] => (Line::Option(matched + 1), body),
            // No later letter of the word is its first one.
            letter => (Line::Option(usize::from(letter == UPGRADE[0])), body),
        },
        (Line::Rest, _) => (Line::Rest, body),
    };
    (FramingPosition::Head(line, body), 1)
}

/// The state behind a name, or behind the line when it has none; within it only when it is not there as a whole.
fn name_at(bytes: &[u8], body: Body) -> (FramingPosition, usize) {
    let mut name = [0; LONGEST_NAME];
    let near = &bytes[..bytes.len().min(LONGEST_NAME + 1)];
    match memchr2(b':', b'\n', near) {
        Some(end) if bytes[end] == b':' => {
            name[..end].copy_from_slice(&bytes[..end]);
            name.make_ascii_lowercase();
            let (line, body) = value_of(&name[..end], body);
            (FramingPosition::Head(line, body), end + 1)
        }
        Some(end) => (FramingPosition::Head(Line::Empty, body), end + 1),
        None if near.len() > LONGEST_NAME => (FramingPosition::Head(Line::Rest, body), near.len()),
        None => (FramingPosition::Head(Line::Name(name, 0), body), 0),
    }
}

/// Where the value of a field leads.
fn value_of(name: &[u8], body: Body) -> (Line, Body) {
    match name {
        UPGRADE => (Line::Protocol, body),
        b"connection" => (Line::Option(0), body),
        b"content-length" => (Line::Length, body),
        // The library takes no other coding, and no length beside it.
        b"transfer-encoding" => (Line::Rest, Body::Chunked),
        _ => (Line::Rest, body),
    }
}

fn with_digit(body: Body, byte: u8) -> Body {
    match (body, byte) {
        (Body::Length(_) | Body::Unreadable, b' ' | b'\t' | b'\r') | (Body::Chunked, _) => body,
        (Body::Length(length), b'0'..=b'9') => {
            let more = length.checked_mul(10).and_then(|length| length.checked_add(u64::from(byte - b'0')));
            more.map_or(Body::Unreadable, Body::Length)
        }
        _ => Body::Unreadable,
    }
}

fn after_head(body: Body) -> FramingPosition {
    match body {
        Body::Length(0) => FramingPosition::Between,
        Body::Length(length) => FramingPosition::Content(length),
        Body::Chunked => FramingPosition::ChunkSize(Digits::More(0)),
        Body::Unreadable => FramingPosition::Unreadable,
    }
}

fn chunk_size(digits: Digits, byte: u8) -> FramingPosition {
    let digits = match (digits, byte) {
        (Digits::More(0) | Digits::Complete(0), b'\n') => return FramingPosition::Trailer { empty: true },
        // The end of its own line belongs to a chunk.
        (Digits::More(size) | Digits::Complete(size), b'\n') => {
            return size.checked_add(2).map_or(FramingPosition::Unreadable, FramingPosition::Chunk);
        }
        (Digits::TooMany, _) => return FramingPosition::Unreadable,
        (Digits::More(size), _) => match char::from(byte).to_digit(16) {
            Some(digit) => {
                let more = size.checked_mul(16).map(|size| size + u64::from(digit));
                more.map_or(Digits::TooMany, Digits::More)
            }
            None => Digits::Complete(size),
        },
        (Digits::Complete(size), _) => Digits::Complete(size),
    };
    FramingPosition::ChunkSize(digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bytes that come out of these, the heads that were seen, and whether one is open, when they come in pieces of this size.
    fn taken(text: &str, piece: usize) -> (String, u32, bool) {
        let mut bytes = text.as_bytes().to_vec();
        let mut framing = Framing::new();
        let heads = bytes.chunks_mut(piece.max(1)).map(|piece| framing.take(piece)).sum();
        (String::from_utf8(bytes).expect("only letters were changed"), heads, framing.is_in_head())
    }

    const PLAIN: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

    #[test]
    fn heads_are_counted_past_bodies_of_every_kind() {
        let body = "{\"connection: upgrade\"}\r\n\r\n\nUpgrade: h2c\r\n";
        let sized = format!("POST /mcp HTTP/1.1\r\nContent-Length: {}\r\nX: y\r\n\r\n{body}", body.len());
        let chunked = format!(
            "\r\nPOST /mcp HTTP/1.1\r\ntransfer-ENCODING: chunked\r\n\r\n{:x};a=b\r\n{body}\r\n0\r\nX: \r\n\r\n",
            body.len()
        );
        let bare = "GET / HTTP/1.1\nHost: x\nContent-Length:0\n\n";
        let text = [PLAIN, &sized, &chunked, bare, PLAIN].concat();
        for piece in 1..text.len() {
            assert_eq!(taken(&text, piece), (text.clone(), 5, false), "in pieces of {piece}");
        }
        for (cut, open) in [(text.len() - 1, true), (PLAIN.len() + 1, true), (PLAIN.len(), false)] {
            assert_eq!(taken(&text[..cut], 7).2, open, "cut at {cut}");
        }
    }

    #[test]
    fn nothing_asks_for_another_protocol_and_all_else_stays() {
        let cases = [
            (
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEA\r\n",
                "Connection: Upgrad-, HTTP2-Settings\r\nUpgrade: -2c\r\nHTTP2-Settings: AAEA\r\n",
            ),
            (
                "connection:keep-alive,uPGRADE\r\nupgrade:websocket\r\n",
                "connection:keep-alive,uPGRAD-\r\nupgrade:-ebsocket\r\n",
            ),
            ("Connection: close, UPUPGRADE\r\n", "Connection: close, UPUPGRAD-\r\n"),
            (
                "Upgrade-Insecure-Requests: 1\r\nUpgrades: websocket\r\n",
                "Upgrade-Insecure-Requests: 1\r\nUpgrades: websocket\r\n",
            ),
            ("X-Upgrade: upgrade\r\nReferer: upgrade\r\n", "X-Upgrade: upgrade\r\nReferer: upgrade\r\n"),
        ];
        for (asked, expected) in cases {
            let head = |fields: &str| format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
            for piece in 1..40 {
                assert_eq!(taken(&head(asked), piece), (head(expected), 1, false), "in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_the_library_refuses_is_not_followed() {
        for fields in ["Content-Length: 5, 6", "Content-Length: 99999999999999999999", "Content-Length: +5"] {
            let text = format!("POST /mcp HTTP/1.1\r\n{fields}\r\n\r\n{PLAIN}");
            assert_eq!(taken(&text, 11).1, 1, "{fields}");
        }
        let text = format!("POST /mcp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{PLAIN}");
        assert_eq!(taken(&text, 11).1, 1);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_bytes_are_cut(
            parts in prop::collection::vec(prop::sample::select(vec![
                "GET / HTTP/1.1\r\n", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Connection: upgrade\r\n",
                "Upgrade: x\r\n", "\r\n", "\n", "3\r\nabc\r\n", "0\r\n\r\n", "abc", ":", "é", "\r", "Host: u\r\n",
                "content-length:1 0 \n", "Content-Length: 99999999999999999999\r\n", "connection: keep-alive\r\n",
                "Content-Lengthy: 4\r\n",
            ]), 0..20),
            piece in 1..9_usize,
        ) {
            let text = parts.concat();
            prop_assert_eq!(taken_lossy(&text, piece), taken_lossy(&text, text.len()));
        }

        #[test]
        fn bodies_come_through_unchanged(body in "(?i)(upgrade|connection: upgrade|\r\n|\\{|x){0,12}", chunked: bool, piece in 1..50_usize) {
            let text = if chunked && !body.is_empty() {
                format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:X}\r\n{body}\r\n0\r\n\r\n{PLAIN}", body.len())
            } else {
                format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}{PLAIN}", body.len())
            };
            prop_assert_eq!(taken(&text, piece), (text.clone(), 2, false));
        }
    }

    fn taken_lossy(text: &str, piece: usize) -> (Vec<u8>, u32, bool) {
        let (text, heads, open) = taken(text, piece);
        (text.into_bytes(), heads, open)
    }
}
