//! Server-sent events. The one module that knows `actix-web-lab`.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::{self, BoxBody},
    http::header,
};
use actix_web_lab::sse::{Data, Event, Sse};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};

use crate::gateway::stream::{self, Reader};

/// A comment goes out after so much silence, so that proxies keep the stream and a vanished client is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A client that was cut off comes back after so long.
const RETRY: Duration = Duration::from_secs(1);

/// One event, before it is written.
pub(super) enum Frame {
    /// A JSON-RPC message.
    Message(Bytes),
    /// 2024-11-05: where to post.
    Endpoint(String),
}

impl Frame {
    fn into_event(self) -> Option<Event> {
        match self {
            // Messages are UTF-8 by construction; one that is not would be dropped rather than break the stream.
            Self::Message(json) => {
                let text = bytestring::ByteString::try_from(json).ok()?;
                Some(Event::Data(Data::new(text).event("message")))
            }
            Self::Endpoint(uri) => Some(Event::Data(Data::new(uri).event("endpoint"))),
        }
    }
}

/// Carries a session's messages to its stream until either ends.
pub(super) async fn forward(mut messages: mpsc::Receiver<Bytes>, to: mpsc::Sender<Frame>) {
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Some(message) => if to.send(Frame::Message(message)).await.is_err() { return },
                None => return,
            },
            () = to.closed() => return,
        }
    }
}

/// A response that carries what comes out of `frames` until their sender is gone.
pub(super) fn respond(request: &HttpRequest, frames: mpsc::Receiver<Frame>) -> HttpResponse {
    carry(request, ReceiverStream::new(frames).filter_map(Frame::into_event), None)
}

/// A response that carries these messages, the last of which is the answer. A client that leaves drops them.
pub(super) fn answer(request: &HttpRequest, messages: impl Stream<Item = Bytes> + 'static) -> HttpResponse {
    carry(request, messages.filter_map(|message| Frame::Message(message).into_event()), None)
}

/// A response that carries a stream that can be taken up again. `retry`: its client learns when to come back.
pub(super) fn replay(request: &HttpRequest, reader: Reader, retry: bool) -> HttpResponse {
    let event = |event| match event {
        stream::Event::Prime(id) => Some(Event::Data(Data::new("").id(id.to_string()))),
        stream::Event::Message(id, json) => {
            let text = bytestring::ByteString::try_from(json).ok()?;
            Some(Event::Data(Data::new(text).event("message").id(id.to_string())))
        }
    };
    carry(request, reader.filter_map(event), retry.then_some(RETRY))
}

/// What a stream begins with, without it.
pub(super) fn head() -> HttpResponse {
    let head = HttpResponse::Ok().content_type("text/event-stream").finish();
    // It has no length, and must not say that it has none to give.
    head.set_body(BoxBody::new(body::None::new()))
}

fn carry(request: &HttpRequest, events: impl Stream<Item = Event> + 'static, retry: Option<Duration>) -> HttpResponse {
    let mut sse = Sse::from_infallible_stream(events).with_keep_alive(KEEP_ALIVE);
    if let Some(retry) = retry {
        sse = sse.with_retry_duration(retry);
    }
    let mut response = sse.respond_to(request);
    // nginx and others would hold events back otherwise.
    let name = header::HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(name, header::HeaderValue::from_static("no"));
    response
}
