use std::{process::Stdio, time::Duration};

use tokio::process::{Child, Command};

use super::{driver::Real, wait::eventually};

/// Node and Python start slowly on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A real server over HTTP, at a port of its own. It ends with this.
pub(crate) struct RealServer {
    _child: Child,
    port: u16,
}

impl RealServer {
    /// The reference server, over `streamableHttp` or `sse`.
    pub(crate) async fn everything(real: &Real, transport: &str) -> Self {
        let script = real.node("@modelcontextprotocol/server-everything/dist/index.js");
        let port = free_port();
        let mut command = Command::new("node");
        command.args([&script, transport]).env("PORT", port.to_string());
        Self::start(command, port).await
    }

    /// A script of `tests/real/servers`, over what its SDK calls this transport.
    pub(crate) async fn python(python: String, script: &str, transport: &str) -> Self {
        let port = free_port();
        let mut command = Command::new(python);
        command.arg(Real::server(script)).args([transport, &port.to_string()]);
        Self::start(command, port).await
    }

    /// Starts it, and waits until something listens there.
    async fn start(mut command: Command, port: u16) -> Self {
        let child = command.kill_on_drop(true).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        eventually("the server listens", START, async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self { _child: child, port }
    }

    /// Where it is.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// A port that nobody listens at.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
