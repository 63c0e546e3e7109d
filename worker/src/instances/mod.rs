//! A server that has an instance for each session (`instances: per-session`).
//!
//! One host owns the gateway's connection and the supervisor's orders, and every instance is a run of its own,
//! connected to the host by channels. So the path of a server that all share knows nothing of sessions, and an instance that
//! ends takes nothing with it but its own calls. The worker ends when it is told to, when its first instance does not become
//! ready, or when instances cannot be started any more.
//!
//! What the server offers is what an instance offers that was told of everything a client may be able to do, and that no
//! session has called yet: what a session does to its own instance concerns no other. The session itself is shown what its
//! own instance offers (`docs/decisions/0084-lists-of-ones-own-instance.md`).

mod call_number;
mod calls;
mod client_profile;
mod faults;
mod gateway;
mod host;
mod instance;
mod instance_events;
mod instance_handle;
mod list_waits;
mod offers;
mod parked;
mod pool;
#[cfg(test)]
mod pool_tests;
mod ports;
mod subscription_memory;
mod waiting;

use mcproxy_ipc::{Ended, InstanceRules, WorkerSpec};
use tokio::task::LocalSet;

pub(crate) use self::ports::HostPorts;

/// Runs instances of the server until it is told to stop or cannot go on, and leaves nothing of them behind.
pub(crate) async fn run(spec: WorkerSpec, rules: InstanceRules, ports: HostPorts) -> Ended {
    // A run stays on the thread that starts its process, and so do all of them.
    LocalSet::new().run_until(async { host::InstanceHost::new(spec, rules, ports).serve().await }).await
}
