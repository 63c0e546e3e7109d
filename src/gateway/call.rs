//! Calls that go to a server: find it, wait for it if it is starting, hand the call over, bring events and the answer
//! back under the client's names.

use std::{
    borrow::Cow,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mcproxy_ipc::{ServerName, ServerState, data::CallContext};
use mcproxy_mcp::{
    ErrorCode, ErrorObject, RawObject, RawValue, json_string, method, object_body, one_line, split_name, split_uri,
    write_notification,
};
use slog::{debug, warn};
use tokio::time::{MissedTickBehavior, interval, timeout_at};

use super::{
    announce::{log_message, log_notification},
    builtin,
    catalogue::{Naming, View},
    fleet::Destination,
    level::Level,
    link::{Answer, CallEvent, Link},
    metrics::Outcome,
    reply::{Related, Reply},
    request::required,
    rewrite::{self, ResultRewrite},
    session::{CallSlot, Session},
    state::Gateway,
};

/// While a call waits for a server to start: how often a client that asked for progress hears that we are alive.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// `tools/call`
pub(crate) async fn tool(
    gateway: &Rc<Gateway>,
    session: &Rc<Session>,
    params: RawObject<'_>,
    slot: &CallSlot,
    related: Related,
) -> Option<Reply> {
    let forward = match Forward::named(gateway, session, method::TOOLS_CALL, params, related, View::tool).await {
        Ok(forward) => forward,
        Err(error) => return Some(error.into()),
    };
    if forward.server == builtin::name() {
        return Some(builtin_tool(gateway, session, &forward).await);
    }
    forward.run(slot, rewrite::call_result).await
}

/// `prompts/get`
pub(crate) async fn prompt(
    gateway: &Rc<Gateway>,
    session: &Rc<Session>,
    params: RawObject<'_>,
    slot: &CallSlot,
    related: Related,
) -> Option<Reply> {
    match Forward::named(gateway, session, method::PROMPTS_GET, params, related, View::prompt).await {
        Ok(forward) => forward.run(slot, rewrite::prompt_result).await,
        Err(error) => Some(error.into()),
    }
}

/// `resources/read`
pub(crate) async fn read(
    gateway: &Rc<Gateway>,
    session: &Rc<Session>,
    params: RawObject<'_>,
    slot: &CallSlot,
    related: Related,
) -> Option<Reply> {
    let (server, uri) = match resource(gateway, session, &params) {
        Ok(target) => target,
        Err(error) => return Some(error.into()),
    };
    let uri = json_string(&uri);
    let mut params = params;
    params.set("uri", &uri);
    Forward::new(gateway, session, method::RESOURCES_READ, server, params, related)
        .run(slot, rewrite::read_result)
        .await
}

/// `completion/complete`
pub(crate) async fn complete(
    gateway: &Rc<Gateway>,
    session: &Rc<Session>,
    params: RawObject<'_>,
    slot: &CallSlot,
    related: Related,
) -> Option<Reply> {
    let view = gateway.fleet.view(session.scope());
    let (server, reference) = match rewrite::completion_ref(&view, &params) {
        Ok(target) => target,
        Err(error) => return Some(error.into()),
    };
    let mut params = params;
    params.set("ref", &reference);
    Forward::new(gateway, session, method::COMPLETE, server, params, related).run(slot, rewrite::unchanged).await
}

/// A method that names a resource and nothing else.
pub(crate) async fn resource_method(
    gateway: &Rc<Gateway>,
    session: &Rc<Session>,
    method: &'static str,
    server: &ServerName,
    uri: &str,
    slot: &CallSlot,
    related: Related,
) -> Option<Reply> {
    let uri = json_string(uri);
    let mut params = RawObject::default();
    params.set("uri", &uri);
    Forward::new(gateway, session, method, server.clone(), params, related).run(slot, rewrite::unchanged).await
}

/// Which server a resource belongs to, and its URI there.
pub(crate) fn resource(
    gateway: &Gateway,
    session: &Session,
    params: &RawObject<'_>,
) -> Result<(ServerName, String), ErrorObject> {
    let uri = required(params, "uri")?;
    if let Some(target) = gateway.fleet.view(session.scope()).resource(&uri) {
        return Ok(target);
    }
    // Not shown at this moment: the server may be starting, or down with an error worth telling.
    let target = match session.scope().naming() {
        Naming::Own => known_server(gateway, session, None).map(|server| (server, uri.clone().into_owned())),
        Naming::Qualified => {
            split_uri(&uri).and_then(|(server, own)| Some((known_server(gateway, session, Some(server))?, own)))
        }
    };
    target.ok_or_else(|| {
        ErrorObject::new(ErrorCode::RESOURCE_NOT_FOUND, format_args!("there is no resource {uri:?}"))
            .with("uri", uri.as_ref())
    })
}

/// The server of that name, or the only one of the endpoint.
fn known_server(gateway: &Gateway, session: &Session, name: Option<&str>) -> Option<ServerName> {
    let name = match (session.scope(), name) {
        (super::scope::Scope::Server(server), None) => server.clone(),
        (_, Some(name)) => ServerName::try_from(name).ok()?,
        (_, None) => return None,
    };
    (gateway.fleet.shows(session.scope(), &name) && gateway.fleet.route(name.as_str()).is_some()).then_some(name)
}

/// One call on its way to one server.
struct Forward<'a> {
    gateway: &'a Rc<Gateway>,
    session: &'a Rc<Session>,
    method: &'static str,
    server: ServerName,
    /// The tool's or prompt's own name there.
    own_name: Option<String>,
    params: Vec<u8>,
    meta: Vec<u8>,
    /// The client's token, as the client wrote it.
    progress_token: Option<Box<RawValue>>,
    related: Related,
}

