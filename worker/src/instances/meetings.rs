//! Sessions that are about to list what the server offers: they are shown what an instance of their own would offer.

use std::time::Instant;

use bytes::Bytes;
use mcproxy_ipc::{
    SessionKey,
    data::{CallContext, Outcome, ServerEra, WorkerToGateway},
};

use super::{face::Face, host::Host};

/// Sessions that may wait at once; one beyond is answered at once with what is known.
const WAITING: usize = 1024;

/// One that waits.
pub(super) struct Meeting {
    /// The gateway's number of it.
    pub(super) id: u64,
    session: SessionKey,
    face: Face,
}

/// What is known of what a session is offered.
enum Known {
    /// This; or nothing, and nothing will be.
    Now(Option<Bytes>),
    /// An instance that starts will tell.
    Later,
}

impl Host {
    /// A session is about to list. An instance is started if none like its own was heard of; its first call finds it.
    pub(super) fn meet(&mut self, id: u64, context: &CallContext, now: Instant) {
        let Some(session) = context.session.filter(|_| !self.is_ending()) else { return self.met(id) };
        let meeting = Meeting { id, session, face: self.face(context) };
        if self.meetings.len() >= WAITING {
            return self.met(id);
        }
        if matches!(self.known(&meeting), Known::Now(None)) {
            let mut actions = Vec::new();
            self.pool.show(session, &meeting.face, now, &mut actions);
            self.perform(actions);
        }
        self.meetings.push(meeting);
        self.answer_meetings();
    }

    /// Answers those of which enough is known.
    pub(super) fn answer_meetings(&mut self) {
        for meeting in std::mem::take(&mut self.meetings) {
            match self.known(&meeting) {
                Known::Later if !self.is_ending() => self.meetings.push(meeting),
                Known::Later | Known::Now(None) => self.met(meeting.id),
                Known::Now(Some(catalogue)) => {
                    self.show_to(meeting.session, &catalogue);
                    self.met(meeting.id);
                }
            }
        }
    }

    /// The session is over: nothing is shown to it any more.
    pub(super) fn forget_meetings(&mut self, session: SessionKey) {
        let gone: Vec<u64> = of_session(&mut self.meetings, session).map(|meeting| meeting.id).collect();
        gone.into_iter().for_each(|id| self.met(id));
    }

    fn known(&self, meeting: &Meeting) -> Known {
        if let Some(instance) = self.pool.instance_of(meeting.session) {
            let catalogue = self.running.get(&instance).and_then(|running| running.catalogue.clone());
            return if catalogue.is_none() { Known::Later } else { Known::Now(catalogue) };
        }
        let eras = self.pool.eras();
        let face = eras.fitting(&meeting.face);
        if face == eras.common() && self.offer.catalogue.is_some() {
            return Known::Now(self.offer.catalogue.clone());
        }
        match self.offers.of(&face) {
            None if self.pool.is_starting(&face) => Known::Later,
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
fn of_session(meetings: &mut Vec<Meeting>, session: SessionKey) -> impl Iterator<Item = Meeting> {
    meetings.extract_if(.., move |meeting| meeting.session == session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_over_waits_for_nothing() {
        let session = |n: u128| SessionKey(n.to_be_bytes());
        let meeting = |id, n| Meeting { id, session: session(n), face: Face::Modern };
        let mut meetings = vec![meeting(1, 7), meeting(2, 8), meeting(3, 7)];
        let gone: Vec<u64> = of_session(&mut meetings, session(7)).map(|meeting| meeting.id).collect();
        assert_eq!((gone, meetings.len()), (vec![1, 3], 1));
    }
}
