//! Parked calls of clients without a session. Each has a `requestState`, which the client sends back together with what the server
//! asked for (2026-07-28, multi round-trip requests).

use std::{cell::RefCell, collections::HashMap, time::Instant};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use mcproxy_ipc::ServerName;
use mcproxy_mcp::{RawObject, json_string};

use crate::gateway::base::{json_digest::digest, principal::Principal, scope::Scope};

/// Calls that may be parked at once. Each occupies its server.
const MAX_REQUEST_STATES: usize = 1024;
/// Random bytes of a request state.
const SECRET: usize = 24;

/// The request that a request state belongs to: it is valid for no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestBinding {
    scope: Scope,
    principal: Principal,
    server: ServerName,
    method: String,
    params: [u8; 32],
}

impl RequestBinding {
    /// `params`: those that go to the server, however they are written.
    pub(crate) fn new(scope: &Scope, principal: &Principal, server: &ServerName, method: &str, params: &[u8]) -> Self {
        Self {
            scope: scope.clone(),
            principal: principal.clone(),
            server: server.clone(),
            method: method.to_owned(),
            params: digest(params),
        }
    }

    /// Where it was made.
    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Who made it.
    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether the same client makes the other one, whatever it asks for.
    pub(super) fn is_of_caller(&self, other: &Self) -> bool {
        self.principal == other.principal && self.scope == other.scope
    }
}

/// A parked call, stored under its request state.
#[derive(Debug)]
struct IssuedState<P> {
    park: P,
    /// The server's requests.
    wanted: Bytes,
    binding: RequestBinding,
    until: Instant,
}

/// The result of a request that sends a request state back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Redeemed<P> {
    /// The call, and the payload that it goes on with. The request state is used up.
    Complete(P, Bytes),
    /// An answer is missing; these are the server's requests. The request state is still valid.
    Incomplete(Bytes),
    /// No such request state: it was used, has expired, belongs to another principal or request, or never existed.
    Unknown,
}

/// All parked calls of clients without a session. `P`: the call that continues with the answers.
#[derive(Debug)]
pub(crate) struct RequestStateStore<P>(RefCell<HashMap<Box<str>, IssuedState<P>>>);

impl<P> RequestStateStore<P> {
    /// An empty store.
    pub(crate) fn new() -> Self {
        Self(RefCell::default())
    }

    /// Parks a call until then; the request state is valid once. `None`: too many calls are parked.
    pub(crate) fn issue(
        &self,
        park: P,
        wanted: Bytes,
        binding: RequestBinding,
        until: Instant,
        now: Instant,
    ) -> Option<Box<str>> {
        self.tidy(now);
        let mut secret = [0; SECRET];
        if self.0.borrow().len() >= MAX_REQUEST_STATES || getrandom::fill(&mut secret).is_err() {
            return None;
        }
        let state: Box<str> = BASE64_URL_SAFE_NO_PAD.encode(secret).into();
        self.0.borrow_mut().insert(state.clone(), IssuedState { park, wanted, binding, until });
        Some(state)
    }

    /// Drops the parked calls of those principals at those endpoints and returns their number.
    pub(crate) fn give_up(&self, of: impl Fn(&Scope, &Principal) -> bool) -> usize {
        let is_gone = |waiting: &IssuedState<P>| of(&waiting.binding.scope, &waiting.binding.principal);
        // Dropping a call may come back here.
        let gone: Vec<_> = self.0.borrow_mut().extract_if(|_, waiting| is_gone(waiting)).collect();
        gone.len()
    }

    /// Continues a parked call with the client's answers, by the keys of the server's requests. `is_done`: whether the call does not
    /// wait for an answer any more.
    pub(crate) fn redeem(
        &self,
        state: &str,
        binding: &RequestBinding,
        answers: &RawObject<'_>,
        is_done: impl Fn(&P) -> bool,
        now: Instant,
    ) -> Redeemed<P> {
        self.tidy(now);
        let mut all = self.0.borrow_mut();
        let Some(waiting) = all.get(state).filter(|waiting| waiting.binding == *binding) else {
            return Redeemed::Unknown;
        };
        let nothing = || is_done(&waiting.park).then(|| Bytes::from_static(b"{}"));
        let Some(payload) = payload_of(&waiting.wanted, answers).or_else(nothing) else {
            return Redeemed::Incomplete(waiting.wanted.clone());
        };
        match all.remove(state) {
            Some(waiting) => Redeemed::Complete(waiting.park, payload),
            None => Redeemed::Unknown,
        }
    }

    /// Drops the calls whose client did not come back in time.
    pub(crate) fn tidy(&self, now: Instant) {
        self.0.borrow_mut().retain(|_, waiting| waiting.until > now);
    }
}

