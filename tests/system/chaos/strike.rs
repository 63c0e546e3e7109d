//! Does what the plan says, and waits until all is well again.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{
    call::{Call, Leave},
    dice::Dice,
    fleet::{self, GUEST_TOKEN, Kind, OWN_TOKEN, Setup, kind, name},
    ledger::{Ledger, Recoveries},
    plan::{Edit, Fault, Misdeed, SERVERS, Step, Victim},
    streamable::{Outcome, Streamable},
};
use crate::support::{Events, Proxy, SystemView, http_client};

/// Server and worker: the longest delay before a restart (1.1 s as configured here), a start, and what a busy machine adds.
const LIMIT: Duration = Duration::from_secs(20);
/// The gateway: 2 s, and the same.
const GATEWAY_LIMIT: Duration = Duration::from_secs(10);
/// A file is read within 2 s, or at the next look after 5.
const FILE_LIMIT: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(20);
/// Streams that are open when their token goes.
const GUESTS: u64 = 4;
/// So often a list changes, and changes back.
const CHANGES: u64 = 20;
/// Length of a URI of which two fill what the supervisor keeps for a session.
const LONG_URI: usize = 8000;

/// What must have happened before all is well again.
#[derive(Debug)]
enum Wish {
    /// Another generation of that server.
    After(String, u64),
    /// Another gateway.
    Gateway(u32),
    /// An answer of that server, which need not be started anew for it.
    Answer(usize),
}

/// Who does it.
pub(super) struct Striker<'a> {
    proxy: &'a Proxy,
    ledger: &'a Ledger,
    setup: RefCell<Setup>,
    pub(super) recoveries: RefCell<Recoveries>,
    /// Numbers of the clients it makes up.
    next: Cell<u64>,
}

impl<'a> Striker<'a> {
    pub(super) fn new(proxy: &'a Proxy, ledger: &'a Ledger) -> Self {
        Self { proxy, ledger, setup: RefCell::default(), recoveries: RefCell::default(), next: Cell::new(1000) }
    }

    /// One step of the plan, from the pause before it to the recovery after it.
    pub(super) async fn perform(&self, step: &Step) {
        tokio::time::sleep(step.pause).await;
        let Some(before) = self.whole(&[], LIMIT).await else {
            return self.ledger.violated("the system recovers", format!("not whole before {step:?}"));
        };
        let shakes = step.faults.iter().any(|fault| fault.breaks_connections());
        if shakes {
            self.ledger.outage_begins();
        }
        let wishes: Vec<Wish> = join_all(step.faults.iter().map(|fault| self.commit(*fault, &before)))
            .await
            .into_iter()
            .flatten()
            .collect();
        let struck = Instant::now();
        let limit = step.faults.iter().map(|fault| limit(*fault)).max().unwrap_or(LIMIT);
        let whole = self.whole(&wishes, limit).await;
        let took = struck.elapsed();
        if whole.is_none() {
            let status = self.proxy.try_status().await;
            self.ledger.violated("the system recovers", format!("{step:?}: not after {took:?}: {wishes:?} {status:?}"));
        }
        if shakes {
            self.ledger.outage_ends();
        }
        let mut recoveries = self.recoveries.borrow_mut();
        match step.faults[..] {
            [fault] => recoveries.note(fault.kind(), Some(took)),
            _ => {
                step.faults.iter().for_each(|fault| recoveries.note(fault.kind(), None));
                recoveries.note("several at once", Some(took));
            }
        }
    }

    /// The status once everything is as configured, the wishes are fulfilled and calls are answered.
    pub(super) async fn whole_now(&self) -> Option<SystemView> {
        self.whole(&[], LIMIT).await
    }

