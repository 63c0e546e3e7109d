//! The worker of an authorization server (docs/decisions/0207): no server of MCP is behind this transport. It answers the session itself,
//! as a server without tools would, and the gateway's `mcproxy/keys` and `mcproxy/introspect` by requests to the authorization server.
//!
//! The keys are fetched when the run begins, and the run ends when that failed three times in a row: so its state, its restarts and the
//! reason are shown and logged as those of servers are.

mod interface;
mod issuer;
mod message;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use mcproxy_ipc::{AuthoritySpec, EndReason, IntrospectResult, WorkerSpec};
use mcproxy_mcp::{ErrorCode, LATEST, RequestId, error_object, json_string, write_error_response, write_response};
use serde::Serialize;
use slog::{Logger, info, warn};
use tokio::task::{AbortHandle, JoinError, JoinSet};

use self::{
    issuer::{Issuer, KeysOutcome},
    message::AuthorityMessage,
};
use super::{LineDirection, Trace, trace::trace_received};
use crate::{lines::ServerLine, secrets};

/// Requests for keys that fail in a row until the run ends.
const MOST_FAILURES: u32 = 3;

/// The transport.
pub(crate) struct AuthorityTransport {
    issuer: Arc<Issuer>,
    tasks: JoinSet<AuthorityTaskEnd>,
    under_way: HashMap<RequestId, AbortHandle>,
    /// Messages for the session.
    arrived: VecDeque<ServerLine>,
    has_sent: bool,
    failures: u32,
    /// The failure that was logged last.
    told: Option<String>,
    end: Option<EndReason>,
    trace: Option<Trace>,
    log: Logger,
}

/// What a task came to.
enum AuthorityTaskEnd {
    Opened(RequestId, KeysOutcome),
    Keys(RequestId, KeysOutcome),
    Introspected(RequestId, Result<IntrospectResult, String>),
}

