//! What instances say, and whom it concerns.

use std::time::Instant;

use bytes::Bytes;
use mcproxy_ipc::{
    CatalogueCounts, EraEvidence, EraRule,
    control::WorkerToSupervisor,
    data::{ServerEra, ServerTraits, WorkerToGateway},
};

use super::{
    calls::of_gateway,
    host::{Host, Running},
    pool::Number,
    tend::News,
};

impl Host {
    /// Takes in what an instance said.
    pub(super) fn heed(&mut self, number: Number, news: News) {
        match news {
            News::Reported(report) => self.reported(number, report),
            News::Said((message, payload)) => self.said(number, message, payload),
        }
    }

    fn reported(&mut self, number: Number, report: WorkerToSupervisor) {
        let Some(running) = self.running.get_mut(&number) else { return };
        let untouched = running.is_measure();
        match report {
            WorkerToSupervisor::Spawned { pid } => {
                running.pid = Some(pid);
                self.report_instances();
            }
            WorkerToSupervisor::Ready(description) => {
                self.pool.ready(number, Instant::now());
                if description.era != ServerEra::Legacy {
                    self.pool.suits_all(number);
                }
                let counts = description.counts;
                self.learned(description.era, description.evidence);
                if !self.is_open() {
                    self.offer.description.get_or_insert(description);
                }
                self.counted(untouched, counts);
                self.open_door();
                if let Some(session) = self.pool.owner(number) {
                    self.hand_over(number, session);
                }
            }
            WorkerToSupervisor::Counts(counts) => self.counted(untouched, counts),
            // The start of an instance is that of the server until one is ready.
            WorkerToSupervisor::StartedAgain if !self.is_open() => self.report(WorkerToSupervisor::StartedAgain),
            WorkerToSupervisor::Installing if !self.is_open() => self.report(WorkerToSupervisor::Installing),
            WorkerToSupervisor::EraLearned(era) => {
                self.expect_era(era);
                self.report(WorkerToSupervisor::EraLearned(era));
            }
            WorkerToSupervisor::ListFailures(failures) if untouched => {
                self.report(WorkerToSupervisor::ListFailures(failures));
            }
            WorkerToSupervisor::CacheCleared => {
                self.spec.may_clear_cache = false;
                self.report(WorkerToSupervisor::CacheCleared);
            }
            // Log records and the last word take other ways, and the rest is not an incarnation's to say.
            WorkerToSupervisor::ListFailures(_)
            | WorkerToSupervisor::Instances(_)
            | WorkerToSupervisor::StartedAgain
            | WorkerToSupervisor::Installing
            | WorkerToSupervisor::NothingToDo
            | WorkerToSupervisor::Work
            | WorkerToSupervisor::Log(_)
            | WorkerToSupervisor::Pong(_)
            | WorkerToSupervisor::Ended(_) => {}
        }
    }

    /// The first instance found out what the server speaks; those after it begin with that, unless it was silent.
    fn learned(&mut self, era: ServerEra, evidence: EraEvidence) {
        self.era = era;
        if evidence != EraEvidence::Silence {
            self.expect_era(era);
        }
    }

    fn expect_era(&mut self, era: ServerEra) {
        if let EraRule::Auto { known } = &mut self.spec.era {
            *known = Some(era);
        }
    }

    fn counted(&mut self, untouched: bool, counts: CatalogueCounts) {
        if untouched && self.offer.counts != counts {
            self.offer.counts = counts;
            // Before that they come with `Ready`.
            if self.is_open() {
                self.report(WorkerToSupervisor::Counts(counts));
            }
        }
    }

    fn said(&mut self, number: Number, message: WorkerToGateway, payload: Bytes) {
        match message {
            WorkerToGateway::Catalogue { .. } => self.offers(number, payload),
            WorkerToGateway::Progress { id } => {
                if let Some(id) = self.in_flight(id) {
                    self.tell(WorkerToGateway::Progress { id }, payload);
                }
            }
            WorkerToGateway::Done { id: call, outcome } => {
                if let Some(id) = self.in_flight(call) {
                    self.close_flight(call, Instant::now());
                    self.tell(WorkerToGateway::Done { id, outcome }, payload);
                }
            }
            WorkerToGateway::NeedsInput { id: call, resumption } => {
                if let Some(id) = self.in_flight(call) {
                    let resumption = self.park(number, call, resumption);
                    self.tell(WorkerToGateway::NeedsInput { id, resumption }, payload);
                }
            }
            WorkerToGateway::Log { .. } => {
                // With one call of the session under way there is no doubt whose it is.
                let session = self.pool.owner(number);
                let id = self.only_flight(number).and_then(|call| of_gateway(call, self.epoch));
                if session.is_some() {
                    self.tell(WorkerToGateway::Log { id, session }, payload);
                }
            }
            WorkerToGateway::Withdrawn { handle, key, reason } => {
                self.of_parked(number, handle, |handle| WorkerToGateway::Withdrawn { handle, key, reason });
            }
            WorkerToGateway::ParkedDone { handle } => {
                self.of_parked(number, handle, |handle| WorkerToGateway::ParkedDone { handle });
            }
            WorkerToGateway::Notification { method, .. } => {
                let session = self.pool.owner(number);
                let id = self.only_flight(number).and_then(|call| of_gateway(call, self.epoch));
                if session.is_some() {
                    self.tell(WorkerToGateway::Notification { method, id, session }, payload);
                }
            }
            // That is said here, of calls that have no instance.
            WorkerToGateway::Starting { .. } => {}
            // What the gateway waits for is asked of one instance only.
            WorkerToGateway::ListChecked { .. } => self.tell(message, payload),
            WorkerToGateway::ListChanged { method, .. } => {
                let session = self.pool.owner(number);
                if session.is_some() || self.running.get(&number).is_some_and(Running::is_measure) {
                    self.tell(WorkerToGateway::ListChanged { method, session }, payload);
                }
            }
            WorkerToGateway::Updated { .. } => {
                let session = self.pool.owner(number);
                if session.is_some() {
                    self.tell(WorkerToGateway::Updated { session }, payload);
                }
            }
            WorkerToGateway::PageDone { .. } => {
                let session = self.pool.owner(number);
                if session.is_some() {
                    self.tell(WorkerToGateway::PageDone { session }, payload);
                }
            }
        }
    }

    /// The gateway's number of a call that is still in flight on its connection.
    fn in_flight(&self, call: u64) -> Option<u64> {
        self.flights.get(&call).and_then(|_| of_gateway(call, self.epoch))
    }

    fn only_flight(&self, number: Number) -> Option<u64> {
        let flights = &self.running.get(&number)?.flights;
        flights.first().copied().filter(|_| flights.len() == 1)
    }

    /// What an instance offers counts for all as long as no session has called it.
    fn offers(&mut self, number: Number, payload: Bytes) {
        if !self.running.get(&number).is_some_and(Running::is_measure)
            || self.offer.catalogue.as_ref() == Some(&payload)
        {
            return;
        }
        self.keep(payload.clone());
        self.offer.catalogue = Some(payload);
        self.offer.revision += 1;
        self.push_catalogue();
        self.open_door();
    }

    pub(super) fn push_catalogue(&mut self) {
        if let Some(catalogue) = self.offer.catalogue.clone() {
            let asks = self.era == ServerEra::Modern || self.spec.features.is_none_or(|listed| !listed.is_empty());
            let traits = ServerTraits { era: self.era, asks };
            self.tell(WorkerToGateway::Catalogue { revision: self.offer.revision, traits }, catalogue);
        }
    }
}
