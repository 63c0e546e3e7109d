//! A session over HTTP+SSE of 2024-11-05: answers come on one long stream, requests go to the URL that it names first.

use bytes::BytesMut;

use crate::{
    channel::{Answered, AskError},
    connection::{Connection, Url},
    events::{Event, Events},
    message,
};

/// The stream and a second connection for the requests.
#[derive(Debug)]
pub(crate) struct Legacy {
    stream: Connection,
    events: Events,
    posts: Connection,
    endpoint: Url,
}

impl Legacy {
    /// Opens the stream, learns the endpoint, initialises.
    pub(crate) async fn open(url: &Url) -> Result<Self, AskError> {
        let mut stream = Connection::open(url.address).await?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nCache-Control: no-store\r\n\r\n",
            url.path, url.address
        );
        let head = stream.exchange(request.as_bytes()).await?;
        if head.status != 200 {
            let body = stream.whole().await?;
            return Err(AskError::Status(head.status, String::from_utf8_lossy(&body).into_owned()));
        }
        let mut events = Events::default();
        let first = next(&mut stream, &mut events).await?;
        if first.name.as_deref() != Some("endpoint") {
            return Err(AskError::Protocol("the stream did not begin with `endpoint`".to_owned()));
        }
        let endpoint = url.join(&String::from_utf8_lossy(&first.data)).map_err(AskError::Protocol)?;
        let posts = Connection::open(endpoint.address).await?;
        let mut session = Self { stream, events, posts, endpoint };
        session.post(&message::initialize(0)).await?;
        session.answer(0).await?;
        session.post(message::INITIALIZED).await?;
        Ok(session)
    }

    /// One request and its answer.
    pub(crate) async fn ask(&mut self, id: u64, request: &[u8]) -> Result<Answered, AskError> {
        self.post(request).await?;
        self.answer(id).await
    }

    async fn post(&mut self, body: &[u8]) -> Result<(), AskError> {
        let Url { path, address } = &self.endpoint;
        if !self.posts.is_reusable() {
            self.posts = Connection::open(*address).await?;
        }
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        let head = self.posts.exchange(&request).await?;
        let answer = self.posts.whole().await?;
        match head.status {
            200..300 => Ok(()),
            status => Err(AskError::Status(status, String::from_utf8_lossy(&answer).into_owned())),
        }
    }

    async fn answer(&mut self, id: u64) -> Result<Answered, AskError> {
        loop {
            let event = next(&mut self.stream, &mut self.events).await?;
            if message::answered_id(&event.data) == Some(id) {
                return Ok(Answered::now(BytesMut::from(&event.data[..])));
            }
        }
    }
}

async fn next(stream: &mut Connection, events: &mut Events) -> Result<Event, AskError> {
    loop {
        if let Some(event) = events.next(&mut stream.content) {
            return Ok(event);
        }
        if !stream.more().await? {
            return Err(AskError::Ended);
        }
    }
}
