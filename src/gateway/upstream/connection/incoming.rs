//! Messages of a worker on their way in: read on the budget, a large one when there is room for it, and passed on to the call that each
//! belongs to, or to those who listen.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use mcproxy_ipc::{
    FrameError, Part, Receiver,
    data::{Outcome, Resumption, ServerEra, WorkerToGateway},
};
use mcproxy_mcp::{ErrorCode, ErrorObject, ListKind};
use tokio::{
    task::yield_now,
    time::{Instant, sleep},
};

use super::{
    CallEnd, CallEvent, CallOutcome, Continuation, InputRequired, ParkedCall, ParkedEvent, UpstreamEvent,
    WorkerConnection,
};
use crate::gateway::base::budget::{Budget, Full, Held, Purpose};

/// How long a large message waits for room in the budget, which clients make by reading their answers. Meanwhile the gateway reads
/// nothing from its worker.
const ROOM_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the budget is checked for room.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Most messages other than answers that are taken from one worker before other tasks run.
const AT_ONCE: usize = 32;

impl WorkerConnection {
    /// Reads what the worker says until it goes away; then every call that still waits is lost.
    pub(crate) async fn read(
        self: Rc<Self>,
        mut receiver: Receiver<WorkerToGateway>,
        mut on_event: impl FnMut(UpstreamEvent),
    ) -> Result<(), FrameError> {
        let mut others = 0;
        let end = loop {
            match next(&mut receiver, &self.budget).await {
                Ok(Some((message, payload))) => {
                    others += usize::from(!matches!(message, WorkerToGateway::Done { .. }));
                    self.receive(message, payload, &mut on_event);
                    if others >= AT_ONCE {
                        others = 0;
                        yield_now().await;
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.writer.close();
        self.settle_all(|| CallEnd::Lost);
        self.places.send_away_waiting();
        end
    }

    fn receive(self: &Rc<Self>, message: WorkerToGateway, payload: Bytes, on_event: &mut impl FnMut(UpstreamEvent)) {
        match message {
            WorkerToGateway::Done { id, outcome, era } => self.settle(
                id,
                CallOutcome::Over(match outcome {
                    Outcome::Result => CallEnd::Result(payload, era),
                    Outcome::Error => CallEnd::Error(payload, era),
                    Outcome::Unsent => CallEnd::Unsent,
                }),
            ),
            WorkerToGateway::NeedsInput { id, resumption } => {
                let continuation = match resumption {
                    Resumption::Parked { handle } => {
                        let of = self.waiters.borrow().get(id).map(|waiter| waiter.asker);
                        Continuation::Parked(ParkedCall::new(self, handle, of))
                    }
                    Resumption::Again => Continuation::Again,
                };
                self.settle(id, CallOutcome::NeedsInput(InputRequired { payload, continuation }));
            }
            WorkerToGateway::Progress { id } => {
                self.report(id, CallEvent::Progress(payload));
            }
            WorkerToGateway::Starting { id } => {
                self.report(id, CallEvent::Starting(payload));
            }
            WorkerToGateway::Withdrawn { handle, key, reason } => {
                self.record_parked(handle, ParkedEvent::Withdrawn { key, reason });
            }
            WorkerToGateway::ParkedDone { handle } => self.record_parked(handle, ParkedEvent::Done),
            WorkerToGateway::Notification { method, id, session } => {
                // With exactly one call under way there is no doubt whose it is.
                let call =
                    if session.is_some() { id } else { self.only_call().filter(|_| self.parked.borrow().is_empty()) };
                let sent =
                    call.is_some_and(|id| self.report(id, CallEvent::Notification(method.clone(), payload.clone())));
                if !sent {
                    on_event(UpstreamEvent::Notification(method, payload, session));
                }
            }
            WorkerToGateway::Log { id: Some(id), .. } => {
                self.report(id, CallEvent::Log(payload));
            }
            WorkerToGateway::Log { id: None, session: Some(session) } => {
                on_event(UpstreamEvent::Log(payload, Some(session)))
            }
            WorkerToGateway::Log { id: None, session: None } => match self.only_call() {
                // A log line carries nothing that leads to a call; with one under way, or those of one session, it is clear whose it is.
                // Others hear it, too, and not through that call's queue, which may be full.
                Some(id) => {
                    let caller = self.caller(id);
                    self.report(id, CallEvent::Log(payload.clone()));
                    on_event(UpstreamEvent::LikelyLog(payload, caller));
                }
                None => on_event(UpstreamEvent::Log(payload, None)),
            },
            WorkerToGateway::ListChecked { method } => {
                if let Some(kind) = ListKind::of_method(&method) {
                    self.checks.answer(kind);
                }
            }
            WorkerToGateway::ListChanged { method, session } => {
                if let Some(kind) = ListKind::of_method(&method) {
                    on_event(UpstreamEvent::ListChanged(kind, session));
                }
            }
            WorkerToGateway::Updated { session } => on_event(UpstreamEvent::Updated(payload, session)),
            WorkerToGateway::TaskChanged { session } => on_event(UpstreamEvent::TaskChanged(payload, session)),
            WorkerToGateway::PageDone { session } => on_event(UpstreamEvent::PageDone(payload, session)),
            WorkerToGateway::Catalogue { traits, session, .. } => {
                self.traits.set(traits);
                on_event(match session {
                    Some(session) => UpstreamEvent::OwnCatalogue(payload, session),
                    None => UpstreamEvent::Catalogue(payload),
                });
            }
        }
    }

    fn record_parked(&self, handle: u64, event: ParkedEvent) {
        if let Some(state) = self.parked.borrow().get(&handle) {
            state.record(event);
        }
    }
}

/// The next message. A large one for which there is no room is replaced by an error for its caller, or dropped if it answers
/// no call.
async fn next(
    receiver: &mut Receiver<WorkerToGateway>,
    budget: &Budget,
) -> Result<Option<(WorkerToGateway, Bytes)>, FrameError> {
    loop {
        let (message, held, payload) = match receiver.next_part().await? {
            None => return Ok(None),
            // The gateway keeps the questions for a client until it has answered.
            Some(Part::Whole(message @ WorkerToGateway::NeedsInput { .. }, payload)) => {
                (message, budget.take(Purpose::Questions, payload.len()), payload)
            }
            Some(Part::Whole(message, payload)) => return Ok(Some((message, payload))),
            // One for each server and each session that is told apart, and bounded by the worker: without it no call could be made.
            Some(Part::Large(message @ WorkerToGateway::Catalogue { .. }, _)) => {
                return Ok(Some((message, receiver.payload(true).await?)));
            }
            Some(Part::Large(message, length)) => {
                let held = match message {
                    WorkerToGateway::NeedsInput { .. } => budget.take(Purpose::Questions, length),
                    _ => room(budget, length).await,
                };
                let payload = receiver.payload(held.is_ok()).await?;
                (message, held, payload)
            }
        };
        match held {
            Ok(held) => return Ok(Some((message, held.attach(payload)))),
            Err(full) => {
                if let Some(instead) = instead(message, full) {
                    return Ok(Some(instead));
                }
            }
        }
    }
}

async fn room(budget: &Budget, length: usize) -> Result<Held, Full> {
    let end = Instant::now() + ROOM_TIMEOUT;
    loop {
        match budget.take(Purpose::Frames, length) {
            // Only answers that clients are about to read, or will lose, make room soon.
            Err(full) if Instant::now() >= end || !budget.may_have_room(length) => return Err(full),
            Err(_) => sleep(CHECK_INTERVAL).await,
            Ok(held) => return Ok(held),
        }
    }
}

/// The message in place of one that found no room.
fn instead(message: WorkerToGateway, full: Full) -> Option<(WorkerToGateway, Bytes)> {
    match message {
        WorkerToGateway::Done { id, .. } | WorkerToGateway::NeedsInput { id, .. } => {
            let error = ErrorObject::new(ErrorCode::INTERNAL_ERROR, format_args!("the server answered, and {full}"));
            let error = Bytes::from(error.to_raw().get().to_owned());
            Some((WorkerToGateway::Done { id, outcome: Outcome::Error, era: ServerEra::default() }, error))
        }
        _ => None,
    }
}
