//! The calls of one connection that wait for their answers, and whose they are: each log line and notification of a server asks whether
//! that is clear, so it is counted and not searched for.

use std::rc::Rc;

use mcproxy_ipc::SessionKey;
use mcproxy_mcp::OwnKeyMap;

use crate::gateway::base::queue::Queue;

/// Ids of calls that are over that may be kept, beside as many as clients have calls, before they are cleared away.
const SLACK: usize = 16;

/// The waiter of a call and its owner.
pub(super) struct Waiter<S> {
    pub(super) steps: Rc<Queue<S>>,
    pub(super) asker: CallOwner,
}

/// The owner of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallOwner {
    /// The session, if it belongs to one.
    Client(Option<SessionKey>),
    /// Nothing that happens in it concerns a client.
    Ourselves,
}

/// All of one connection. `S`: what happens to a call.
pub(super) struct InFlight<S> {
    waiters: OwnKeyMap<u64, Waiter<S>>,
    /// How many calls of clients there are of each session, and of none.
    of_sessions: OwnKeyMap<Option<SessionKey>, usize>,
    /// The sum of these.
    of_clients: usize,
    /// The calls of clients as they came. Those that are over go when they are the last, or too many; the last one never is.
    order: Vec<u64>,
}

impl<S> Default for InFlight<S> {
    fn default() -> Self {
        Self { waiters: OwnKeyMap::default(), of_sessions: OwnKeyMap::default(), of_clients: 0, order: Vec::new() }
    }
}

impl<S> InFlight<S> {
    /// Adds a call; `id` has to be greater than all before.
    pub(super) fn insert(&mut self, id: u64, waiter: Waiter<S>) {
        if let CallOwner::Client(session) = waiter.asker {
            *self.of_sessions.entry(session).or_default() += 1;
            self.of_clients += 1;
            self.order.push(id);
        }
        self.waiters.insert(id, waiter);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Waiter<S>> {
        let waiter = self.waiters.remove(&id)?;
        if let CallOwner::Client(session) = waiter.asker {
            self.of_clients -= 1;
            match self.of_sessions.get_mut(&session) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) | None => {
                    self.of_sessions.remove(&session);
                }
            }
            while self.order.pop_if(|last| !self.waiters.contains_key(last)).is_some() {}
            if self.order.len() > 2 * self.of_clients + SLACK {
                self.order.retain(|id| self.waiters.contains_key(id));
            }
        }
        Some(waiter)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Waiter<S>> {
        self.waiters.get(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(super) fn into_waiters(self) -> impl Iterator<Item = Waiter<S>> {
        self.waiters.into_values()
    }

    /// The only call of a client that is under way, or the last of those of one session if there are no others.
    pub(super) fn only_call(&self) -> Option<u64> {
        let mut sessions = self.of_sessions.iter();
        let (session, calls) = sessions.next()?;
        let is_clear = sessions.next().is_none() && (session.is_some() || *calls == 1);
        self.order.last().copied().filter(|_| is_clear)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waiter(asker: CallOwner) -> Waiter<()> {
        Waiter { steps: Rc::new(Queue::new(1, 1, |()| 0)), asker }
    }

    /// The same by a search of all calls.
    fn searched(under_way: &InFlight<()>) -> Option<u64> {
        let calls = || {
            under_way.waiters.iter().filter_map(|(id, waiter)| match waiter.asker {
                CallOwner::Client(session) => Some((*id, session)),
                CallOwner::Ourselves => None,
            })
        };
        let (last, session) = calls().max_by_key(|(id, _)| *id)?;
        calls().all(|(id, of)| id == last || (of.is_some() && of == session)).then_some(last)
    }

    fn asker() -> impl Strategy<Value = CallOwner> {
        prop_oneof![
            Just(CallOwner::Ourselves),
            Just(CallOwner::Client(None)),
            (0..2_u8).prop_map(|n| CallOwner::Client(Some(SessionKey([n; 16])))),
        ]
    }

    proptest! {
        #[test]
        fn whose_call_it_is_is_known_without_looking_at_all(
            steps in prop::collection::vec(prop_oneof![
                asker().prop_map(Ok),
                (0..1_000_usize).prop_map(Err),
                (0..1_000_usize).prop_map(Err),
            ], 0..200),
        ) {
            let mut under_way = InFlight::default();
            for (id, step) in (1_u64..).zip(steps) {
                match step {
                    Ok(asker) => under_way.insert(id, waiter(asker)),
                    Err(nth) => {
                        let ids: Vec<u64> = under_way.waiters.keys().copied().collect();
                        if !ids.is_empty() {
                            under_way.remove(ids[nth % ids.len()]);
                        }
                    }
                }
                prop_assert_eq!(under_way.only_call(), searched(&under_way));
                prop_assert!(under_way.order.len() <= 2 * under_way.of_clients + SLACK + 1);
            }
        }
    }

    #[test]
    fn one_call_that_takes_long_keeps_nothing_of_those_that_came_and_went() {
        let mut under_way = InFlight::default();
        under_way.insert(1, waiter(CallOwner::Client(None)));
        for id in 2..1_000 {
            under_way.insert(id, waiter(CallOwner::Client(None)));
            under_way.remove(id - 1).filter(|_| id > 2);
        }
        assert!(under_way.order.len() < 64, "{}", under_way.order.len());
    }
}