    async fn whole(&self, wishes: &[Wish], limit: Duration) -> Option<SystemView> {
        let look = async {
            loop {
                if let Some(status) = self.proxy.try_status().await
                    && self.is_whole(&status, wishes)
                    && self.answers(wishes).await
                {
                    return status;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(limit, look).await.ok()
    }

    fn is_whole(&self, status: &SystemView, wishes: &[Wish]) -> bool {
        let mut wanted = self.setup.borrow().servers();
        let mut present: Vec<String> = status.servers.iter().map(|server| server.name.clone()).collect();
        wanted.sort();
        present.sort();
        let fulfilled = |wish: &Wish| match wish {
            Wish::After(name, generation) => {
                status.servers.iter().any(|s| s.name == *name && s.generation > *generation)
            }
            Wish::Gateway(pid) => status.gateway.as_ref().is_some_and(|gateway| gateway.pid != *pid),
            // See `answers`.
            Wish::Answer(_) => true,
        };
        status.config_error.is_none()
            && wanted == present
            && status.servers.iter().all(fleet::is_well)
            && wishes.iter().all(fulfilled)
    }

    /// Whether a new client gets an answer, from every server that something happened to.
    async fn answers(&self, wishes: &[Wish]) -> bool {
        let mut servers: Vec<usize> = wishes
            .iter()
            .filter_map(|wish| match wish {
                Wish::After(name, _) => fleet::number(name),
                Wish::Answer(server) => Some(*server),
                Wish::Gateway(_) => None,
            })
            .collect();
        if servers.is_empty() {
            servers.push(0);
        }
        let asked = servers.iter().map(|server| self.call(|id| Call::echo(id, Some(*server), "whole?")));
        join_all(asked).await.into_iter().all(|response| response.is_some_and(|r| r.get("result").is_some()))
    }

    /// A call by a client that is there for it only.
    async fn call(&self, call: impl FnOnce(u64) -> Call) -> Option<Value> {
        let number = self.next.replace(self.next.get() + 1);
        let mut client = Streamable::new(number, &self.proxy.http, self.proxy.url("/mcp"), Dice::of(number));
        let session = client.session(self.ledger).await?;
        let call = call(client.id());
        let outcome = client.perform(&call, &session, self.ledger).await;
        client.leave().await;
        match outcome {
            Outcome::Entered(response) => response,
            Outcome::Unknown => None,
        }
    }

    async fn commit(&self, fault: Fault, before: &SystemView) -> Option<Wish> {
        match fault {
            Fault::Kill(victim) => {
                self.send(victim, before, Signal::KILL);
                Some(match victim {
                    Victim::Server(server) => after_its_end(server, before),
                    Victim::Worker(server) if kind(server) == Kind::PerSession => another(server, before),
                    Victim::Worker(server) => after_its_end(server, before),
                    Victim::Gateway => Wish::Gateway(before.gateway_pid()),
                })
            }
            Fault::Suspend(victim, time) => {
                let suspended = self.send(victim, before, Signal::STOP);
                tokio::time::sleep(time).await;
                suspended.into_iter().for_each(|pid| send(pid, Signal::CONT));
                None
            }
            Fault::Misbehave(server, Misdeed::Daemon) => {
                self.call(|id| Call::misdeed(id, server, "double_fork", json!({}))).await;
                self.send(Victim::Server(server), before, Signal::KILL);
                Some(after_its_end(server, before))
            }
            Fault::Misbehave(server, misdeed) => {
                let (tool, arguments) = tool(misdeed);
                let response = self.call(|id| Call::misdeed(id, server, tool, arguments)).await?;
                (response["error"]["code"] == 31003).then(|| after_its_end(server, before))
            }
            Fault::Edit(edit) => self.edit(edit, before).await,
            Fault::Restart(server) => {
                let finished = self.proxy.cli(&["restart", &name(server)]).await;
                (finished.code == Some(0)).then(|| another(server, before))
            }
            Fault::Reload => {
                send(self.proxy.pid(), Signal::HUP);
                None
            }
            Fault::HangUp(count) => {
                let leave = (Duration::from_millis(50), Leave::HangUp);
                let server = |nth: u64| Some(nth as usize % SERVERS);
                join_all((0..count).map(|nth| self.call(move |id| Call::left(id, server(nth), leave)))).await;
                None
            }
            Fault::NeverRead(count) => {
                join_all((0..count).map(|nth| self.never_read(nth))).await;
                None
            }
            Fault::Notes(count) => {
                let mut noted = join_all((0..count).map(|nth| self.noted(nth))).await;
                self.send(Victim::Gateway, before, Signal::KILL);
                join_all(noted.iter_mut().map(Streamable::leave)).await;
                Some(Wish::Gateway(before.gateway_pid()))
            }
            Fault::Churn(server) => {
                for _ in 0..CHANGES {
                    for tool in ["add_tool", "remove_tool"] {
                        self.call(|id| Call::misdeed(id, server, tool, json!({"name": "here_and_gone"}))).await;
                    }
                }
                None
            }
        }
    }

    /// To whoever is meant now, as far as there is anybody; returns to whom.
    fn send(&self, victim: Victim, status: &SystemView, signal: Signal) -> Vec<u32> {
        let pids: Vec<u32> = match victim {
            Victim::Server(server) if kind(server) == Kind::PerSession => {
                let own = format!(" --name {} ", name(server));
                let processes = self.proxy.processes().into_iter();
                processes
                    .filter(|(_, line)| line.contains("mcproxy-fixture") && line.contains(&own))
                    .map(|(pid, _)| pid)
                    .collect()
            }
            Victim::Server(server) => status.server(&name(server)).server_pid.into_iter().collect(),
            Victim::Worker(server) => status.server(&name(server)).worker_pid.into_iter().collect(),
            Victim::Gateway => vec![status.gateway_pid()],
        };
        pids.iter().for_each(|pid| send(*pid, signal));
        pids
    }

    async fn edit(&self, edit: Edit, before: &SystemView) -> Option<Wish> {
        let write = |without| self.proxy.write_config(&self.setup.borrow().json(without).to_string());
        match edit {
            Edit::Change(server) => {
                self.setup.borrow_mut().changes[server] += 1;
                write(None);
                // One that rests has nothing that could be replaced.
                return Some(if kind(server) == Kind::Lazy { Wish::Answer(server) } else { another(server, before) });
            }
            Edit::Extra => {
                let there = &mut self.setup.borrow_mut().extra;
                *there = !*there;
            }
            Edit::Remove(server) => {
                write(Some(server));
                let gone = |status: &SystemView| !status.servers.iter().any(|s| s.name == name(server));
                self.notices("a removed server goes", gone).await;
            }
            Edit::Break => {
                self.proxy.write_config("{\"servers\": [");
                self.notices("a broken file is told", |status| status.config_error.is_some()).await;
            }
            Edit::Touch => (0..50).for_each(|_| write(None)),
            Edit::Revoke => {
                let guests = join_all((0..GUESTS).map(|_| self.guest())).await;
                self.setup.borrow_mut().revoked = true;
                self.proxy.write_config(&self.setup.borrow().json(None).to_string());
                self.see_off(guests.into_iter().flatten()).await;
                self.setup.borrow_mut().revoked = false;
            }
        }
        write(None);
        None
    }

    /// The stream of a client whose token comes and goes.
    async fn guest(&self) -> Option<Events> {
        let number = self.next.replace(self.next.get() + 1);
        let http = http_client(Some(GUEST_TOKEN));
        let mut client = Streamable::new(number, &http, self.proxy.url("/mcp"), Dice::of(number));
        let session = client.session(self.ledger).await?;
        let stream = http.get(self.proxy.url("/mcp")).header("accept", "text/event-stream");
        stream.header("mcp-session-id", session).send().await.ok().map(Events::of)
    }

    /// Waits until nothing can be heard or done with the token of guests any more.
    async fn see_off(&self, guests: impl Iterator<Item = Events>) {
        let http = http_client(Some(GUEST_TOKEN));
        let end = async {
            for mut events in guests {
                while events.event().await.is_some() {}
            }
            // Another fault may have ended the streams before the file was read.
            let refused = async || {
                let answer = http.get(self.proxy.url("/health")).send().await;
                answer.is_ok_and(|answer| answer.status() == StatusCode::UNAUTHORIZED)
            };
            while !refused().await {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(FILE_LIMIT, end).await.is_err() {
            let what = format!("not within {FILE_LIMIT:?} of its removal");
            self.ledger.violated("a token that is gone gives nothing", what);
        }
    }

    /// A client of whose session the supervisor keeps as much as it may.
    async fn noted(&self, nth: u64) -> Streamable {
        let number = self.next.replace(self.next.get() + 1);
        let mut client = Streamable::new(number, &self.proxy.http, self.proxy.url("/mcp"), Dice::of(number));
        if let Some(session) = client.session(self.ledger).await {
            for part in 0..2 {
                let server = name(nth as usize % SERVERS);
                let uri = format!("{server}+fixture://{number}/{part}/{}", "u".repeat(LONG_URI));
                client.say(&session, "resources/subscribe", json!({"uri": uri})).await;
            }
        }
        client
    }

    async fn notices(&self, what: &'static str, wanted: impl Fn(&SystemView) -> bool) {
        let look = async {
            while !self.proxy.try_status().await.is_some_and(|status| wanted(&status)) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(FILE_LIMIT, look).await.is_err() {
            self.ledger.violated("the system recovers", format!("not within {FILE_LIMIT:?}: {what}"));
        }
    }

    /// A client that asks for what does not fit into any buffer, and reads nothing.
    async fn never_read(&self, nth: u64) {
        let address = self.proxy.base.trim_start_matches("http://");
        let number = self.next.replace(self.next.get() + 1);
        let mut client = Streamable::new(number, &self.proxy.http, self.proxy.url("/mcp"), Dice::of(number));
        let Some(session) = client.session(self.ledger).await else { return };
        let Ok(mut stream) = TcpStream::connect(address).await else {
            return self.ledger.violated("no connection is refused", format!("client {number}"));
        };
        let known = format!("host: {address}\r\nauthorization: Bearer {OWN_TOKEN}\r\nmcp-session-id: {session}\r\n");
        let server = nth as usize % SERVERS;
        let request = match nth % 3 {
            0 => format!("GET /sse HTTP/1.1\r\n{known}accept: text/event-stream\r\n\r\n"),
            1 => {
                let params = json!({"name": format!("s{server}__echo_size"), "arguments": {"bytes": 900_000}});
                let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
                let length = body.len();
                format!(
                    "POST /mcp HTTP/1.1\r\n{known}accept: */*\r\ncontent-type: application/json\r\n\
                     content-length: {length}\r\n\r\n{body}"
                )
            }
            _ => {
                client.say(&session, "logging/setLevel", json!({"level": "debug"})).await;
                format!("GET /mcp HTTP/1.1\r\n{known}accept: text/event-stream\r\n\r\n")
            }
        };
        // Cut off by another fault: then it reads nothing all the same.
        let _ = stream.write_all(request.as_bytes()).await;
        if nth % 3 == 2 {
            let flood = json!({"kind": "log", "lines": 200, "bytes": 50_000});
            self.call(|id| Call::misdeed(id, server, "notice_flood", flood)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.leave().await;
    }
}

fn limit(fault: Fault) -> Duration {
    match fault {
        fault if fault.breaks_connections() => GATEWAY_LIMIT,
        _ => LIMIT,
    }
}

fn tool(misdeed: Misdeed) -> (&'static str, Value) {
    match misdeed {
        Misdeed::Crash => ("crash", json!({"code": 3})),
        Misdeed::Abort => ("abort", json!({})),
        Misdeed::CloseStdout => ("close_stdout", json!({})),
        Misdeed::Garbage => ("garbage", json!({"lines": 50})),
        Misdeed::StderrFlood => ("stderr_flood", json!({"lines": 5000})),
        Misdeed::OversizeLine => ("oversize_line", json!({"bytes": 1_500_000})),
        Misdeed::UnknownId => ("unknown_id", json!({})),
        Misdeed::DoubleAnswer => ("double_answer", json!({})),
        Misdeed::BadAnswer => ("bad_answer", json!({})),
        Misdeed::Flood => ("notice_flood", json!({"kind": "log", "lines": 3000, "bytes": 100, "level": "error"})),
        Misdeed::Daemon => ("double_fork", json!({})),
    }
}

/// Another generation than the one of before.
fn another(server: usize, before: &SystemView) -> Wish {
    Wish::After(name(server), before.server(&name(server)).generation)
}

/// What follows the end of a server's process: where it is started by calls, or for sessions, the next call shows it.
fn after_its_end(server: usize, before: &SystemView) -> Wish {
    match kind(server) {
        Kind::Eager => another(server, before),
        Kind::Lazy | Kind::PerSession => Wish::Answer(server),
    }
}

/// To a process that another fault may have ended meanwhile.
fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}
