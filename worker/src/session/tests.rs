//! A session for tests.

use std::time::Duration;

use bytes::Bytes;
use mcproxy_ipc::{
    CallTimeouts, EraRule, Generation, Instances, LaunchSpec, Reach, ServerLimits, ServerName,
    data::{CallContext, GatewayToWorker, ServerEra, WorkerToGateway},
};

use super::{output::SessionOutput, *};
use crate::lines::ServerLine;

/// A spec for tests.
pub(crate) fn spec() -> WorkerSpec {
    WorkerSpec {
        server: ServerName::try_from("fixture").expect("a name"),
        generation: Generation(3),
        reach: Reach::Command(LaunchSpec {
            program: "fixture".into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            looked_up: Vec::new(),
        }),
        start_timeout: Duration::from_secs(10),
        timeouts: CallTimeouts {
            idle: Duration::from_secs(30),
            total: Duration::from_secs(100),
            input: Duration::from_secs(600),
        },
        features: None,
        extensions: Vec::new(),
        client: None,
        era: EraRule::Auto { known: Some(ServerEra::Legacy) },
        limits: ServerLimits {
            line_bytes: 1 << 20,
            tools: 100,
            catalogue_bytes: 1 << 20,
            concurrent_calls: 4,
            memory_bytes: None,
            processes: None,
            cpu_millis: None,
            pages: 100,
            garbage_lines: 1000,
            stderr_lines: 200,
            write_timeout: Duration::from_secs(10),
        },
        instances: Instances::Shared,
        cgroup: None,
        confinement: Default::default(),
        idle_timeout: None,
        list_ttl: None,
        keeps_catalogue: false,
        may_clear_cache: false,
    }
}

pub(super) fn text(line: &str) -> ServerLine {
    ServerLine::Text(Bytes::copy_from_slice(line.as_bytes()))
}

pub(super) fn discard() -> Logger {
    Logger::root(slog::Discard, slog::o!())
}

/// A session whose server has one tool and is ready; the gateway is there.
pub(super) fn serving(now: Instant) -> Session {
    let greeting = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"f","version":"1"}}}"#;
    let mut session = ready(greeting, r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"a"}]}}"#, now);
    session.context.out = SessionOutput::default();
    session
}

/// A session whose server has greeted and listed its tools.
pub(crate) fn ready(greeting: &str, tools: &str, now: Instant) -> Session {
    let mut session = Session::new(&spec(), true, discard(), now);
    say(&mut session, greeting, now);
    say(&mut session, tools, now);
    assert!(matches!(session.context.out.events[..], [SessionEvent::Ready(_)]));
    session
}

pub(crate) fn say(session: &mut Session, line: &str, now: Instant) {
    session.line(text(line), now);
}

pub(super) fn call(session: &mut Session, id: u64, now: Instant) {
    let context = CallContext { wants_progress: true, ..Default::default() };
    session.frame(GatewayToWorker::Call { id, method: "tools/call".into(), meta_at: 2, context }, b"{}", now);
}

pub(crate) fn written(session: &mut Session) -> String {
    String::from_utf8(std::mem::take(&mut session.context.out.server)).expect("UTF-8")
}

pub(crate) fn told(session: &mut Session) -> Vec<(WorkerToGateway, String)> {
    session.context.out.gateway.drain(..).map(|(m, p)| (m, String::from_utf8(p.to_vec()).expect("UTF-8"))).collect()
}
