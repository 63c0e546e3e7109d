//! One keep-alive connection to an HTTP server: requests out, answers in.

use std::{io, net::SocketAddr, str::FromStr};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::http::{Body, Head, HttpError};

const READ_CHUNK: usize = 64 * 1024;

/// Why an exchange failed. The connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("the connection failed")]
    Io(#[from] io::Error),
    #[error("the answer cannot be read")]
    Http(#[from] HttpError),
    #[error("the server closed the connection before its answer was whole")]
    Closed,
}

/// `http://ADDRESS:PORT/PATH`, the only kind of URL a bench on loopback needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not http://ADDRESS:PORT/PATH with a numeric address");
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        Ok(Self { address: authority.parse().map_err(|_| wrong())?, path: path.to_owned() })
    }
}

impl Url {
    /// Another path on the same server.
    pub(crate) fn with_path(&self, path: &str) -> Self {
        Self { address: self.address, path: path.to_owned() }
    }

    /// What a `Location` or `endpoint` of this server means (RFC 3986 §5.2, without dot segments).
    pub(crate) fn join(&self, reference: &str) -> Result<Self, String> {
        let path = self.path.split('?').next().unwrap_or_default();
        match reference.chars().next() {
            Some('/') => Ok(self.with_path(reference)),
            Some('?') => Ok(self.with_path(&format!("{path}{reference}"))),
            _ if reference.contains("://") => reference.parse(),
            _ => Ok(self.with_path(&format!("{}{reference}", &path[..path.rfind('/').map_or(0, |at| at + 1)]))),
        }
    }
}

/// A connection with at most one exchange at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    input: BytesMut,
    /// What was decoded of the current body and not taken yet.
    pub(crate) content: BytesMut,
    body: Option<Body>,
    closes: bool,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, ConnectionError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: BytesMut::new(), content: BytesMut::new(), body: None, closes: false })
    }

    /// No answer is half read, and the server has not said that it will close.
    pub(crate) fn is_reusable(&self) -> bool {
        self.body.is_none() && !self.closes
    }

    /// Writes a request and reads the head of its answer; the body comes with [`Self::more`] or [`Self::whole`].
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Head, ConnectionError> {
        self.stream.write_all(request).await?;
        loop {
            if let Some(head) = Head::take(&mut self.input)? {
                if head.status < 200 {
                    continue;
                }
                let mut body = head.body();
                self.content.clear();
                body.decode(&mut self.input, &mut self.content)?;
                self.closes = head.closes;
                self.body = Some(body).filter(|body| !body.is_done());
                return Ok(head);
            }
            if self.read().await? == 0 {
                return Err(ConnectionError::Closed);
            }
        }
    }

    /// Reads some more of the body into `content`; false when it is whole.
    pub(crate) async fn more(&mut self) -> Result<bool, ConnectionError> {
        let Some(mut body) = self.body.take() else { return Ok(false) };
        if self.read().await? == 0 {
            return if body.ends_here() { Ok(false) } else { Err(ConnectionError::Closed) };
        }
        body.decode(&mut self.input, &mut self.content)?;
        self.body = Some(body).filter(|body| !body.is_done());
        Ok(true)
    }

    /// The rest of the body.
    pub(crate) async fn whole(&mut self) -> Result<BytesMut, ConnectionError> {
        while self.more().await? {}
        Ok(std::mem::take(&mut self.content))
    }

    async fn read(&mut self) -> io::Result<usize> {
        self.input.reserve(READ_CHUNK);
        self.stream.read_buf(&mut self.input).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_an_address_and_a_path() {
        let url: Url = "http://127.0.0.1:80/a/b?c".parse().expect("a URL");
        assert_eq!((url.address.port(), url.path.as_str()), (80, "/a/b?c"));
        assert_eq!("http://[::1]:8080".parse::<Url>().expect("a URL").path, "/");
        assert_eq!(url.join("/mcp/").expect("a path").path, "/mcp/");
        assert_eq!(url.join("?d=1").expect("a query").path, "/a/b?d=1");
        assert_eq!(url.join("m?d=1").expect("a neighbour").path, "/a/m?d=1");
        assert_eq!(url.join("http://127.0.0.1:81/x").expect("a URL").address.port(), 81);
        assert!("https://example.com/".parse::<Url>().is_err());
    }
}
