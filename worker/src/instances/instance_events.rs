//! Messages of instances, and which session each concerns.

use std::time::Instant;

use bytes::Bytes;
use mcproxy_ipc::{
    CatalogueCounts, SessionKey,
    control::WorkerToSupervisor,
    data::{ServerEra, ServerTraits, WorkerToGateway},
};

use super::{
    call_number::of_gateway, client_profile::ClientProfile, host::InstanceHost, instance_handle::InstanceEvent,
    pool::Number,
};

impl InstanceHost {
    /// Takes in what an instance said.
    pub(super) fn heed(&mut self, number: Number, event: InstanceEvent, now: Instant) {
        match event {
            InstanceEvent::Reported(report) => self.reported(number, report, now),
            InstanceEvent::Said((message, payload)) => self.said(number, message, payload, now),
        }
    }

    fn reported(&mut self, number: Number, report: WorkerToSupervisor, now: Instant) {
        if !self.running.contains_key(&number) {
            return;
        }
        match report {
            WorkerToSupervisor::Spawned { pid } => {
                if let Some(running) = self.running.get_mut(&number) {
                    running.pid = Some(pid);
                }
                self.report_instances();
            }
            WorkerToSupervisor::Ready(description) => {
                self.pool.ready(number, now);
                if self.spec.reach.command().is_none() {
                    // Nothing was spawned that would have been told.
                    self.report_instances();
                }
                self.pool.learn(number, description.era);
                let counts = description.counts;
                if !self.is_open() {
                    self.offer.description.get_or_insert(description);
                }
                self.counted(number, counts);
                self.become_ready();
                if let Some(session) = self.pool.owner(number) {
                    self.hand_over(number, session);
                }
            }
            WorkerToSupervisor::Counts(counts) => self.counted(number, counts),
            // The start of an instance is that of the server until one is ready.
            WorkerToSupervisor::StartedAgain if !self.is_open() => self.report(WorkerToSupervisor::StartedAgain),
            WorkerToSupervisor::Installing if !self.is_open() => self.report(WorkerToSupervisor::Installing),
            WorkerToSupervisor::EraLearned(era) => {
                self.pool.correct(era);
                self.report(WorkerToSupervisor::EraLearned(era));
            }
            WorkerToSupervisor::ListFailures(failures) if self.is_measure(number) => {
                self.report(WorkerToSupervisor::ListFailures(failures));
            }
            // The same for all of them.
            WorkerToSupervisor::Degraded(missing) => self.report(WorkerToSupervisor::Degraded(missing)),
            WorkerToSupervisor::CacheCleared => {
                self.spec.may_clear_cache = false;
                self.report(WorkerToSupervisor::CacheCleared);
            }
            // Log records and the last word take other ways, and a run says nothing of the rest.
            WorkerToSupervisor::ListFailures(_)
            | WorkerToSupervisor::Instances(_)
            | WorkerToSupervisor::StartedAgain
            | WorkerToSupervisor::Installing
            | WorkerToSupervisor::NothingToDo
            | WorkerToSupervisor::Work
            | WorkerToSupervisor::WantCatalogueRoom
            | WorkerToSupervisor::CatalogueFilled
            | WorkerToSupervisor::Log(_)
            | WorkerToSupervisor::Pong(_)
            | WorkerToSupervisor::Ended(_) => {}
        }
    }

    /// Whether what an instance offers is what the server offers: it is like those for all, and no session has called it.
    pub(super) fn is_measure(&self, number: Number) -> bool {
        let untouched = self.running.get(&number).is_some_and(|running| !running.touched);
        untouched && self.pool.client_profile(number) == Some(&self.pool.eras().common())
    }

    fn counted(&mut self, number: Number, counts: CatalogueCounts) {
        if self.is_measure(number) && self.offer.counts != counts {
            self.offer.counts = counts;
            // Before that they come with `Ready`.
            if self.is_open() {
                self.report(WorkerToSupervisor::Counts(counts));
            }
        }
    }

    fn said(&mut self, number: Number, message: WorkerToGateway, payload: Bytes, now: Instant) {
        match message {
            WorkerToGateway::Catalogue { traits, .. } => {
                self.pool.learn(number, traits.era);
                self.offers(number, payload);
            }
            WorkerToGateway::Progress { id } => {
                if let Some(id) = self.in_flight(id) {
                    self.tell(WorkerToGateway::Progress { id }, payload);
                }
            }
            WorkerToGateway::Done { id: call, outcome, era } => {
                if let Some(id) = self.in_flight(call) {
                    self.close_flight(call, now);
                    self.tell(WorkerToGateway::Done { id, outcome, era }, payload);
                }
            }
            WorkerToGateway::NeedsInput { id: call, resumption } => {
                if let Some(id) = self.in_flight(call) {
                    let resumption = self.park(number, call, resumption, now);
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
            // Only one instance is asked for what the gateway waits for.
            WorkerToGateway::ListChecked { .. } => self.tell(message, payload),
            WorkerToGateway::ListChanged { method, .. } => {
                let session = self.pool.owner(number);
                if session.is_some() || self.is_measure(number) {
                    self.tell(WorkerToGateway::ListChanged { method, session }, payload);
                }
            }
            WorkerToGateway::Updated { .. } => {
                let session = self.pool.owner(number);
                if session.is_some() {
                    self.tell(WorkerToGateway::Updated { session }, payload);
                }
            }
            WorkerToGateway::TaskChanged { .. } => {
                let session = self.pool.owner(number);
                if session.is_some() {
                    self.tell(WorkerToGateway::TaskChanged { session }, payload);
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

    /// The catalogue of an instance is for its session, and counts for others as long as no session has called the instance.
    fn offers(&mut self, number: Number, payload: Bytes) {
        let others = self.running.values().filter_map(|running| running.catalogue.as_ref());
        let payload = self.offers.shared(payload, self.offer.catalogue.iter().chain(others));
        let is_measure = self.is_measure(number);
        let Some(running) = self.running.get_mut(&number) else { return };
        running.catalogue = Some(payload.clone());
        if let Some(client_profile) = self.pool.client_profile(number).filter(|_| !running.touched) {
            self.offers.note(client_profile, payload.clone());
        }
        if is_measure && self.offer.catalogue.as_ref() != Some(&payload) {
            self.keep(payload.clone());
            self.offer.catalogue = Some(payload.clone());
            self.offer.revision += 1;
            self.push_catalogue();
            self.become_ready();
            self.show_all();
        }
        if let Some(session) = self.pool.owner(number) {
            self.show_to(session, &payload);
        }
    }

    pub(super) fn push_catalogue(&mut self) {
        if let Some(catalogue) = self.offer.catalogue.clone() {
            let message = self.catalogue_for(None);
            self.tell(message, catalogue);
        }
    }

    /// The head of a catalogue for this session, or for all.
    pub(super) fn catalogue_for(&self, session: Option<SessionKey>) -> WorkerToGateway {
        let era = match self.pool.eras().common() {
            ClientProfile::Modern => ServerEra::Modern,
            ClientProfile::Legacy(_) => ServerEra::Legacy,
        };
        let asks = era == ServerEra::Modern || self.spec.features.is_none_or(|listed| !listed.is_empty());
        WorkerToGateway::Catalogue { revision: self.offer.revision, session, traits: ServerTraits { era, asks } }
    }
}
