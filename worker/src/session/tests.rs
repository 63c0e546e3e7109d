//! The promises of the session.

use std::time::Duration;

use mcproxy_ipc::{CallTimeouts, Generation, LaunchSpec, ServerName};

use super::*;

/// A spec for tests.
pub(crate) fn spec() -> WorkerSpec {
    WorkerSpec {
        server: ServerName::try_from("fixture").expect("a name"),
        generation: Generation(3),
        launch: LaunchSpec { program: "fixture".into(), args: Vec::new(), env: Vec::new(), cwd: None },
        start_timeout: Duration::from_secs(10),
        timeouts: CallTimeouts { idle: Duration::from_secs(30), total: Duration::from_secs(100) },
        limits: ServerLimits { line_bytes: 1 << 20, tools: 100, catalogue_bytes: 1 << 20, concurrent_calls: 4 },
        data_socket: None,
    }
}
