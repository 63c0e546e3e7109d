//! Server-sent events (WHATWG HTML, §9.2): a stream of messages as the body of a response.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{self, BodySize, BoxBody, MessageBody},
    http::header,
};
use actix_web_lab::header::{CacheControl, CacheDirective};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use memchr::memchr2;

use super::{
    connection::{Connection, KEEP_ALIVE},
    write_queue::SLICE,
};
use crate::gateway::{
    base::{budget::Budget, pieces::Pieces},
    sessions::{
        event_id::EventId,
        reader::{self, Reader},
    },
};

/// A client that was cut off comes back after so long.
const RETRY: Duration = Duration::from_secs(1);
/// The comment that keeps a silent stream alive.
const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");
const END: Bytes = Bytes::from_static(b"\n\n");

/// One event, before it is written.
pub(super) enum Frame {
    /// A JSON-RPC message.
    Message(Pieces),
    /// 2024-11-05: where to post.
    Endpoint(String),
    /// Of the web page: the name of the event, and its JSON.
    Named(&'static str, Bytes),
}

impl From<Frame> for SseEvent {
    fn from(frame: Frame) -> Self {
        match frame {
            Frame::Message(message) => Self { id: None, kind: "message", data: Some(message) },
            Frame::Endpoint(uri) => Self { id: None, kind: "endpoint", data: Some(uri.into_bytes().into()) },
            Frame::Named(kind, json) => Self { id: None, kind, data: Some(json.into()) },
        }
    }
}

/// A response that carries these until they end.
pub(super) fn frames(
    request: &HttpRequest,
    budget: &Budget,
    frames: impl Stream<Item = Frame> + 'static,
) -> HttpResponse {
    carry(request, budget, frames.map(SseEvent::from), None)
}

/// A response that carries these messages, the last of which is the answer. A client that leaves drops them.
pub(super) fn answer(
    request: &HttpRequest,
    budget: &Budget,
    messages: impl Stream<Item = Pieces> + 'static,
) -> HttpResponse {
    frames(request, budget, messages.map(Frame::Message))
}

/// A response with a stream that the client can resume. `retry`: whether the client is told when to reconnect.
pub(super) fn replay(request: &HttpRequest, budget: &Budget, reader: Reader, retry: bool) -> HttpResponse {
    let event = |event| match event {
        reader::Event::Prime(id) => SseEvent { id: Some(id), kind: "", data: None },
        reader::Event::Message(id, json) => SseEvent { id: Some(id), kind: "message", data: Some(json.into()) },
    };
    carry(request, budget, reader.map(event), retry.then_some(RETRY))
}

/// The head of a stream, without the stream.
pub(super) fn head() -> HttpResponse {
    let head = HttpResponse::Ok().content_type("text/event-stream").finish();
    // It has no length, and must not say that it has none to give.
    head.set_body(BoxBody::new(body::None::new()))
}

fn carry(
    request: &HttpRequest,
    budget: &Budget,
    events: impl Stream<Item = SseEvent> + 'static,
    retry: Option<Duration>,
) -> HttpResponse {
    let connection = Connection::of(request, budget);
    let said_at = connection.now();
    let body = Events { events: Box::pin(events), connection, retry, said_at, begun: false };
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .insert_header(CacheControl(vec![CacheDirective::NoCache]))
        // nginx and others would hold events back otherwise.
        .insert_header((header::HeaderName::from_static("x-accel-buffering"), "no"))
        .body(body)
}

/// One event.
struct SseEvent {
    id: Option<EventId>,
    /// Its name; without one there is none.
    kind: &'static str,
    data: Option<Pieces>,
}

impl SseEvent {
    /// Writes it, a large one by way of what its connection owes. `None`: it cannot be written.
    fn write(self, connection: &Rc<Connection>) -> Option<Bytes> {
        let (length, own) = self.data.as_ref().map_or((0, 0), |data| (data.len(), data.own()));
        let copied = if length <= SLICE { length + END.len() } else { 0 };
        let mut out = BytesMut::with_capacity(copied + 96);
        if let Some(id) = self.id {
            // Writing to a buffer that grows cannot fail.
            let _ = std::fmt::Write::write_fmt(&mut out, format_args!("id: {id}\n"));
        }
        if !self.kind.is_empty() {
            out.put_slice(b"event: ");
            out.put_slice(self.kind.as_bytes());
            out.put_slice(b"\n");
        }
        out.put_slice(b"data: ");
        let data = self.data.into_iter().flatten().map(on_one_line);
        if copied > 0 {
            for piece in data {
                out.put_slice(&piece?);
            }
            out.put_slice(&END);
        } else {
            let pieces: Vec<Bytes> = data.collect::<Option<_>>()?;
            connection.owes();
            connection.outgoing().push(pieces.into_iter().chain([END]), own);
        }
        Some(out.freeze())
    }
}

/// Messages are UTF-8 by construction; one that is not is dropped rather than that it breaks the stream. Line breaks stand between
/// tokens of JSON only, where a space means the same.
fn on_one_line(piece: Bytes) -> Option<Bytes> {
    std::str::from_utf8(&piece).ok()?;
    match memchr2(b'\n', b'\r', &piece) {
        None => Some(piece),
        Some(_) => Some(piece.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect()),
    }
}

/// The body of a stream.
struct Events<S> {
    events: Pin<Box<S>>,
    connection: Rc<Connection>,
    retry: Option<Duration>,
    /// When it said something last, by the clock of all connections.
    said_at: Instant,
    begun: bool,
}

impl<S: Stream<Item = SseEvent>> Events<S> {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(rest) = self.connection.outgoing().next() {
            return Poll::Ready(Some(rest));
        }
        if let Some(retry) = self.retry.take() {
            return Poll::Ready(Some(format!("retry: {}\n\n", retry.as_millis()).into()));
        }
        loop {
            match self.events.as_mut().poll_next(cx) {
                Poll::Ready(Some(event)) => {
                    if let Some(bytes) = event.write(&self.connection) {
                        return Poll::Ready(Some(bytes));
                    }
                }
                Poll::Ready(None) => return Poll::Ready(None),
                // Its client learns at once that it is there. The acceptor wakes us when it has been quiet for long.
                Poll::Pending if !self.begun || self.is_quiet() => return Poll::Ready(Some(COMMENT)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn is_quiet(&self) -> bool {
        self.connection.now().saturating_duration_since(self.said_at) >= KEEP_ALIVE
    }
}

impl<S: Stream<Item = SseEvent>> MessageBody for Events<S> {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let polled = self.poll_event(cx);
        if matches!(polled, Poll::Ready(Some(_))) {
            (self.begun, self.said_at) = (true, self.connection.now());
        }
        polled.map(|bytes| bytes.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use futures_util::{FutureExt as _, future::poll_fn, stream as streams};

    use super::*;

    fn budget() -> Budget {
        Budget::new(1 << 20)
    }

    async fn text(response: HttpResponse) -> String {
        let bytes = body::to_bytes(response.into_body()).await.expect("a body");
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    #[tokio::test]
    async fn events_say_what_they_are_on_a_line_each() {
        let request = TestRequest::default().to_http_request();
        let json = Bytes::from_static(b"{\"a\":\r\n1}");
        let all = [Frame::Endpoint("?session_id=x".to_owned()), Frame::Message(json.into())];
        let response = frames(&request, &budget(), streams::iter(all));
        for (name, value) in
            [("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no")]
        {
            assert_eq!(response.headers().get(name).expect(name), value);
        }
        assert_eq!(
            text(response).await,
            "event: endpoint\ndata: ?session_id=x\n\nevent: message\ndata: {\"a\":  1}\n\n"
        );
    }

    #[tokio::test]
    async fn a_large_message_goes_out_in_slices_and_what_is_no_text_is_left_out() {
        let request = TestRequest::default().to_http_request();
        let large = format!("\"{}\"", "x".repeat(5 * SLICE));
        let pieces = Pieces::around(b"{\"result\":".to_vec(), large.clone().into(), b"}");
        let broken = Bytes::from_static(b"\"\xff\"");
        let all =
            [Frame::Message(broken.into()), Frame::Message(pieces), Frame::Message(Bytes::from_static(b"2").into())];
        let mut body = frames(&request, &budget(), streams::iter(all)).into_body();
        let mut whole = Vec::new();
        while let Some(piece) = poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
            let piece = piece.expect("a piece");
            assert!(piece.len() <= SLICE);
            whole.extend_from_slice(&piece);
        }
        let expected = format!("event: message\ndata: {{\"result\":{large}}}\n\nevent: message\ndata: 2\n\n");
        assert!(whole == expected.as_bytes());
    }

    #[tokio::test]
    async fn a_stream_without_news_begins_with_a_comment_and_says_no_more() {
        let request = TestRequest::default().to_http_request();
        let mut body = frames(&request, &budget(), streams::pending()).into_body();
        let mut next = || poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).now_or_never();
        assert_eq!(next().expect("at once").expect("not the end").expect("a piece"), ": keep-alive\n\n");
        assert!(next().is_none());
    }
}
