//! How a run and its session agree about the server's process: whether it may end, begins anew, has read its questions.

use std::time::Instant;

use bytes::Bytes;
use mcproxy_ipc::{
    Activity,
    data::{Outcome, WorkerToGateway},
};

use super::{
    Session, change_stream::ChangeStream, context::SessionPhase, opening::find_out, probe::Probe, question::ProbeStep,
    silence::Look,
};

impl Session {
    /// Whether the end of the server now may come of being asked what it speaks, or was wanted because of that: then
    /// [`Session::begin_again`] goes on with another process of it.
    pub(crate) fn excuses_an_end(&self) -> bool {
        match self.context.phase {
            SessionPhase::Opening { .. } | SessionPhase::Listing { .. } => self.opening.probe.excuses_an_end(),
            SessionPhase::Ending => self.opening.probe.is_spoiled(),
            SessionPhase::Serving => false,
        }
    }

    /// Goes on with a new process of the server, which was not asked anything yet and has the whole time of a start.
    pub(crate) fn begin_again(&mut self, now: Instant) {
        let until = self.opening.until(now);
        let begun = self.opening.probe.begin_again(now);
        self.restart(until, begun);
    }

    /// Begins anew with a new process, as if there had been none: the one before said nothing of the server.
    pub(crate) fn begin_afresh(&mut self, until: Instant, now: Instant) {
        let begun = self.opening.probe.begin_afresh(now);
        self.restart(until, begun);
    }

    /// Nothing that the last process said counts for the next one.
    fn restart(&mut self, until: Instant, (probe, next): (Probe, ProbeStep)) {
        self.context.forget_process();
        self.opening.forget_process();
        self.lists.forget_process();
        self.change_stream = ChangeStream::default();
        self.calls.forget_process();
        self.context.phase = SessionPhase::Opening { until };
        self.opening.probe = probe;
        find_out(&mut self.context, next);
    }

    /// The server's process has ended; what it said before may still be on its way. Calls that come now are not for it.
    pub(crate) fn gone(&mut self) {
        self.context.gone = true;
    }

    /// A request was never sent to the server. If it is a call, another generation may have it.
    pub(crate) fn unsent(&mut self, upstream: u64) {
        let Self { context: cx, calls, .. } = self;
        if let Some(id) = calls.table.close(upstream) {
            cx.tell(WorkerToGateway::Done { id, outcome: Outcome::Unsent, era: cx.era }, Bytes::new());
        }
    }

    /// Gives a server that is starting until then; false: it is not starting.
    pub(crate) fn extend_start(&mut self, later: Instant) -> bool {
        match &mut self.context.phase {
            SessionPhase::Opening { until } | SessionPhase::Listing { until } => {
                *until = later.max(*until);
                true
            }
            SessionPhase::Serving | SessionPhase::Ending => false,
        }
    }

    /// Whether the server is not ready yet.
    pub(crate) fn is_starting(&self) -> bool {
        self.context.is_opening() || self.context.is_listing()
    }

    /// Whether it goes on with this process.
    pub(crate) fn is_going_on(&self) -> bool {
        !self.context.is_ending()
    }

    /// Whether it matters that the server has read all that was written to it; then that is to be told.
    pub(crate) fn waits_for_reading(&self) -> bool {
        self.open_probe().is_some_and(Probe::waits_for_reading)
    }

    /// It has.
    pub(crate) fn has_read(&mut self, now: Instant) {
        self.opening.probe.has_read(now);
    }

    /// The check that is due now.
    pub(crate) fn look(&self, now: Instant) -> Look {
        self.open_probe().map_or(Look::No, |probe| probe.look(now))
    }

    /// Takes in the activity of the server's processes up to now.
    pub(crate) fn looked_at(&mut self, activity: Activity, now: Instant) {
        self.opening.probe.looked_at(activity, now);
    }

    /// Whether the server is asked what it speaks, has read that, and nothing is decided: what it writes to stderr meanwhile
    /// is about the question.
    pub(crate) fn is_asking(&self) -> bool {
        self.open_probe().is_some_and(Probe::is_asking)
    }

    /// How it was found out what the server speaks, as far as it was.
    pub(crate) fn story(&self) -> String {
        self.opening.probe.story()
    }

    /// The probe, while it is not known what the server speaks.
    pub(super) fn open_probe(&self) -> Option<&Probe> {
        self.context.is_opening().then_some(&self.opening.probe)
    }
}
