//! Messages of a worker on their way in, on the budget: a large one is read when there is room for it.

use std::time::Duration;

use bytes::Bytes;
use mcproxy_ipc::{
    FrameError, Part, Receiver,
    data::{Outcome, ServerEra, WorkerToGateway},
};
use mcproxy_mcp::{ErrorCode, ErrorObject};
use tokio::time::{Instant, sleep};

use crate::gateway::base::budget::{Budget, Full, Held, Purpose};

/// How long a large message waits for room in the budget, which clients make by reading their answers. Meanwhile the gateway reads
/// nothing from its worker.
const ROOM_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the budget is checked for room.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// The next message. A large one for which there is no room is replaced by an error for its caller, or dropped if it answers
/// no call.
pub(super) async fn next(
    receiver: &mut Receiver<WorkerToGateway>,
    budget: &Budget,
) -> Result<Option<(WorkerToGateway, Bytes)>, FrameError> {
    loop {
        let (message, held, payload) = match receiver.next_part().await? {
            None => return Ok(None),
            // What a client is asked is kept until it has answered.
            Some(Part::Whole(message @ WorkerToGateway::NeedsInput { .. }, payload)) => {
                (message, budget.take(Purpose::Questions, payload.len()), payload)
            }
            Some(Part::Whole(message, payload)) => return Ok(Some((message, payload))),
            // One for each server and each session that is told apart, and bounded by the worker: without it nobody could call.
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
            // What clients are about to take, or will lose, makes room soon. Nothing else does.
            Err(full) if Instant::now() >= end || !budget.may_have_room(length) => return Err(full),
            Err(_) => sleep(CHECK_INTERVAL).await,
            Ok(held) => return Ok(held),
        }
    }
}

/// What is said in the place of a message that found no room.
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
