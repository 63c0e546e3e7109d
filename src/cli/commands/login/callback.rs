//! Where a login's page leads back to: a port of this machine that only this machine reaches, or what a person pastes.

use std::{
    io::{self, BufRead as _, BufReader, Read},
    time::Duration,
};

use mcproxy_oauth::callback_query;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

/// Longest head of a request.
const MAX_HEAD: usize = 32 * 1024;
/// A browser sends it at once; what it opened for later use says nothing for a while.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections at once; beyond that the oldest is cut off.
const CONNECTIONS: usize = 16;
/// Callbacks that wait.
const QUEUE: usize = 4;

const PAGE: &str = "<!doctype html><meta charset=utf-8><title>MCProxy</title>\
<body style=\"font:1.1em sans-serif;margin:3em\"><p>MCProxy has got the answer; the terminal says what came of it.<p>This window can be closed.";

/// Callbacks as they come, from both.
pub(super) struct Callbacks {
    queries: mpsc::Receiver<String>,
    /// Keeps the queue open.
    queue: mpsc::Sender<String>,
    _listening: JoinSet<()>,
    port: u16,
}

impl Callbacks {
    /// Listens at this port, or at any.
    pub(super) async fn listen(port: Option<u16>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or_default())).await?;
        let port = listener.local_addr()?.port();
        let (queue, queries) = mpsc::channel(QUEUE);
        let mut listening = JoinSet::new();
        listening.spawn(serve(listener, queue.clone()));
        Ok(Self { queries, queue, _listening: listening, port })
    }

    /// The address that the page leads back to.
    pub(super) fn redirect(&self) -> String {
        format!("http://127.0.0.1:{}/callback", self.port)
    }

    /// Takes what is pasted as lines of this input as well.
    pub(super) fn read_pasted(&self, input: Box<dyn Read + Send>) {
        let queue = self.queue.clone();
        // A thread of its own, because a read of a terminal cannot be given up; it ends with this process.
        std::thread::spawn(move || {
            let lines = BufReader::new(input).lines().map_while(Result::ok);
            for line in lines.filter(|line| !line.trim().is_empty()) {
                // What is none of it is answered as one of another login, which says so.
                let query = callback_query(&line).unwrap_or(line.trim()).to_owned();
                if queue.blocking_send(query).is_err() {
                    return;
                }
            }
        });
    }

    /// The query of the next one.
    pub(super) async fn next(&mut self) -> String {
        match self.queries.recv().await {
            Some(query) => query,
            None => std::future::pending().await,
        }
    }
}

async fn serve(listener: TcpListener, queue: mpsc::Sender<String>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if connections.len() >= CONNECTIONS {
                        connections.abort_all();
                    }
                    connections.spawn(answer(stream, queue.clone()));
                }
                // Without a descriptor for it; the browser tries again.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(mut stream: TcpStream, queue: mpsc::Sender<String>) {
    let Ok(Some(head)) = timeout(HEAD_TIMEOUT, head(&mut stream)).await else { return };
    let (status, page) = match query(&head) {
        Some(query) if queue.try_send(query.to_owned()).is_ok() => ("200 OK", PAGE),
        _ => ("404 Not Found", ""),
    };
    let length = page.len();
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n\
         Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}"
    );
    // A browser that has gone has nothing to read.
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    while !read.windows(4).any(|part| part == b"\r\n\r\n") {
        if read.len() > MAX_HEAD || stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    String::from_utf8(read).ok()
}

/// The query, if it is a callback. Pure.
fn query(head: &str) -> Option<&str> {
    let target = head.lines().next()?.strip_prefix("GET ")?.split(' ').next()?;
    let query = target.strip_prefix("/callback?")?;
    callback_query(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_callback_is_one() {
        assert_eq!(query("GET /callback?code=a&state=b HTTP/1.1\r\nHost: x\r\n\r\n"), Some("code=a&state=b"));
        for none in [
            "GET /favicon.ico HTTP/1.1\r\n\r\n",
            "GET /callback HTTP/1.1\r\n\r\n",
            "GET /callback?code=a HTTP/1.1\r\n\r\n",
            "POST /callback?code=a&state=b HTTP/1.1\r\n\r\n",
            "",
        ] {
            assert_eq!(query(none), None, "{none}");
        }
    }

    #[tokio::test]
    async fn a_browser_that_opens_connections_for_later_delays_no_callback() {
        let mut callbacks = Callbacks::listen(None).await.expect("a port");
        let address = ("127.0.0.1", callbacks.port);
        let _silent = TcpStream::connect(address).await.expect("connected");
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(b"GET /callback?code=a&state=b HTTP/1.1\r\n\r\n").await.expect("written");
        let next = timeout(Duration::from_secs(10), callbacks.next()).await;
        assert_eq!(next.as_deref(), Ok("code=a&state=b"));
        let mut page = String::new();
        stream.read_to_string(&mut page).await.expect("read");
        assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("can be closed"), "{page}");
    }
}
