use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use super::{proxy::Proxy, wait::within};

/// A connection without any HTTP client: for requests that none would send, and for answers that nobody reads.
pub(crate) struct Raw(TcpStream);

impl Raw {
    /// Connects, with hardly any room for what is not read.
    pub(crate) async fn connect(proxy: &Proxy) -> Self {
        let address = proxy.base.strip_prefix("http://").expect("a URL").parse().expect("an address");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        Self(within("a connection", Duration::from_secs(20), socket.connect(address)).await.expect("a connection"))
    }

    /// Sends these very bytes. A peer that has closed already is no mistake: its answer says why.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// The next bytes; nothing at the end.
    pub(crate) async fn some(&mut self) -> String {
        let mut bytes = vec![0; 4096];
        let read = within("some bytes", Duration::from_secs(20), self.0.read(&mut bytes)).await.unwrap_or(0);
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }

    /// All that comes until the peer closes, or until nothing has come for so long.
    pub(crate) async fn rest(&mut self, quiet: Duration) -> (String, End) {
        let mut all = Vec::new();
        let mut bytes = vec![0; 16 * 1024];
        let end = loop {
            match tokio::time::timeout(quiet, self.0.read(&mut bytes)).await {
                Ok(Ok(0) | Err(_)) => break End::Closed,
                Ok(Ok(read)) => all.extend_from_slice(&bytes[..read]),
                Err(_) => break End::Open,
            }
        };
        (String::from_utf8_lossy(&all).into_owned(), end)
    }
}

/// How a connection was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer closed it.
    Closed,
    /// It is still open.
    Open,
}
