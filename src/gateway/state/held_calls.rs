//! Calls that wait until a person agrees to them: those whose request waits here, and those of clients that were sent away with the
//! question and come back with the answer (2026-07-28, multi round-trip requests).

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Instant};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use mcproxy_ipc::{
    ApprovalDecision, ApprovalRule, HeldCall, HoldEnd, MAX_HELD_CALLS, MAX_HELD_CALLS_EACH, ServerName, SessionKey,
};
use prometheus_client::registry::Registry;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::{approval_counts::ApprovalCounts, request_state::RequestBinding};
use crate::gateway::base::{principal::Principal, scope::Scope};

/// What the request states of questions of our own begin with.
const STATE: &str = "mcproxy-approval.";
/// Random bytes of such a state.
const SECRET: usize = 24;
/// Random bytes of the name by which people decide on a call.
const ID: usize = 6;
/// The most calls that were agreed to and whose servers wait for their clients.
const MAX_CONTINUING: usize = 1024;

/// What somebody decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApprovalVerdict {
    /// What.
    pub(crate) decision: ApprovalDecision,
    /// Who, for the audit.
    pub(crate) by: String,
}

/// What the supervisor is told.
#[derive(Debug)]
pub(crate) enum HoldNews {
    /// A call waits.
    Held(Box<HeldCall>),
    /// It does not any more.
    Ended(String, HoldEnd),
    /// An answer is to be kept.
    Keep(Box<ApprovalRule>),
}

/// Too many calls wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooManyHeld {
    /// Of this client.
    #[error("{MAX_HELD_CALLS_EACH} calls of this client wait for approval already")]
    Each,
    /// In all.
    #[error("{MAX_HELD_CALLS} calls wait for approval already")]
    All,
    /// The system gives no random numbers.
    #[error("no name can be made for it")]
    Nameless,
}

/// The result of a request that brings a state back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReturnedCall {
    /// There is no such state, it is over, or it is another client's.
    Unknown,
    /// The same client asks for something else now. The state is of no use any more.
    Other,
    /// It is this call.
    Same {
        /// What it was asked.
        wanted: Bytes,
        /// The definition of the tool then.
        definition: Option<[u8; 32]>,
        /// What somebody else decided meanwhile.
        verdict: Option<ApprovalVerdict>,
    },
}

/// How a call waits.
enum HeldBy {
    /// Its request does.
    Request(oneshot::Sender<ApprovalVerdict>),
    /// Its client was sent away.
    Away(Box<AwayCall>),
}

/// A call whose client was sent away.
struct AwayCall {
    state: Box<str>,
    wanted: Bytes,
    binding: RequestBinding,
    definition: Option<[u8; 32]>,
    verdict: Option<ApprovalVerdict>,
}

struct HoldEntry {
    call: HeldCall,
    party: SessionKey,
    until: Instant,
    by: HeldBy,
}

/// A call that was agreed to, whose server wants something of its client now: the same call with the answer is agreed to as well.
struct ContinuingCall {
    binding: RequestBinding,
    definition: Option<[u8; 32]>,
    until: Instant,
}

/// All of them.
pub(crate) struct HeldCalls {
    calls: RefCell<HashMap<Box<str>, HoldEntry>>,
    /// By the digest of the state that the client brings back.
    continuing: RefCell<HashMap<[u8; 32], ContinuingCall>>,
    counts: ApprovalCounts,
    tell: Box<dyn Fn(HoldNews)>,
}

/// A call whose request waits. Dropped without a decision it was given up.
pub(crate) struct Hold {
    calls: Rc<HeldCalls>,
    id: Box<str>,
    verdict: oneshot::Receiver<ApprovalVerdict>,
}

impl Hold {
    /// What somebody other than the client's user decides.
    pub(crate) async fn decided(&mut self) -> ApprovalVerdict {
        match (&mut self.verdict).await {
            Ok(verdict) => verdict,
            // Its entry is gone without one, which happens with this only.
            Err(_) => std::future::pending().await,
        }
    }

    /// It ends like this.
    pub(crate) fn end(self, end: HoldEnd) {
        self.calls.finish(&self.id, end);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.calls.finish(&self.id, HoldEnd::Cancelled);
    }
}

