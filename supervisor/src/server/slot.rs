//! A server's turn to start: the wait for it, and how long the place is kept.

use std::{ffi::OsString, future::Future, pin::Pin, time::Instant};

use mcproxy_ipc::{EndReason, LaunchSpec, disk::on_disk, find_program};

use crate::{
    start_place::StartPlace,
    start_queue::{StartQueue, StartRank, StartSlot},
};

/// One of the few places for servers in the beginning of their start.
pub(super) enum Slot {
    None,
    /// Or why there is nothing to start.
    Waiting(Pin<Box<dyn Future<Output = Result<Option<StartSlot>, EndReason>> + Send>>),
    Held(#[expect(dead_code, reason = "held for its drop")] Option<StartSlot>, StartPlace),
}

impl Slot {
    /// Looks whether there is something to start, then waits for a place.
    pub(super) fn wait(starts: StartQueue, launch: Option<LaunchSpec>, rank: StartRank) -> Self {
        Self::Waiting(Box::pin(async move {
            obstacle(launch).await?;
            Ok(starts.place(rank).await)
        }))
    }

    /// When it is to be looked at.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Held(_, place) => Some(place.due()),
            Self::None | Self::Waiting(_) => None,
        }
    }

    /// The result of the wait. Cancel safe.
    pub(super) async fn granted(&mut self) -> Result<Option<StartSlot>, EndReason> {
        match self {
            Self::Waiting(place) => place.await,
            Self::None | Self::Held(..) => std::future::pending().await,
        }
    }
}

/// The fault of the command, as far as it can be seen without starting it. A fault that appears before the start is
/// found by the worker.
async fn obstacle(launch: Option<LaunchSpec>) -> Result<(), EndReason> {
    let Some(launch) = launch else { return Ok(()) };
    let look = move || {
        let path = launch.variable("PATH").map(|path| path.expose().into());
        let path: Option<OsString> = path.or_else(|| std::env::var_os("PATH"));
        find_program(&launch, path.as_deref()).map(|_| ())
    };
    // A directory of the PATH may lie on a slow disk, and the heartbeats of others should not wait for that.
    on_disk(look).await.unwrap_or(Ok(()))
}
