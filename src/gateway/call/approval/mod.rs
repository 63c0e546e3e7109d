//! Calls that need the agreement of a person: the client's own user is asked, where the client can ask, and operators may decide as
//! well. Nothing is sent to the server before that, and the decision is for this call alone: the same principal, server and tool, the
//! same arguments, the definition that is in force (docs/decisions/0198).

mod question;

use std::time::{Duration, Instant, SystemTime};

use mcproxy_ipc::{
    ApprovalDecision, ApprovalMode, ApprovalNote, ApprovalRule, ApprovalTerms, HeldCall, HoldEnd, Remember, ServerName,
    unix_millis,
};
use mcproxy_mcp::{ErrorCode, ErrorObject, RawObject, RawValue, json_string, method};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use self::question::{ApprovalQuestion, plain, shown_arguments, to_need};
use super::{
    client_input::ClientInput, incoming::Params, input_requests::InputRequest, request_context::RequestContext,
};
use crate::gateway::{
    base::reply::Reply,
    downstream::{InputRoute, input_required::input_required, retry::Retry},
    sessions::client_requests::Response,
    state::{
        held_calls::{ApprovalVerdict, ReturnedCall, TooManyHeld, is_ours},
        request_state::RequestBinding,
    },
};

/// The name of our question among those of a call.
const KEY: &str = "approval";
/// How often a client that asked for progress hears that its call waits.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How often a call is held again because its tool was redefined meanwhile.
const ROUNDS: u32 = 3;

/// A call that needs the agreement of a person.
#[derive(Debug)]
pub(crate) struct NeededApproval {
    /// The client's name of the tool.
    shown: String,
    /// The digest of its definition; `None`: its server does not list it.
    definition: Option<[u8; 32]>,
    /// As people are shown them.
    arguments: String,
    /// What its client says of itself, as people are shown it.
    client: Option<String>,
}

impl NeededApproval {
    /// What a call of a tool needs; `own`: the server's own name of it. `params` are the client's.
    pub(crate) fn of(context: &RequestContext, params: &Params<'_>, server: &ServerName, own: &str) -> Option<Self> {
        let servers = &context.gateway.servers;
        if !servers.may_hold() {
            return None;
        }
        let mode = servers.approval_mode(context.scope(), server, own);
        if mode == ApprovalMode::Never {
            return None;
        }
        let shown = params.members.get_string("name")?.into_owned();
        let definition = context.view().tool_definition(&shown);
        if mode == ApprovalMode::Destructive && definition.is_some_and(|tool| !tool.is_destructive) {
            return None;
        }
        let arguments = shown_arguments(params.members.get("arguments").map_or("{}", RawValue::get));
        let client = context.downstream.client_label().map(|label| plain(&label));
        Some(Self { shown, definition: definition.map(|tool| tool.digest), arguments, client })
    }

    /// The digest of the tool's definition when the call came.
    pub(crate) fn definition(&self) -> Option<[u8; 32]> {
        self.definition
    }
}

/// Whether a call is made.
pub(crate) enum CallAdmission {
    /// It is.
    Made(ApprovalNote),
    /// It is not; its client gets this.
    Answered(Reply, ApprovalNote),
    /// Its client gave it up.
    Cancelled(ApprovalNote),
}

/// How a wait ended.
enum Waited {
    Decided(ApprovalVerdict),
    Over(CallAdmission),
}

/// The approval of one call.
pub(crate) struct CallApproval<'a> {
    /// Its request.
    pub(crate) context: &'a RequestContext,
    /// Its server.
    pub(crate) server: &'a ServerName,
    /// The server's own name of the tool.
    pub(crate) tool: &'a str,
    /// What it needs.
    pub(crate) needed: &'a NeededApproval,
    /// The request, also when it is made again.
    pub(crate) binding: RequestBinding,
    /// The client's progress token.
    pub(crate) token: Option<&'a RawValue>,
}