/// Whether a request state is one of these.
pub(crate) fn is_ours(state: &str) -> bool {
    state.starts_with(STATE)
}

impl HeldCalls {
    /// None yet. `tell`: who is told of them.
    pub(crate) fn new(tell: impl Fn(HoldNews) + 'static) -> Rc<Self> {
        Rc::new(Self {
            calls: RefCell::default(),
            continuing: RefCell::default(),
            counts: ApprovalCounts::default(),
            tell: Box::new(tell),
        })
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.calls.borrow().len()
    }

    /// Those that wait for a decision, oldest first.
    pub(crate) fn undecided(&self, now: Instant) -> Vec<HeldCall> {
        self.tidy(now);
        let calls = self.calls.borrow();
        let open = calls.values().filter(|entry| !matches!(&entry.by, HeldBy::Away(away) if away.verdict.is_some()));
        let mut open: Vec<HeldCall> = open.map(|entry| entry.call.clone()).collect();
        open.sort_by(|one, other| (one.at_ms, &one.id).cmp(&(other.at_ms, &other.id)));
        open
    }

    /// The request of a call waits from now on. `call` gets its name here.
    pub(crate) fn hold(
        self: &Rc<Self>,
        mut call: HeldCall,
        party: SessionKey,
        until: Instant,
        now: Instant,
    ) -> Result<Hold, TooManyHeld> {
        let id = self.name(party, now)?;
        let (to, verdict) = oneshot::channel();
        call.id = id.to_string();
        self.add(id.clone(), HoldEntry { call, party, until, by: HeldBy::Request(to) });
        Ok(Hold { calls: self.clone(), id, verdict })
    }

    /// The client of a call is sent away with this question; returns the state that it brings back.
    pub(crate) fn send_away(
        &self,
        mut call: HeldCall,
        party: SessionKey,
        (wanted, binding, definition): (Bytes, RequestBinding, Option<[u8; 32]>),
        until: Instant,
        now: Instant,
    ) -> Result<Box<str>, TooManyHeld> {
        let id = self.name(party, now)?;
        let mut secret = [0; SECRET];
        getrandom::fill(&mut secret).map_err(|_| TooManyHeld::Nameless)?;
        let state: Box<str> = format!("{STATE}{}", BASE64_URL_SAFE_NO_PAD.encode(secret)).into();
        let away = AwayCall { state: state.clone(), wanted, binding, definition, verdict: None };
        call.id = id.to_string();
        self.add(id, HoldEntry { call, party, until, by: HeldBy::Away(Box::new(away)) });
        Ok(state)
    }

    /// A client comes back with this state.
    pub(crate) fn come_back(&self, state: &str, binding: &RequestBinding, now: Instant) -> ReturnedCall {
        self.tidy(now);
        let found = self.calls.borrow().iter().find_map(|(id, entry)| match &entry.by {
            HeldBy::Away(away) if *away.state == *state => {
                let AwayCall { wanted, binding, definition, verdict, .. } = &**away;
                Some((id.clone(), wanted.clone(), binding.clone(), *definition, verdict.clone()))
            }
            HeldBy::Away(_) | HeldBy::Request(_) => None,
        });
        match found {
            Some((_, wanted, bound, definition, verdict)) if bound == *binding => {
                ReturnedCall::Same { wanted, definition, verdict }
            }
            Some((id, _, bound, ..)) if bound.is_of_caller(binding) => {
                self.finish(&id, HoldEnd::Cancelled);
                ReturnedCall::Other
            }
            Some(_) | None => ReturnedCall::Unknown,
        }
    }

    /// The call of this state ends like this.
    pub(crate) fn finish_away(&self, state: &str, end: HoldEnd) {
        let is_it = |entry: &HoldEntry| matches!(&entry.by, HeldBy::Away(away) if *away.state == *state);
        let id = self.calls.borrow().iter().find(|(_, entry)| is_it(entry)).map(|(id, _)| id.clone());
        if let Some(id) = id {
            self.finish(&id, end);
        }
    }

