//! Package runners: `npx`, `uvx` and their like install what they start, at the first start and into caches that all their
//! starts share. While they do, the start timeout waits (`progress.rs`, `watch.rs`); two installations never write into one entry
//! of `npx`'s cache (`turn.rs`), and an entry that an interrupted one left broken is removed once
//! (`entry.rs`, known by what `complaint.rs` reads).

mod complaint;
mod entry;
mod lock;
mod npx;
mod package_runner;
mod progress;
mod watch;

use std::time::Duration;

/// However long an installation goes on: after so long, or `startTimeout` if that is longer, the start has failed.
pub(crate) use mcproxy_ipc::INSTALL_LIMIT;

pub(crate) use self::{
    entry::{CacheEntry, as_path, broken_entry},
    lock::{InstallLock, LockWait},
    watch::watch,
};

/// Time between two checks of what an installation does.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
