//! A server's turn to start: the wait for it, and how long the place is kept.

use std::{ffi::OsString, future::Future, pin::Pin, time::Instant};

use mcproxy_config::ServerConfig;
use mcproxy_ipc::{EndReason, LaunchSpec, disk::on_disk, find_program};

use crate::{
    start_place::StartPlace,
    start_queue::{StartQueue, StartRank, StartSlot},
    users::{ServerUser, Users},
};

/// A turn to start, and as whom.
pub(super) type Turn = (Option<StartSlot>, ServerUser);

/// One of the few places for servers in the beginning of their start.
pub(super) enum Slot {
    None,
    /// Or why there is nothing to start.
    Waiting(Pin<Box<dyn Future<Output = Result<Turn, EndReason>> + Send>>),
    Held(#[expect(dead_code, reason = "held for its drop")] Option<StartSlot>, StartPlace),
}

impl Slot {
    /// Looks whether there is something to start, and as whom, then waits for a place.
    pub(super) fn wait(starts: StartQueue, users: Users, config: &ServerConfig, rank: StartRank) -> Self {
        let (name, run_as) = (config.name.clone(), config.run_as.clone());
        let launch = config.launch_spec().cloned();
        Self::Waiting(Box::pin(async move {
            // The look-up of an account may ask the network.
            let user = on_disk(move || users.of_server(&name, run_as.as_deref())).await;
            let user = user.unwrap_or_else(|error| Err(error.to_string())).map_err(EndReason::Spawn)?;
            // Another user may reach what we cannot, and the other way round: its worker will see.
            if user.identity.is_none() {
                obstacle(launch).await?;
            }
            Ok((starts.place(rank).await, user))
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
    pub(super) async fn granted(&mut self) -> Result<Turn, EndReason> {
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