    /// Somebody decides; how the wait ended by that. `None`: no such call waits for a decision.
    pub(crate) fn decide(&self, id: &str, verdict: ApprovalVerdict, now: Instant) -> Option<HoldEnd> {
        self.tidy(now);
        let end = match verdict.decision {
            ApprovalDecision::Refuse => HoldEnd::Refused,
            ApprovalDecision::Once | ApprovalDecision::Session | ApprovalDecision::Always => HoldEnd::Allowed,
        };
        let mut calls = self.calls.borrow_mut();
        let server = match calls.get_mut(id)? {
            HoldEntry { call, by: HeldBy::Away(away), .. } if away.verdict.is_none() => {
                away.verdict = Some(verdict);
                call.server.clone()
            }
            HoldEntry { by: HeldBy::Away(_), .. } => return None,
            HoldEntry { by: HeldBy::Request(_), .. } => {
                let HoldEntry { call, by, .. } = calls.remove(id)?;
                if let HeldBy::Request(to) = by {
                    let _ = to.send(verdict); // the request may be ending
                }
                call.server
            }
        };
        drop(calls);
        self.report(id, &server, end);
        Some(end)
    }

    /// An answer is to be kept.
    pub(crate) fn keep(&self, rule: ApprovalRule) {
        (self.tell)(HoldNews::Keep(Box::new(rule)));
    }

    /// A call that was agreed to has ended with this state of its server's, or without one: the same call may come back with it.
    pub(crate) fn continues_with(
        &self,
        state: Option<&str>,
        binding: RequestBinding,
        definition: Option<[u8; 32]>,
        (until, now): (Instant, Instant),
    ) {
        let mut continuing = self.continuing.borrow_mut();
        continuing.retain(|_, call| call.until > now);
        if continuing.len() < MAX_CONTINUING {
            continuing.insert(state_digest(state), ContinuingCall { binding, definition, until });
        }
    }

    /// Whether a call with this state goes on with one that was agreed to. Good once.
    pub(crate) fn is_continued(
        &self,
        state: Option<&str>,
        binding: &RequestBinding,
        definition: Option<[u8; 32]>,
        now: Instant,
    ) -> bool {
        let mut continuing = self.continuing.borrow_mut();
        let digest = state_digest(state);
        let is_it =
            |call: &ContinuingCall| call.binding == *binding && call.definition == definition && call.until > now;
        continuing.get(&digest).is_some_and(is_it) && continuing.remove(&digest).is_some()
    }

    /// Ends what waits longer than it may. (A request that waits sees to that itself.)
    pub(crate) fn tidy(&self, now: Instant) {
        let is_over = |entry: &HoldEntry| entry.until <= now && matches!(entry.by, HeldBy::Away(_));
        self.end_all(is_over, HoldEnd::Expired);
        self.continuing.borrow_mut().retain(|_, call| call.until > now);
    }

    /// Gives up the calls of those principals at those endpoints whose clients were sent away.
    pub(crate) fn give_up(&self, of: impl Fn(&Scope, &Principal) -> bool) {
        let is_gone = |entry: &HoldEntry| match &entry.by {
            HeldBy::Away(away) => of(away.binding.scope(), away.binding.principal()),
            HeldBy::Request(_) => false,
        };
        self.end_all(is_gone, HoldEnd::Cancelled);
        self.continuing.borrow_mut().retain(|_, call| !of(call.binding.scope(), call.binding.principal()));
    }

    /// Puts the counters on a page.
    pub(crate) fn register(&self, registry: &mut Registry) {
        self.counts.register(registry, self.len());
    }

    /// Removes the counters of servers that are gone.
    pub(crate) fn forget(&self, is_there: impl Fn(&str) -> bool) {
        self.counts.forget(is_there);
    }

    fn end_all(&self, which: impl Fn(&HoldEntry) -> bool, end: HoldEnd) {
        let over: Vec<_> =
            self.calls.borrow().iter().filter(|(_, entry)| which(entry)).map(|(id, _)| id.clone()).collect();
        over.iter().for_each(|id| self.finish(id, end));
    }

