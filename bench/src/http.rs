//! The reading half of HTTP/1.1, as far as a client needs it: a head, then a body of known length, in chunks, or up to
//! the end of the connection.

use bytes::{Buf, BytesMut};

/// A head larger than this is refused.
pub(crate) const MAX_HEAD: usize = 64 * 1024;
/// A body larger than this is refused.
pub(crate) const MAX_BODY: usize = 64 * 1024 * 1024;
/// A chunk's size line, extensions included.
const MAX_SIZE_LINE: usize = 256;

/// What a server wrote that is not HTTP/1.1, or too much of it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum HttpError {
    #[error("the answer's head is over {MAX_HEAD} bytes")]
    HeadTooLarge,
    #[error("the answer's body is over {MAX_BODY} bytes")]
    BodyTooLarge,
    #[error("the answer's head is not HTTP/1.1")]
    Head,
    #[error("a chunk of the answer's body has no size")]
    Chunk,
}

/// Status and the few headers that a client of ours looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) is_sse: bool,
    pub(crate) session: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) closes: bool,
    framing: Framing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

impl Head {
    /// Takes a head off the front of `input`; `None` until all of it is there.
    pub(crate) fn take(input: &mut BytesMut) -> Result<Option<Self>, HttpError> {
        let Some(end) = memchr::memmem::find(input, b"\r\n\r\n") else {
            return if input.len() > MAX_HEAD { Err(HttpError::HeadTooLarge) } else { Ok(None) };
        };
        let bytes = input.split_to(end + 4);
        let text = std::str::from_utf8(&bytes).map_err(|_| HttpError::Head)?;
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 "))
            .and_then(|line| line.get(..3))
            .and_then(|code| code.parse().ok())
            .ok_or(HttpError::Head)?;
        let mut head =
            Self { status, is_sse: false, session: None, location: None, closes: false, framing: Framing::UntilClose };
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(HttpError::Head)?;
            head.header(name, value.trim())?;
        }
        if matches!(status, 100..200 | 204 | 304) {
            head.framing = Framing::Length(0);
        }
        head.closes |= head.framing == Framing::UntilClose;
        Ok(Some(head))
    }

    fn header(&mut self, name: &str, value: &str) -> Result<(), HttpError> {
        if name.eq_ignore_ascii_case("content-length") {
            if self.framing != Framing::Chunked {
                let length = value.parse().map_err(|_| HttpError::Head)?;
                if length > MAX_BODY {
                    return Err(HttpError::BodyTooLarge);
                }
                self.framing = Framing::Length(length);
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(HttpError::Head);
            }
            self.framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case("content-type") {
            self.is_sse = value.get(..17).is_some_and(|start| start.eq_ignore_ascii_case("text/event-stream"));
        } else if name.eq_ignore_ascii_case("mcp-session-id") {
            self.session = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("location") {
            self.location = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("connection") {
            self.closes = value.eq_ignore_ascii_case("close");
        }
        Ok(())
    }

    /// The decoder of the body that follows this head.
    pub(crate) fn body(&self) -> Body {
        let state = match self.framing {
            Framing::Length(0) => State::Done,
            Framing::Length(left) => State::Data { left, then: Then::Done },
            Framing::Chunked => State::Size,
            Framing::UntilClose => State::UntilClose,
        };
        Body { state }
    }
}

/// Takes a body out of its framing.
#[derive(Debug)]
pub(crate) struct Body {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Data { left: usize, then: Then },
    Size,
    ChunkEnd,
    Trailers,
    UntilClose,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Done,
    ChunkEnd,
}

impl Body {
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The connection has ended: whether that ends the body too.
    pub(crate) fn ends_here(&self) -> bool {
        matches!(self.state, State::UntilClose | State::Done)
    }

    /// Moves what `input` holds of the body to `out`. Bytes of a next answer stay in `input`.
    pub(crate) fn decode(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<(), HttpError> {
        loop {
            match self.state {
                State::Done => return Ok(()),
                State::UntilClose => {
                    let all = input.len();
                    return self.move_over(input, out, all);
                }
                State::Data { left, then } => {
                    let now = left.min(input.len());
                    self.move_over(input, out, now)?;
                    if now < left {
                        self.state = State::Data { left: left - now, then };
                        return Ok(());
                    }
                    self.state = match then {
                        Then::Done => State::Done,
                        Then::ChunkEnd => State::ChunkEnd,
                    };
                }
                State::ChunkEnd => {
                    if input.len() < 2 {
                        return Ok(());
                    }
                    if !input.starts_with(b"\r\n") {
                        return Err(HttpError::Chunk);
                    }
                    input.advance(2);
                    self.state = State::Size;
                }
                State::Size => {
                    let Some(line) = take_line(input)? else { return Ok(()) };
                    self.state = match chunk_size(&line)? {
                        0 => State::Trailers,
                        left => State::Data { left, then: Then::ChunkEnd },
                    };
                }
                State::Trailers => {
                    let Some(line) = take_line(input)? else { return Ok(()) };
                    if line.is_empty() {
                        self.state = State::Done;
                    }
                }
            }
        }
    }

    fn move_over(&self, input: &mut BytesMut, out: &mut BytesMut, count: usize) -> Result<(), HttpError> {
        // A stream of events may go on for ever: its reader takes events out of `out` as they come.
        if out.len() + count > MAX_BODY {
            return Err(HttpError::BodyTooLarge);
        }
        if out.is_empty() && count == input.len() {
            std::mem::swap(input, out); // the common case costs no copy
        } else {
            out.extend_from_slice(&input[..count]);
            input.advance(count);
        }
        Ok(())
    }
}

fn take_line(input: &mut BytesMut) -> Result<Option<BytesMut>, HttpError> {
    match memchr::memchr(b'\n', input) {
        Some(end) if end <= MAX_SIZE_LINE => {
            let mut line = input.split_to(end + 1);
            line.truncate(end);
            if line.last() == Some(&b'\r') {
                line.truncate(end - 1);
            }
            Ok(Some(line))
        }
        None if input.len() <= MAX_SIZE_LINE => Ok(None),
        Some(_) | None => Err(HttpError::Chunk),
    }
}

fn chunk_size(line: &[u8]) -> Result<usize, HttpError> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = std::str::from_utf8(digits).map_err(|_| HttpError::Chunk)?.trim();
    match usize::from_str_radix(digits, 16).map_err(|_| HttpError::Chunk)? {
        size if size > MAX_BODY => Err(HttpError::BodyTooLarge),
        size => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Head and body of one answer that arrives in pieces of at most `cut` bytes, and what is left over.
    fn read(wire: &[u8], cut: usize) -> Result<(Head, Vec<u8>, Vec<u8>), HttpError> {
        let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
        let mut found: Option<(Head, Body)> = None;
        for piece in wire.chunks(cut) {
            input.extend_from_slice(piece);
            if found.is_none() {
                found = Head::take(&mut input)?.map(|head| (head.clone(), head.body()));
            }
            if let Some((_, body)) = &mut found {
                body.decode(&mut input, &mut out)?;
            }
        }
        let (head, body) = found.expect("a whole head");
        assert!(body.ends_here(), "{body:?}");
        Ok((head, out.to_vec(), input.to_vec()))
    }

    proptest! {
        #[test]
        fn a_body_of_known_length_is_read_however_it_is_cut(body: Vec<u8>, cut in 1usize..50) {
            let mut wire = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
            wire.extend_from_slice(&body);
            wire.extend_from_slice(b"HTTP/1.1 ");
            let (head, read, rest) = read(&wire, cut).expect("HTTP");
            prop_assert_eq!(head.status, 200);
            prop_assert_eq!(read, body);
            prop_assert_eq!(rest, b"HTTP/1.1 ");
        }

        #[test]
        fn a_chunked_body_is_read_however_it_is_cut(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..6),
            cut in 1usize..50,
        ) {
            let mut wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:X};ext=1\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\nTrailer: x\r\n\r\nnext");
            let (_, read, rest) = read(&wire, cut).expect("HTTP");
            prop_assert_eq!(read, chunks.concat());
            prop_assert_eq!(rest, b"next");
        }

        #[test]
        fn foreign_bytes_never_panic(wire: Vec<u8>) {
            let mut input = BytesMut::from(&wire[..]);
            let _ = Head::take(&mut input);
            let mut body = Body { state: State::Size };
            let _ = body.decode(&mut BytesMut::from(&wire[..]), &mut BytesMut::new());
        }
    }

    #[test]
    fn the_headers_a_client_needs_are_seen_in_any_case() {
        let wire = b"HTTP/1.1 200 OK\r\nMCP-Session-ID: abc\r\nCONTENT-TYPE: text/event-stream; charset=utf-8\r\n\
            connection: Close\r\ncontent-length: 0\r\n\r\n";
        let (head, _, _) = read(wire, 7).expect("HTTP");
        assert_eq!(head.session.as_deref(), Some("abc"));
        assert!(head.is_sse && head.closes);
    }

    #[test]
    fn an_answer_without_content_has_no_body() {
        let (head, body, rest) = read(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1", 3).expect("HTTP");
        assert_eq!((head.status, head.closes, body.len()), (204, false, 0));
        assert_eq!(rest, b"HTTP/1.1");
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused() {
        let wire = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", MAX_BODY + 1);
        assert_eq!(Head::take(&mut BytesMut::from(wire.as_bytes())), Err(HttpError::BodyTooLarge));
        assert_eq!(chunk_size(b"FFFFFFFFFF"), Err(HttpError::BodyTooLarge));
        let endless = vec![b'a'; MAX_HEAD + 1];
        assert_eq!(Head::take(&mut BytesMut::from(&endless[..])), Err(HttpError::HeadTooLarge));
    }
}
