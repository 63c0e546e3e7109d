//! The messages in the body of an answer, each of bounded length.

use std::{collections::VecDeque, time::Duration};

use bytes::{Bytes, BytesMut};
use mcproxy_http::{Error, ReceivedEvent, Response, SseItem, SseParser, fault};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::wire::{LARGE, LARGE_STALL, Wire};
use crate::lines::ServerLine;

/// Both ends of an event over the limit that are looked at.
const KEEP: usize = 256;

/// Why a body is not read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BrokenBody {
    /// The connection was lost: why.
    Lost(String),
    /// It is longer than a message may be.
    TooLong,
}

/// A whole body that is one message, line breaks between tokens replaced, and its place if it is a large one.
pub(super) async fn json(
    wire: &Wire,
    mut response: Response,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), BrokenBody> {
    let (mut body, mut place) = (BytesMut::new(), None);
    let length = response.content_length().and_then(|length| usize::try_from(length).ok());
    if length.is_some_and(|length| length > wire.line_bytes) {
        return Err(BrokenBody::TooLong);
    }
    while let Some(chunk) = next_chunk(&mut response, place.is_some()).await? {
        if body.len() + chunk.len() > wire.line_bytes {
            return Err(BrokenBody::TooLong);
        }
        body.extend_from_slice(&chunk);
        if body.len() > LARGE && place.is_none() {
            place = wire.large_place().await;
        }
    }
    in_one_line(&mut body);
    Ok((body.freeze(), place))
}

/// An event stream.
pub(super) struct EventBody {
    response: Response,
    parser: SseParser,
    ready: VecDeque<SseItem>,
    place: Option<OwnedSemaphorePermit>,
    wire: Wire,
    /// Where it was taken up again, and what was named before.
    last: Option<String>,
    retry: Option<Duration>,
    /// Whether anything has come.
    pub(super) has_begun: bool,
}

impl EventBody {
    pub(super) fn new(wire: Wire, response: Response) -> Self {
        let parser = SseParser::new(wire.line_bytes, KEEP);
        Self { response, parser, ready: VecDeque::new(), place: None, wire, last: None, retry: None, has_begun: false }
    }

    /// Goes on after this event, until the server names another.
    pub(super) fn after(mut self, last: &str, retry: Option<Duration>) -> Self {
        (self.last, self.retry) = (Some(last.to_owned()), retry);
        self
    }

    /// The next event; `None`: the stream has ended in order.
    pub(super) async fn next(&mut self) -> Result<Option<SseItem>, BrokenBody> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            let Some(chunk) = next_chunk(&mut self.response, self.place.is_some()).await? else { return Ok(None) };
            self.has_begun |= !chunk.is_empty();
            let mut items = Vec::new();
            self.parser.push(&chunk, &mut items);
            self.ready.extend(items);
            if self.parser.held() > LARGE && self.place.is_none() {
                self.place = self.wire.large_place().await;
            }
        }
    }

    /// Reads what follows on the answer: nothing, in order.
    pub(super) async fn drain(&mut self) {
        while let Ok(Some(_)) = self.next().await {}
    }

    /// The place of the large message that [`EventBody::next`] returned, if it was one.
    pub(super) fn take_place(&mut self) -> Option<OwnedSemaphorePermit> {
        self.place.take_if(|_| self.parser.held() <= LARGE)
    }

    /// The id to resume after.
    pub(super) fn last_id(&self) -> Option<&str> {
        self.parser.last_id().or(self.last.as_deref())
    }

    /// How long the server wants its client to wait before it comes back.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.parser.retry().or(self.retry)
    }
}

/// An event as a line of the server; `None`: it is no message, but something else that it says to its client.
pub(super) fn line_of(item: SseItem) -> Option<ServerLine> {
    match item {
        SseItem::Event(ReceivedEvent { name: None, mut data }) => {
            in_one_line(&mut data);
            Some(ServerLine::Text(data.into()))
        }
        SseItem::Event(_) => None,
        SseItem::TooLong { head, tail, len } => Some(ServerLine::TooLong { head, tail, len }),
    }
}

async fn next_chunk(response: &mut Response, is_large: bool) -> Result<Option<Bytes>, BrokenBody> {
    let lost = |error: Error| BrokenBody::Lost(fault(&error).text);
    match is_large {
        false => response.chunk().await.map_err(lost),
        true => match timeout(LARGE_STALL, response.chunk()).await {
            Ok(chunk) => chunk.map_err(lost),
            Err(_) => Err(BrokenBody::Lost(format!("nothing came for {} s", LARGE_STALL.as_secs()))),
        },
    }
}

/// Line breaks in JSON stand between tokens only, where a space means the same.
fn in_one_line(json: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'\n', b'\r', &json[at..]) {
        at += found;
        json[at] = b' ';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_and_what_is_named_otherwise_is_no_message() {
        let event = |name: Option<&str>, data: &str| {
            SseItem::Event(ReceivedEvent { name: name.map(str::to_owned), data: data.as_bytes().to_vec() })
        };
        assert_eq!(line_of(event(None, "{\n\"a\":\r1}")), Some(ServerLine::Text(Bytes::from_static(b"{ \"a\": 1}"))));
        assert_eq!(line_of(event(Some("endpoint"), "/x")), None);
    }
}
