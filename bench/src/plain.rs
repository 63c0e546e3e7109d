//! The baseline's two sides: a client and a server of HTTP without MCP behind it.

use std::io::Write as _;

use actix_web::{App, HttpResponse, HttpServer, web};
use bytes::BytesMut;
use serde::Deserialize;

use crate::{
    channel::{Answered, AskError},
    connection::{Connection, Url},
    http::MAX_BODY,
    message::{self, Job, Verdict},
};

/// What a session of MCP sends with each request: the baseline parses as many headers.
const SAME_HEADERS: &str = "Mcp-Session-Id: 0123456789abcdef0123456789abcdef\r\nMcp-Protocol-Version: 2025-11-25\r\n";

/// A client of [`serve`].
#[derive(Debug)]
pub(crate) struct Plain {
    url: Url,
    connection: Connection,
    request: Vec<u8>,
}

impl Plain {
    pub(crate) async fn open(url: &Url) -> Result<Self, AskError> {
        Ok(Self { url: url.clone(), connection: Connection::open(url.address).await?, request: Vec::new() })
    }

    pub(crate) async fn ask(&mut self, body: &[u8]) -> Result<Answered, AskError> {
        if !self.connection.is_reusable() {
            self.connection = Connection::open(self.url.address).await?;
        }
        self.request.clear();
        write!(
            self.request,
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{SAME_HEADERS}Content-Length: {}\r\n\r\n",
            self.url.path,
            self.url.address,
            body.len()
        )
        .expect("a Vec takes all");
        self.request.extend_from_slice(body);
        let head = self.connection.exchange(&self.request).await?;
        let answer: BytesMut = self.connection.whole().await?;
        match head.status {
            200 => Ok(Answered::now(answer)),
            status => Err(AskError::Status(status, String::from_utf8_lossy(&answer).into_owned())),
        }
    }
}

/// The URL that makes the echo server do what `job` asks of a tool.
pub(crate) fn url_for(url: &Url, job: &Job) -> Url {
    match job {
        Job::Sized { bytes, .. } => url.with_path(&format!("/?bytes={bytes}")),
        Job::Echo { .. } | Job::List { .. } => url.clone(),
    }
}

/// Whether `answer` is the echo of `request`.
pub(crate) fn judge(job: &Job, request: &str, answer: &[u8]) -> Verdict {
    let length = match job {
        Job::Sized { bytes, .. } => (*bytes).max(request.len()),
        Job::Echo { .. } | Job::List { .. } => request.len(),
    };
    // The client of the baseline does what a client of MCP does: it reads the answer as JSON.
    let is_message = length > request.len() || message::answered_id(answer).is_none();
    if is_message && answer.starts_with(request.as_bytes()) && answer.len() == length {
        Verdict::Right
    } else {
        Verdict::Wrong(format!("{} bytes that are not the request's", answer.len()))
    }
}

#[derive(Deserialize)]
struct Size {
    #[serde(default)]
    bytes: usize,
}

/// Serves the echo on loopback until it is killed: a body in, the same body out, padded to `?bytes=N`.
pub(crate) fn serve(port: u16) -> std::io::Result<()> {
    actix_web::rt::System::new().block_on(async {
        HttpServer::new(|| App::new().app_data(web::PayloadConfig::new(MAX_BODY)).default_service(web::to(echo)))
            .workers(1)
            .bind(("127.0.0.1", port))?
            .run()
            .await
    })
}

async fn echo(size: web::Query<Size>, body: web::Bytes) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.content_type("application/json");
    if size.bytes <= body.len() {
        return answer.body(body);
    }
    let mut padded = Vec::with_capacity(size.bytes.min(MAX_BODY));
    padded.extend_from_slice(&body);
    padded.resize(size.bytes.min(MAX_BODY), b'x');
    answer.body(padded)
}