    fn name(&self, party: SessionKey, now: Instant) -> Result<Box<str>, TooManyHeld> {
        self.tidy(now);
        let calls = self.calls.borrow();
        if calls.len() >= MAX_HELD_CALLS {
            return Err(TooManyHeld::All);
        }
        if calls.values().filter(|entry| entry.party == party).count() >= MAX_HELD_CALLS_EACH {
            return Err(TooManyHeld::Each);
        }
        let mut random = [0; ID];
        getrandom::fill(&mut random).map_err(|_| TooManyHeld::Nameless)?;
        Ok(random.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
    }

    fn add(&self, id: Box<str>, entry: HoldEntry) {
        let call = entry.call.clone();
        self.counts.held(call.server.as_str());
        self.calls.borrow_mut().insert(id, entry);
        (self.tell)(HoldNews::Held(Box::new(call)));
    }

    fn finish(&self, id: &str, end: HoldEnd) {
        let Some(entry) = self.calls.borrow_mut().remove(id) else { return };
        let was_decided = matches!(&entry.by, HeldBy::Away(away) if away.verdict.is_some());
        if !was_decided {
            self.report(id, &entry.call.server, end);
        }
    }

    fn report(&self, id: &str, server: &ServerName, end: HoldEnd) {
        self.counts.ended(server.as_str(), end);
        (self.tell)(HoldNews::Ended(id.to_owned(), end));
    }
}

fn state_digest(state: Option<&str>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update([u8::from(state.is_some())]);
    hash.update(state.unwrap_or_default());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    const TIME: Duration = Duration::from_secs(60);

    type Told = Rc<RefCell<Vec<String>>>;

    fn calls() -> (Rc<HeldCalls>, Told) {
        let told = Told::default();
        let tell = told.clone();
        let held = HeldCalls::new(move |news| {
            tell.borrow_mut().push(match news {
                HoldNews::Held(call) => format!("held {}", call.tool),
                HoldNews::Ended(_, end) => end.as_str().to_owned(),
                HoldNews::Keep(rule) => format!("keep {}", rule.tool),
            });
        });
        (held, told)
    }

    fn call(tool: &str) -> HeldCall {
        HeldCall {
            id: String::new(),
            at_ms: 0,
            until_ms: 0,
            principal: None,
            client: None,
            endpoint: "all".into(),
            server: ServerName::try_from("s").expect("a name"),
            tool: tool.into(),
            arguments: "{}".into(),
            asks_user: false,
        }
    }

    fn binding(principal: Option<&str>, params: &str) -> RequestBinding {
        let server = ServerName::try_from("s").expect("a name");
        RequestBinding::new(&Scope::all(), &Principal::of(principal), &server, "tools/call", params.as_bytes())
    }

    fn verdict(decision: ApprovalDecision) -> ApprovalVerdict {
        ApprovalVerdict { decision, by: "operator".into() }
    }

    fn only(held: &HeldCalls) -> String {
        held.calls.borrow().keys().next().expect("one waits").to_string()
    }

    #[test]
    fn a_request_that_waits_hears_the_decision_once_and_one_that_leaves_is_removed() {
        let (held, told) = calls();
        let now = Instant::now();
        let mut hold = held.hold(call("a"), SessionKey([1; 16]), now + TIME, now).expect("room");
        let id = only(&held);
        assert_eq!(held.decide("other", verdict(ApprovalDecision::Once), now), None);
        assert_eq!(held.decide(&id, verdict(ApprovalDecision::Once), now), Some(HoldEnd::Allowed));
        assert_eq!(held.decide(&id, verdict(ApprovalDecision::Refuse), now), None, "it is decided");
        assert_eq!(hold.decided().now_or_never(), Some(verdict(ApprovalDecision::Once)));
        drop(hold);
        drop(held.hold(call("b"), SessionKey([1; 16]), now + TIME, now).expect("room"));
        held.hold(call("c"), SessionKey([1; 16]), now + TIME, now).expect("room").end(HoldEnd::Expired);
        assert_eq!(*told.borrow(), ["held a", "allowed", "held b", "cancelled", "held c", "expired"]);
        assert_eq!(held.len(), 0);
    }

    #[test]
    fn a_client_that_was_sent_away_comes_back_with_the_same_call_and_no_other() {
        let (held, told) = calls();
        let now = Instant::now();
        let away = |params: &str| {
            let of = (Bytes::from_static(b"{}"), binding(Some("ann"), params), Some([1; 32]));
            held.send_away(call("a"), SessionKey([1; 16]), of, now + TIME, now).expect("room")
        };
        let state = away("{}");
        assert!(is_ours(&state));
        let back = |who, params| held.come_back(&state, &binding(who, params), now);
        assert_eq!(back(Some("bob"), "{}"), ReturnedCall::Unknown, "it is ann's");
        let same =
            |verdict| ReturnedCall::Same { wanted: Bytes::from_static(b"{}"), definition: Some([1; 32]), verdict };
        assert_eq!(back(Some("ann"), " {}"), same(None));
        assert_eq!(held.decide(&only(&held), verdict(ApprovalDecision::Refuse), now), Some(HoldEnd::Refused));
        assert_eq!(back(Some("ann"), "{}"), same(Some(verdict(ApprovalDecision::Refuse))));
        held.finish_away(&state, HoldEnd::Refused);
        assert_eq!(back(Some("ann"), "{}"), ReturnedCall::Unknown, "it is used up");
        assert_eq!(*told.borrow(), ["held a", "refused"], "nothing is told twice");
        let state = away("{}");
        assert_eq!(held.come_back(&state, &binding(Some("ann"), r#"{"x":1}"#), now), ReturnedCall::Other);
        assert_eq!(held.come_back(&state, &binding(Some("ann"), "{}"), now), ReturnedCall::Unknown);
        let state = away("{}");
        assert_eq!(held.come_back(&state, &binding(Some("ann"), "{}"), now + TIME), ReturnedCall::Unknown, "too late");
        let state = away("{}");
        held.give_up(|_, principal| principal.name() == Some("ann"));
        assert_eq!(held.come_back(&state, &binding(Some("ann"), "{}"), now), ReturnedCall::Unknown);
    }

    #[test]
    fn one_client_leaves_room_for_others_and_all_have_a_bound() {
        let (held, _) = calls();
        let now = Instant::now();
        let hold = |party: u8| held.hold(call("a"), SessionKey([party; 16]), now + TIME, now);
        let first: Vec<_> = (0..MAX_HELD_CALLS_EACH).map(|_| hold(0).expect("room")).collect();
        assert_eq!(hold(0).err(), Some(TooManyHeld::Each));
        let parties = u8::try_from(MAX_HELD_CALLS / MAX_HELD_CALLS_EACH).expect("few");
        let others: Vec<_> = (1..parties)
            .flat_map(|party| (0..MAX_HELD_CALLS_EACH).map(move |_| party))
            .map(|party| hold(party).expect("room"))
            .collect();
        assert_eq!(hold(parties).err(), Some(TooManyHeld::All));
        drop(first);
        assert!(hold(parties).is_ok());
        drop(others);
    }

    #[test]
    fn a_call_that_was_agreed_to_goes_on_once_with_the_state_of_its_server() {
        let (held, _) = calls();
        let now = Instant::now();
        let mine = || binding(Some("ann"), "{}");
        held.continues_with(Some("s"), mine(), Some([1; 32]), (now + TIME, now));
        let goes_on = |state, by: &RequestBinding, definition, at| held.is_continued(state, by, definition, at);
        assert!(!goes_on(None, &mine(), Some([1; 32]), now));
        assert!(!goes_on(Some("s"), &binding(Some("bob"), "{}"), Some([1; 32]), now));
        assert!(!goes_on(Some("s"), &binding(Some("ann"), "[]"), Some([1; 32]), now));
        assert!(!goes_on(Some("s"), &mine(), Some([2; 32]), now), "the tool is another one now");
        assert!(!goes_on(Some("s"), &mine(), Some([1; 32]), now + TIME));
        assert!(goes_on(Some("s"), &mine(), Some([1; 32]), now));
        assert!(!goes_on(Some("s"), &mine(), Some([1; 32]), now), "once");
    }
}