/// The answers in the places of the server's requests; `None` when one is missing.
fn payload_of(wanted: &[u8], answers: &RawObject<'_>) -> Option<Bytes> {
    let wanted = RawObject::from_slice(wanted).ok()?;
    let requests = wanted.get_object("inputRequests").unwrap_or_default();
    let members: Option<Vec<String>> = requests
        .iter()
        .map(|(key, _)| Some(format!("{}:{{\"result\":{}}}", json_string(key).get(), answers.get(key)?.get())))
        .collect();
    Some(format!("{{{}}}", members?.join(",")).into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const WANTED: &[u8] = br#"{"inputRequests":{"a":{"method":"roots/list"},"b":{"method":"elicitation/create"}}}"#;
    const TIME: Duration = Duration::from_secs(600);

    fn binding(principal: Option<&str>, params: &str) -> RequestBinding {
        let server = ServerName::try_from("s").expect("a name");
        RequestBinding::new(&Scope::all(), &Principal::of(principal), &server, "tools/call", params.as_bytes())
    }

    fn answers(text: &str) -> RawObject<'_> {
        RawObject::from_text(text).expect("an object")
    }

    #[test]
    fn a_ticket_is_good_once_and_for_one_request_of_one_caller() {
        let (request_states, now) = (RequestStateStore::new(), Instant::now());
        let mine = binding(Some("ann"), r#"{"name":"t"}"#);
        let state = request_states
            .issue(7, Bytes::from_static(WANTED), mine.clone(), now + TIME, now)
            .expect("a request state");
        let all = answers(r#"{"b":{"action":"accept"},"a":{"roots":[]},"more":1}"#);
        for (shown, by) in [
            (&*state, binding(Some("bob"), r#"{"name":"t"}"#)),
            (&*state, binding(None, r#"{"name":"t"}"#)),
            (&*state, binding(Some("ann"), r#"{"name":"u"}"#)),
            ("another", mine.clone()),
            ("", mine.clone()),
        ] {
            assert_eq!(request_states.redeem(shown, &by, &all, |_| true, now), Redeemed::Unknown);
        }
        let mine = binding(Some("ann"), r#"{ "name":"t" }"#);
        let part = answers(r#"{"a":{"roots":[]}}"#);
        assert_eq!(request_states.redeem(&state, &mine, &part, |_| false, now), Redeemed::Incomplete(WANTED.into()));
        let payload = r#"{"a":{"result":{"roots":[]}},"b":{"result":{"action":"accept"}}}"#;
        assert_eq!(request_states.redeem(&state, &mine, &all, |_| false, now), Redeemed::Complete(7, payload.into()));
        assert_eq!(request_states.redeem(&state, &mine, &all, |_| false, now), Redeemed::Unknown, "it is used up");
    }

    #[test]
    fn a_call_that_is_over_meanwhile_needs_no_answers() {
        let (request_states, now) = (RequestStateStore::new(), Instant::now());
        let state =
            request_states.issue(7, Bytes::from_static(WANTED), binding(None, "{}"), now + TIME, now).expect("one");
        let show =
            |is_done: bool| request_states.redeem(&state, &binding(None, "{}"), &answers("{}"), |_| is_done, now);
        assert_eq!(show(false), Redeemed::Incomplete(WANTED.into()));
        assert_eq!(show(true), Redeemed::Complete(7, Bytes::from_static(b"{}")));
        assert_eq!(show(true), Redeemed::Unknown, "good once");
    }

    #[test]
    fn the_calls_of_one_caller_are_given_up_and_no_others() {
        let (request_states, now) = (RequestStateStore::new(), Instant::now());
        let issue = |principal| {
            let state = request_states.issue((), Bytes::from_static(b"{}"), binding(principal, "{}"), now + TIME, now);
            state.expect("a request state")
        };
        let (ann, bob) = (issue(Some("ann")), issue(Some("bob")));
        assert_eq!(request_states.give_up(|_, principal| principal.name() == Some("ann")), 1);
        let show = |state: &str, who| request_states.redeem(state, &binding(who, "{}"), &answers("{}"), |()| true, now);
        assert_eq!(show(&ann, Some("ann")), Redeemed::Unknown);
        assert!(matches!(show(&bob, Some("bob")), Redeemed::Complete((), _)));
    }

    #[test]
    fn a_ticket_has_its_time_and_there_are_not_too_many() {
        let (request_states, now) = (RequestStateStore::new(), Instant::now());
        let issue = || request_states.issue((), Bytes::from_static(b"{}"), binding(None, "{}"), now + TIME, now);
        let first = issue().expect("a request state");
        (1..MAX_REQUEST_STATES).for_each(|_| assert!(issue().is_some()));
        assert_eq!(issue(), None);
        let show =
            |state: &str, at| request_states.redeem(state, &binding(None, "{}"), &RawObject::default(), |()| false, at);
        assert!(matches!(show(&first, now + TIME - Duration::from_nanos(1)), Redeemed::Complete((), _)));
        let second = issue().expect("there is room again");
        assert_eq!(show(&second, now + TIME), Redeemed::Unknown);
        assert_eq!(request_states.0.borrow().len(), 0);
    }
}