fn is_number(raw: &RawValue) -> bool {
    raw.get().starts_with(|c: char| c.is_ascii_digit())
}

impl<'a> Forward<'a> {
    fn new<'p>(
        gateway: &'a Rc<Gateway>,
        session: &'a Rc<Session>,
        method: &'static str,
        server: ServerName,
        mut params: RawObject<'p>,
        related: Related,
    ) -> Self {
        let mut meta = params.remove("_meta").and_then(|raw| RawObject::from_raw(raw).ok()).unwrap_or_default();
        // A token is a string or a number (MCP, progress).
        let token = meta.remove("progressToken").filter(|t| t.get().starts_with(['"', '-']) || is_number(t));
        // Tasks are not offered; a server must not see half of one.
        params.remove("task");
        let mut forward = Self {
            gateway,
            session,
            method,
            server,
            own_name: None,
            params: Vec::new(),
            meta: Vec::new(),
            progress_token: token.map(ToOwned::to_owned),
            related,
        };
        params.write(&mut forward.params);
        if !meta.is_empty() {
            meta.write(&mut forward.meta);
        }
        forward
    }

    /// A call to a tool or prompt by its name at this endpoint; waits for the server if it is starting.
    async fn named<'p>(
        gateway: &'a Rc<Gateway>,
        session: &'a Rc<Session>,
        method: &'static str,
        params: RawObject<'p>,
        related: Related,
        find: impl for<'v> Fn(&'v View, &str) -> Option<super::catalogue::Target<'v>>,
    ) -> Result<Self, ErrorObject> {
        let name = required(&params, "name")?.into_owned();
        if params.get("task").is_some() {
            return Err(ErrorObject::new(ErrorCode::INVALID_PARAMS, "tasks are not supported here"));
        }
        let look_up = || {
            let view = gateway.fleet.view(session.scope());
            find(&view, &name).map(|target| (target.server.clone(), target.name.to_owned()))
        };
        let found = match look_up() {
            Some(found) => Some(found),
            None => {
                // Not shown at this moment. If its server is known, that server's state is the answer.
                let guess = match session.scope().naming() {
                    Naming::Own => None,
                    Naming::Qualified => Some(split_name(&name).map_or("", |(server, _)| server)),
                };
                if let Some(server) = known_server(gateway, session, guess) {
                    let token = params.get_object("_meta").and_then(|meta| meta.get("progressToken"));
                    wait_for(gateway, &server, token, &related).await?;
                }
                look_up()
            }
        };
        let Some((server, own)) = found else {
            return Err(unknown_name(gateway, session, method, &name));
        };
        let own_json = json_string(&own);
        let mut params = params;
        params.set("name", &own_json);
        let mut forward = Self::new(gateway, session, method, server, params, related);
        forward.own_name = Some(own);
        Ok(forward)
    }

    /// Hands the call over and waits for its answer. `None`: the client cancelled it.
    async fn run(&self, slot: &CallSlot, rewrite: ResultRewrite) -> Option<Reply> {
        let begun = Instant::now();
        let link = match wait_for(self.gateway, &self.server, self.progress_token.as_deref(), &self.related).await {
            Ok(link) => link,
            Err(error) => {
                self.count(Outcome::Unavailable, begun);
                return Some(error.into());
            }
        };
        let context = CallContext {
            wants_progress: self.progress_token.is_some(),
            principal: self.session.principal().map(str::to_owned),
            ..CallContext::default()
        };
        let Some(call) = link.call(self.method, &self.params, &self.meta, context).await else {
            self.count(Outcome::Unavailable, begun);
            return Some(unavailable(&self.server, "worker_gone", None).into());
        };
        slot.attach(call.handle());
        let answer = call.wait(|event| self.pass_on(event)).await;
        let (outcome, reply) = match answer {
            Answer::Result(result) => (Outcome::Result, Some(Reply::Result(self.outbound(result, rewrite)))),
            Answer::Error(error) => (Outcome::Error, Some(Reply::Error(self.outbound(error, rewrite::error)))),
            Answer::NeedsInput => {
                warn!(self.gateway.log, "a server wants input, which this dialect cannot ask for yet"; "server" => %self.server);
                let error = ErrorObject::about_server(
                    ErrorCode::INTERNAL_ERROR,
                    format_args!("server `{}` asks for input, which this version cannot pass on", self.server),
                    self.server.as_str(),
                    "needs_input",
                );
                (Outcome::Error, Some(error.into()))
            }
            Answer::Cancelled => (Outcome::Cancelled, None),
            Answer::Abandoned => {
                let error = ErrorObject::about_server(
                    ErrorCode::SERVER_ENDED,
                    format_args!("MCProxy is being stopped, and server `{}` did not answer in time", self.server),
                    self.server.as_str(),
                    "stopping",
                );
                (Outcome::Unavailable, Some(error.into()))
            }
            Answer::Lost => {
                let error = ErrorObject::about_server(
                    ErrorCode::SERVER_ENDED,
                    format_args!("the worker of server `{}` ended during the call", self.server),
                    self.server.as_str(),
                    "worker_ended",
                );
                (Outcome::Unavailable, Some(error.into()))
            }
        };
        self.count(outcome, begun);
        reply
    }

    fn count(&self, outcome: Outcome, begun: Instant) {
        let took = begun.elapsed();
        self.gateway.metrics.call_ended(self.server.as_str(), outcome, took);
        debug!(self.gateway.log, "call"; "server" => %self.server, "method" => self.method, "name" => self.own_name.as_deref().unwrap_or("-"),
            "bytes" => self.params.len(), "outcome" => ?outcome, "duration_us" => took.as_micros() as u64);
    }

    /// What happens before the answer goes to the request's own stream.
    fn pass_on(&self, event: CallEvent) {
        let message = match event {
            CallEvent::Progress(params) => match self.progress_token.as_deref() {
                Some(token) => progress(token, &String::from_utf8_lossy(&params)),
                None => return,
            },
            CallEvent::Log(params) if self.wants_log(&params) => log_notification(&params),
            CallEvent::LikelyLog(params) => {
                log_message(self.gateway, &self.server, &params, Some(self.session));
                if !self.wants_log(&params) {
                    return;
                }
                log_notification(&params)
            }
            CallEvent::Log(_) => return,
        };
        let _ = self.related.try_send(message); // a client that reads too slowly misses progress, nothing else
    }

    /// With no wish stated, a server's default is what the client gets.
    fn wants_log(&self, params: &Bytes) -> bool {
        Level::of_message(params) >= self.session.level().unwrap_or(Level::Debug)
    }

    /// Puts the names and URIs of an answer under the client's naming and version; mostly that changes nothing.
    fn outbound(&self, answer: Bytes, rewrite: ResultRewrite) -> Bytes {
        let Ok(text) = std::str::from_utf8(&answer) else { return answer };
        match rewrite(self.session.scope().naming(), self.server.as_str(), text, self.session.version()) {
            Cow::Borrowed(_) => answer,
            Cow::Owned(text) => text.into(),
        }
    }
}

