//! Sessions that are about to list what the server offers: they are shown what an instance of their own would offer.

use std::time::Instant;

use bytes::Bytes;
use mcproxy_ipc::{
    SessionKey,
    data::{CallContext, Outcome, ServerEra, WorkerToGateway},
};

use super::{client_profile::ClientProfile, host::InstanceHost};

/// Sessions that may wait at once; one beyond is answered at once with what is known.
const WAITING: usize = 1024;

/// One that waits.
pub(super) struct ListWait {
    /// The gateway's number of it.
    pub(super) id: u64,
    session: SessionKey,
    client_profile: ClientProfile,
}

/// The state of a session's lists.
enum Known {
    /// This; or nothing, and nothing will be.
    Now(Option<Bytes>),
    /// An instance that starts will tell.
    Later,
}

impl InstanceHost {
    /// A session is about to list. An instance is started if none like its own was heard of; its first call finds it.
    pub(super) fn meet(&mut self, id: u64, context: &CallContext, now: Instant) {
        let Some(session) = context.session.filter(|_| !self.is_ending()) else { return self.met(id) };
        let wait = ListWait { id, session, client_profile: self.client_profile(context) };
        if self.list_waits.len() >= WAITING {
            return self.met(id);
        }
        if matches!(self.known(&wait), Known::Now(None)) {
            let mut actions = Vec::new();
            self.pool.show(session, &wait.client_profile, now, &mut actions);
            self.perform(actions);
        }
        self.list_waits.push(wait);
        self.answer_list_waits();
    }

    /// Answers those of which enough is known.
    pub(super) fn answer_list_waits(&mut self) {
        for wait in std::mem::take(&mut self.list_waits) {
            match self.known(&wait) {
                Known::Later if !self.is_ending() => self.list_waits.push(wait),
                Known::Later | Known::Now(None) => self.met(wait.id),
                Known::Now(Some(catalogue)) => {
                    self.show_to(wait.session, &catalogue);
                    self.met(wait.id);
                }
            }
        }
    }

    /// The session is over: nothing is shown to it any more.
    pub(super) fn forget_list_waits(&mut self, session: SessionKey) {
        let gone: Vec<u64> = of_session(&mut self.list_waits, session).map(|wait| wait.id).collect();
        gone.into_iter().for_each(|id| self.met(id));
    }

    fn known(&self, wait: &ListWait) -> Known {
        if let Some(instance) = self.pool.instance_of(wait.session) {
            let catalogue = self.running.get(&instance).and_then(|running| running.catalogue.clone());
            return if catalogue.is_none() { Known::Later } else { Known::Now(catalogue) };
        }
        let eras = self.pool.eras();
        let client_profile = eras.fitting(&wait.client_profile);
        if client_profile == eras.common() && self.offer.catalogue.is_some() {
            return Known::Now(self.offer.catalogue.clone());
        }
        match self.offers.of(&client_profile) {
            None if self.pool.is_starting(&client_profile) => Known::Later,
            known => Known::Now(known.cloned()),
        }
    }

    /// A session is offered this.
    pub(super) fn show_to(&mut self, session: SessionKey, catalogue: &Bytes) {
        if !self.is_linked() {
            return;
        }
        if let Some(payload) = self.offers.tell(session, catalogue, self.offer.catalogue.as_ref()) {
            let message = self.catalogue_for(Some(session));
            self.tell(message, payload);
        }
    }

    /// All sessions that have an instance are shown what it offers.
    pub(super) fn show_all(&mut self) {
        let owned = self
            .running
            .iter()
            .filter_map(|(number, running)| Some((self.pool.owner(*number)?, running.catalogue.clone()?)));
        for (session, catalogue) in owned.collect::<Vec<_>>() {
            self.show_to(session, &catalogue);
        }
    }

    fn met(&mut self, id: u64) {
        let done = WorkerToGateway::Done { id, outcome: Outcome::Result, era: ServerEra::Legacy };
        self.tell(done, Bytes::from_static(b"{}"));
    }
}

/// Takes out those of one session.
fn of_session(list_waits: &mut Vec<ListWait>, session: SessionKey) -> impl Iterator<Item = ListWait> {
    list_waits.extract_if(.., move |wait| wait.session == session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_over_waits_for_nothing() {
        let session = |n: u128| SessionKey(n.to_be_bytes());
        let wait = |id, n| ListWait { id, session: session(n), client_profile: ClientProfile::Modern };
        let mut list_waits = vec![wait(1, 7), wait(2, 8), wait(3, 7)];
        let gone: Vec<u64> = of_session(&mut list_waits, session(7)).map(|wait| wait.id).collect();
        assert_eq!((gone, list_waits.len()), (vec![1, 3], 1));
    }
}
