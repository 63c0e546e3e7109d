//! Streamable HTTP, with a session or without: one POST per request, the answer as JSON or as a stream of events.

use std::{io::Write, time::Duration};

use bytes::BytesMut;

use crate::{
    channel::{Answered, AskError},
    connection::{Connection, ConnectionError, Url},
    events::Events,
    http::Head,
    message,
};

/// How long a stream may stay open behind the answer that it carried.
const STREAM_END: Duration = Duration::from_secs(1);
const REDIRECTS: usize = 3;

/// One client on one connection.
#[derive(Debug)]
pub(crate) struct Streamable {
    url: Url,
    connection: Connection,
    /// Header lines that every request carries.
    headers: String,
    request: Vec<u8>,
}

impl Streamable {
    /// Connects only: what a client of 2026-07-28 does.
    pub(crate) async fn connect(url: &Url, headers: String) -> Result<Self, AskError> {
        let connection = Connection::open(url.address).await?;
        Ok(Self { url: url.clone(), connection, headers, request: Vec::new() })
    }

    /// Connects, follows redirects, initialises.
    pub(crate) async fn open(url: &Url) -> Result<Self, AskError> {
        let mut url = url.clone();
        for _ in 0..REDIRECTS {
            let mut session = Self::connect(&url, String::new()).await?;
            let head = session.post(&message::initialize(0)).await?;
            if let (307 | 308, Some(location)) = (head.status, &head.location) {
                url = url.join(location).map_err(AskError::Protocol)?;
                continue;
            }
            let answer = session.answer(&head, 0).await?.message;
            let version = message::negotiated(&answer).ok_or_else(|| {
                AskError::Protocol(format!("initialize was answered with {}", String::from_utf8_lossy(&answer)))
            })?;
            session.headers = format!("MCP-Protocol-Version: {version}\r\n");
            if let Some(id) = &head.session {
                session.headers.push_str(&format!("Mcp-Session-Id: {id}\r\n"));
            }
            session.settle().await?;
            let head = session.post(message::INITIALIZED).await?;
            session.expect_success(&head).await?;
            return Ok(session);
        }
        Err(AskError::Protocol("too many redirects".to_owned()))
    }

    /// One request and its answer.
    pub(crate) async fn ask(&mut self, id: u64, request: &[u8]) -> Result<Answered, AskError> {
        self.settle().await?;
        let head = self.post(request).await?;
        self.answer(&head, id).await
    }

    /// Tells the server that the session is over.
    pub(crate) async fn delete(mut self) -> Result<(), AskError> {
        self.settle().await?;
        let Self { url, headers, request, .. } = &mut self;
        request.clear();
        write!(request, "DELETE {} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", url.path, url.address)
            .expect("a Vec takes all");
        let head = self.connection.exchange(&self.request).await?;
        self.expect_success(&head).await
    }

    async fn post(&mut self, body: &[u8]) -> Result<Head, AskError> {
        let Self { url, headers, request, .. } = self;
        request.clear();
        write!(
            request,
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n",
            url.path,
            url.address,
            body.len()
        )
        .expect("a Vec takes all");
        request.extend_from_slice(body);
        Ok(self.connection.exchange(&self.request).await?)
    }

    async fn answer(&mut self, head: &Head, id: u64) -> Result<Answered, AskError> {
        if head.status != 200 {
            let body = self.connection.whole().await?;
            return Err(AskError::Status(head.status, String::from_utf8_lossy(&body).into_owned()));
        }
        if !head.is_sse {
            return Ok(Answered::now(self.connection.whole().await?));
        }
        let mut events = Events::default();
        loop {
            while let Some(event) = events.next(&mut self.connection.content) {
                if message::answered_id(&event.data) == Some(id) {
                    return Ok(Answered::now(BytesMut::from(&event.data[..])));
                }
            }
            if !self.connection.more().await? {
                return Err(AskError::Protocol("the stream ended before the answer".to_owned()));
            }
        }
    }

    async fn expect_success(&mut self, head: &Head) -> Result<(), AskError> {
        let body = self.connection.whole().await?;
        match head.status {
            200..300 => Ok(()),
            status => Err(AskError::Status(status, String::from_utf8_lossy(&body).into_owned())),
        }
    }

    /// Reads what is left of the last answer, and reconnects where the connection cannot be used again.
    async fn settle(&mut self) -> Result<(), ConnectionError> {
        let rest = tokio::time::timeout(STREAM_END, async {
            while self.connection.more().await? {
                self.connection.content.clear();
            }
            Ok::<(), ConnectionError>(())
        });
        if !matches!(rest.await, Ok(Ok(()))) || !self.connection.is_reusable() {
            self.connection = Connection::open(self.url.address).await?;
        }
        Ok(())
    }
}