/// A `notifications/progress` under the client's own token.
fn progress(token: &RawValue, params: &str) -> Bytes {
    let body = object_body(params).unwrap_or_default();
    let comma = if body.is_empty() { "" } else { "," };
    let params = format!("{{\"progressToken\":{}{comma}{}}}", token.get(), one_line(body));
    let mut out = Vec::new();
    write_notification(&mut out, method::PROGRESS, &params);
    out.into()
}

/// The link to a server; waits for one that is starting, for as long as a call may take without a sign of life.
async fn wait_for(
    gateway: &Gateway,
    server: &ServerName,
    token: Option<&RawValue>,
    related: &Related,
) -> Result<Rc<Link>, ErrorObject> {
    if let Destination::Link(link) = gateway.fleet.destination(server.as_str()) {
        return Ok(link);
    }
    if *server == builtin::name() {
        return Err(unavailable(server, "built_in", None));
    }
    let begun = tokio::time::Instant::now();
    let wait = gateway.fleet.timeouts(server.as_str()).map_or(Duration::ZERO, |t| t.idle);
    let mut changes = gateway.fleet.watch();
    let mut tick = interval(KEEP_ALIVE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.tick().await;
    let mut ticks = 0u64;
    loop {
        match gateway.fleet.destination(server.as_str()) {
            Destination::Link(link) => return Ok(link),
            Destination::Starting => {}
            Destination::Down { state, why } => return Err(unavailable(server, state.as_str(), Some((state, why)))),
            Destination::Unknown => return Err(unavailable(server, "unknown", None)),
        }
        tokio::select! {
            changed = timeout_at(begun + wait, changes.changed()) => {
                if changed.is_err() {
                    return Err(unavailable(server, "starting", Some((ServerState::Starting, None))));
                }
            }
            _ = tick.tick() => if let Some(token) = token {
                ticks += 1;
                let message = json_string(&format!("server `{server}` is starting"));
                let params = format!("{{\"progress\":{ticks},\"message\":{}}}", message.get());
                let _ = related.try_send(progress(token, &params)); // only a sign of life
            },
        }
    }
}

/// 31002: the call was not sent.
fn unavailable(server: &ServerName, reason: &str, known: Option<(ServerState, Option<String>)>) -> ErrorObject {
    let message = match known {
        Some((ServerState::Starting, _)) => format!("server `{server}` is still starting; try again in a moment"),
        Some((state, Some(why))) => format!("server `{server}` is not available ({state}): {why}"),
        Some((state, None)) => format!("server `{server}` is not available ({state})"),
        None => format!("server `{server}` is not available"),
    };
    ErrorObject::about_server(ErrorCode::SERVER_UNAVAILABLE, message, server.as_str(), reason)
}

fn unknown_name(gateway: &Gateway, session: &Session, method: &str, name: &str) -> ErrorObject {
    let shown: String = name.chars().take(128).collect();
    let message = match method {
        method::TOOLS_CALL => match gateway.fleet.view(session.scope()).nearest_tool(name) {
            Some(near) => format!("Unknown tool: {shown}; did you mean {near}?"),
            None => format!("Unknown tool: {shown}"),
        },
        _ => format!("Unknown prompt: {shown}"),
    };
    ErrorObject::new(ErrorCode::INVALID_PARAMS, message)
}

async fn builtin_tool(gateway: &Gateway, session: &Session, forward: &Forward<'_>) -> Reply {
    let params = RawObject::from_slice(&forward.params).unwrap_or_default();
    let arguments = params.get("arguments").map(RawValue::get);
    let tool = forward.own_name.as_deref().unwrap_or_default();
    builtin::run(&gateway.supervisor, &gateway.fleet.view(session.scope()), tool, arguments).await
}