impl AuthorityTransport {
    /// Makes the client; nothing is sent before the session begins.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn start(
        spec: &WorkerSpec,
        authority: &AuthoritySpec,
        trace: Option<Trace>,
        log: Logger,
    ) -> Result<Self, EndReason> {
        let issuer = Issuer::new(authority, secrets::mask(&spec.reach)).map_err(EndReason::Unreachable)?;
        Ok(Self {
            issuer: Arc::new(issuer),
            tasks: JoinSet::new(),
            under_way: HashMap::new(),
            arrived: VecDeque::new(),
            has_sent: false,
            failures: 0,
            told: None,
            end: None,
            trace,
            log,
        })
    }

    /// A message of the session.
    fn take(&mut self, line: &[u8]) {
        if let Some(trace) = &mut self.trace {
            trace(LineDirection::ToServer, line);
        }
        self.has_sent = true;
        let issuer = self.issuer.clone();
        match message::read(line) {
            AuthorityMessage::Initialize(id) => {
                self.spawn(id.clone(), async move { AuthorityTaskEnd::Opened(id, issuer.keys().await) });
            }
            AuthorityMessage::Keys(id) => {
                self.spawn(id.clone(), async move { AuthorityTaskEnd::Keys(id, issuer.keys().await) });
            }
            AuthorityMessage::Introspect(id, params) => {
                self.spawn(id.clone(), async move {
                    AuthorityTaskEnd::Introspected(id, issuer.introspect(&params.token).await)
                });
            }
            AuthorityMessage::Ping(id) => self.answer(&id, "{}"),
            AuthorityMessage::ListTools(id) => self.answer(&id, r#"{"tools":[]}"#),
            AuthorityMessage::Refused(id, code, why) => self.refuse(&id, code, why),
            // A request for keys goes on: others wait for its answer, too, and it would be asked again in a minute only.
            AuthorityMessage::Cancel(id) => drop(self.under_way.remove(&id)),
            AuthorityMessage::Nothing => {}
        }
    }

    fn spawn(&mut self, id: RequestId, task: impl Future<Output = AuthorityTaskEnd> + Send + 'static) {
        if self.end.is_none() {
            let handle = self.tasks.spawn(task);
            self.under_way.insert(id, handle);
        }
    }

    /// A task has ended; to one that was given up nothing is answered.
    fn landed(&mut self, ended: Result<AuthorityTaskEnd, JoinError>) {
        match ended {
            Ok(AuthorityTaskEnd::Opened(id, outcome)) => {
                self.under_way.remove(&id);
                match outcome {
                    KeysOutcome::None(why) => self.close(EndReason::Unreachable(why)),
                    KeysOutcome::Known(_) | KeysOutcome::New(_) | KeysOutcome::Kept(..) => self.welcome(&id),
                }
            }
            Ok(AuthorityTaskEnd::Keys(id, outcome)) => self.fetched(&id, outcome),
            Ok(AuthorityTaskEnd::Introspected(id, outcome)) => {
                if self.under_way.remove(&id).is_none() {
                    return;
                }
                match outcome {
                    Ok(result) => self.answer_with(&id, &result),
                    Err(why) => {
                        self.refuse(&id, ErrorCode::SERVER_UNAVAILABLE, &why);
                        self.tell(why);
                    }
                }
            }
            Err(_) => {}
        }
    }

    fn welcome(&mut self, id: &RequestId) {
        let name = json_string(&format!("keys of {}", self.issuer.name()));
        let version = env!("CARGO_PKG_VERSION");
        let info = format!(r#"{{"name":{},"version":"{version}"}}"#, name.get());
        self.answer(id, &format!(r#"{{"protocolVersion":"{LATEST}","capabilities":{{}},"serverInfo":{info}}}"#));
    }

    fn fetched(&mut self, id: &RequestId, outcome: KeysOutcome) {
        let is_awaited = self.under_way.remove(id).is_some();
        let (keys, failure) = match outcome {
            KeysOutcome::Known(keys) => (Some(keys), None),
            KeysOutcome::New(keys) => {
                (self.failures, self.told) = (0, None);
                info!(self.log, "keys of the authorization server fetched"; "fresh_for" => keys.fresh_for);
                (Some(keys), None)
            }
            KeysOutcome::Kept(keys, why) => (Some(keys), Some(why)),
            KeysOutcome::None(why) => (None, Some(why)),
        };
        match (&keys, &failure) {
            (Some(keys), _) if is_awaited => self.answer_with(id, keys),
            (None, Some(why)) if is_awaited => self.refuse(id, ErrorCode::SERVER_UNAVAILABLE, why),
            (Some(_) | None, _) => {}
        }
        if let Some(why) = failure {
            self.failures += 1;
            if self.failures >= MOST_FAILURES {
                return self.close(EndReason::Unreachable(why));
            }
            self.tell(why);
        }
    }

    /// Logs a failure, once while it is the same.
    fn tell(&mut self, why: String) {
        if self.told.as_ref() != Some(&why) {
            warn!(self.log, "the authorization server cannot be asked"; "error" => &why);
            self.told = Some(why);
        }
    }

    fn answer_with(&mut self, id: &RequestId, result: &impl Serialize) {
        let result = serde_json::to_string(result).expect("texts and numbers");
        self.answer(id, &result);
    }

    fn answer(&mut self, id: &RequestId, result: &str) {
        let mut line = Vec::new();
        write_response(&mut line, id, result);
        self.arrive(line);
    }

    fn refuse(&mut self, id: &RequestId, code: ErrorCode, why: &str) {
        let mut line = Vec::new();
        write_error_response(&mut line, Some(id), error_object(code, why).get());
        self.arrive(line);
    }

    fn arrive(&mut self, line: Vec<u8>) {
        let line = ServerLine::Text(line.into());
        trace_received(&mut self.trace, &line);
        self.arrived.push_back(line);
    }

    /// Gives up what is under way, and ends. The first reason counts.
    fn close(&mut self, reason: EndReason) {
        self.tasks.abort_all();
        self.under_way.clear();
        self.end.get_or_insert(reason);
    }
}