impl CallApproval<'_> {
    /// Whether the call is made. `retry`: what the client brings; what was a question of ours is taken out of it.
    pub(crate) async fn admit(&self, retry: &mut Option<Retry>) -> CallAdmission {
        let held = &self.context.gateway.held_calls;
        let state = retry.as_ref().and_then(Retry::state);
        if let Some(state) = state.as_deref().filter(|state| is_ours(state)) {
            let answer = retry.take().and_then(|retry| self.answer_in(&retry.responses()));
            // Another call, or another tool, is held anew.
            if let Some(admission) = self.come_back(state, answer) {
                return admission;
            }
        } else if retry.is_some()
            && held.is_continued(state.as_deref(), &self.binding, self.needed.definition, Instant::now())
        {
            return CallAdmission::Made(ApprovalNote::new("user", "continued"));
        }
        if let Some(note) = self.remembered() {
            return CallAdmission::Made(note);
        }
        let mut definition = self.needed.definition;
        for _ in 0..ROUNDS {
            match self.wait(definition).await {
                Waited::Over(admission) => return admission,
                Waited::Decided(verdict) => {
                    let now = self.definition();
                    if verdict.decision == ApprovalDecision::Refuse || now == definition {
                        return self.decided(verdict, definition);
                    }
                    definition = now;
                }
            }
        }
        let why = "its tool was defined anew each time while the call waited for approval";
        CallAdmission::Answered(self.error(why, "not_approved"), ApprovalNote::new("nobody", "refused"))
    }

    /// A client of 2026-07-28 brings a question of ours back. `None`: the call is to be held anew.
    fn come_back(&self, state: &str, answer: Option<ApprovalDecision>) -> Option<CallAdmission> {
        let held = &self.context.gateway.held_calls;
        match held.come_back(state, &self.binding, Instant::now()) {
            ReturnedCall::Unknown => {
                let message = "the requestState is not, or no longer, good for this request: make it anew, without one";
                let error = ErrorObject::about_server(
                    ErrorCode::INVALID_PARAMS,
                    message,
                    self.server.as_str(),
                    "request_state",
                );
                Some(CallAdmission::Answered(error.into(), ApprovalNote::new("nobody", "refused")))
            }
            ReturnedCall::Other => None,
            ReturnedCall::Same { wanted, definition, verdict } => {
                let of_user = |decision| ApprovalVerdict { decision, by: "user".to_owned() };
                let Some(verdict) = verdict.or_else(|| answer.map(of_user)) else {
                    let reply = input_required(&wanted, Some(state))?;
                    return Some(CallAdmission::Answered(reply, ApprovalNote::new("user", "asked")));
                };
                held.finish_away(state, end_of(verdict.decision));
                let is_same = definition == self.definition();
                (is_same || verdict.decision == ApprovalDecision::Refuse).then(|| self.decided(verdict, definition))
            }
        }
    }

    /// Waits for a person.
    async fn wait(&self, definition: Option<[u8; 32]>) -> Waited {
        let terms = self.terms();
        let now = Instant::now();
        let until = now + terms.timeout;
        let route = self.context.downstream.input_route();
        let asks_user = self.context.downstream.fills_forms();
        let call = self.held_call(&terms, asks_user);
        let party = self.context.downstream.party();
        let question = self.question().to_params();
        if asks_user && matches!(route, InputRoute::SendAway) {
            let need = bytes::Bytes::from(to_need(KEY, method::ELICITATION, &question));
            let of = (need.clone(), self.binding.clone(), definition);
            let state = self.context.gateway.held_calls.send_away(call, party, of, until, now);
            return Waited::Over(match state {
                Ok(state) => match input_required(&need, Some(&state)) {
                    Some(reply) => CallAdmission::Answered(reply, ApprovalNote::new("user", "asked")),
                    None => self.refused("what is asked cannot be written", "not_approved", "nobody"),
                },
                Err(why) => self.too_many(why),
            });
        }
        let mut hold = match self.context.gateway.held_calls.hold(call, party, until, now) {
            Ok(hold) => hold,
            Err(why) => return Waited::Over(self.too_many(why)),
        };
        let asked = async {
            let InputRoute::Ask(session) = route else { return std::future::pending().await };
            if !asks_user {
                return std::future::pending().await;
            }
            let input = ClientInput::new(self.context, session, self.server, terms.timeout);
            let wanted = InputRequest::ours(KEY, method::ELICITATION, question);
            let answer = input.ask_of_ours(&wanted).await.ok();
            let decision = answer.and_then(|answer| match answer {
                Response::Result(result) => self.question().read(&RawObject::from_slice(&result).ok()?),
                Response::Error(_) => None,
            });
            match decision {
                Some(decision) => ApprovalVerdict { decision, by: "user".to_owned() },
                // The client cannot ask after all: operators can still decide.
                None => std::future::pending().await,
            }
        };
        let cancelled = self.context.may_be_cancelled();
        let given_up = async {
            match &cancelled {
                Some(cancelled) => cancelled.notified().await,
                None => std::future::pending().await,
            }
        };
        let decision = tokio::select! {
            biased;
            () = given_up => None,
            verdict = hold.decided() => return Waited::Decided(verdict),
            verdict = asked => Some(verdict),
            () = sleep_until(until.into()) => {
                hold.end(HoldEnd::Expired);
                let seconds = terms.timeout.as_secs_f64();
                let why = format!("nobody decided on it within {seconds} s (approvals.timeout)");
                let note = ApprovalNote::new("nobody", "expired");
                return Waited::Over(CallAdmission::Answered(self.error(&why, "approval_expired"), note));
            }
            () = self.signs() => unreachable!("it has no end"),
        };
        match decision {
            Some(verdict) => {
                hold.end(end_of(verdict.decision));
                Waited::Decided(verdict)
            }
            None => {
                hold.end(HoldEnd::Cancelled);
                Waited::Over(CallAdmission::Cancelled(ApprovalNote::new("nobody", "cancelled")))
            }
        }
    }

    /// Tells a client that wants to hear of progress that its call waits, now and again.
    async fn signs(&self) {
        let message = json_string(&format!("the call of `{}` waits for approval", plain(&self.needed.shown)));
        let mut tick = interval(KEEP_ALIVE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if let Some(token) = self.token {
                self.context.sign_of_life(token, message.get());
            }
        }
    }

    /// What somebody decided is done.
    fn decided(&self, verdict: ApprovalVerdict, definition: Option<[u8; 32]>) -> CallAdmission {
        let ApprovalVerdict { decision, by } = verdict;
        if decision == ApprovalDecision::Refuse {
            let who = if by == "user" { "the user" } else { "an operator" };
            return self.refused(&format!("{who} refused it"), "not_approved", &by);
        }
        let remember = decision.remembered().min(self.terms().remember);
        let how = match (remember, definition) {
            (Remember::Always, Some(definition)) => {
                self.keep(&by, definition);
                "always"
            }
            (Remember::Session, Some(definition)) => match self.context.downstream.approved_tools() {
                Some(approved) => {
                    approved.add(self.server, self.tool, definition);
                    "session"
                }
                None => "once",
            },
            // Of a tool that is not listed nobody would notice that it changes.
            (Remember::Never, _) | (_, None) => "once",
        };
        CallAdmission::Made(ApprovalNote::new(by, how))
    }

    fn keep(&self, by: &str, definition: [u8; 32]) {
        let rule = ApprovalRule {
            id: String::new(),
            at_ms: unix_millis(SystemTime::now()),
            by: plain(by),
            principal: self.context.downstream.principal().name().map(str::to_owned),
            server: self.server.clone(),
            tool: self.tool.to_owned(),
            definition,
        };
        if rule.is_bounded() {
            self.context.gateway.approval_rules.add(rule.clone());
            self.context.gateway.held_calls.keep(rule);
        }
    }

    /// An answer of before that counts for this call.
    fn remembered(&self) -> Option<ApprovalNote> {
        let (definition, remember) = (self.needed.definition?, self.terms().remember);
        let downstream = &self.context.downstream;
        let in_session = || downstream.approved_tools().is_some_and(|all| all.has(self.server, self.tool, definition));
        if remember >= Remember::Session && in_session() {
            return Some(ApprovalNote::new("user", "session"));
        }
        if remember < Remember::Always {
            return None;
        }
        let rules = &self.context.gateway.approval_rules;
        let rule = rules.of(downstream.principal(), self.server, self.tool, &definition)?;
        Some(ApprovalNote::new(format!("rule:{rule}"), "always"))
    }

    fn answer_in(&self, responses: &RawObject<'_>) -> Option<ApprovalDecision> {
        self.question().read(&responses.get_object(KEY)?)
    }

    fn question(&self) -> ApprovalQuestion<'_> {
        // A client without a session has none that an answer could count for.
        let remember = match self.terms().remember {
            Remember::Session if self.context.downstream.approved_tools().is_none() => Remember::Never,
            remember => remember,
        };
        ApprovalQuestion {
            principal: self.context.downstream.principal().name(),
            client: self.needed.client.as_deref(),
            server: self.server,
            tool: self.tool,
            arguments: &self.needed.arguments,
            remember: if self.needed.definition.is_some() { remember } else { Remember::Never },
        }
    }

    fn held_call(&self, terms: &ApprovalTerms, asks_user: bool) -> HeldCall {
        let downstream = &self.context.downstream;
        let at_ms = unix_millis(SystemTime::now());
        let timeout = u64::try_from(terms.timeout.as_millis()).unwrap_or(u64::MAX);
        HeldCall {
            id: String::new(),
            at_ms,
            until_ms: at_ms.saturating_add(timeout),
            principal: downstream.principal().name().map(plain),
            client: self.needed.client.clone(),
            endpoint: plain(&self.context.scope().to_string()),
            server: self.server.clone(),
            tool: plain(self.tool),
            arguments: self.needed.arguments.clone(),
            asks_user,
        }
    }

    fn terms(&self) -> ApprovalTerms {
        self.context.gateway.settings().approvals.clone()
    }

    /// The definition in force now.
    fn definition(&self) -> Option<[u8; 32]> {
        self.context.view().tool_definition(&self.needed.shown).map(|tool| tool.digest)
    }

    fn too_many(&self, why: TooManyHeld) -> CallAdmission {
        let message = format!("it needs approval, and {why}");
        CallAdmission::Answered(self.error(&message, "too_many_held"), ApprovalNote::new("nobody", "too_many"))
    }

    fn refused(&self, why: &str, reason: &str, by: &str) -> CallAdmission {
        CallAdmission::Answered(self.error(why, reason), ApprovalNote::new(by, "refused"))
    }

    fn error(&self, why: &str, reason: &str) -> Reply {
        let message = format!("the call of `{}` at server `{}` was not made: {why}", plain(self.tool), self.server);
        ErrorObject::about_server(ErrorCode::SERVER_UNAVAILABLE, message, self.server.as_str(), reason).into()
    }
}

fn end_of(decision: ApprovalDecision) -> HoldEnd {
    match decision {
        ApprovalDecision::Refuse => HoldEnd::Refused,
        ApprovalDecision::Once | ApprovalDecision::Session | ApprovalDecision::Always => HoldEnd::Allowed,
    }
}
