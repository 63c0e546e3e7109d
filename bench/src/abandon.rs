//! Clients that initialise and are never heard of again.

use std::{io, time::Duration};

use serde::Serialize;

use crate::{
    channel::{AskError, Target},
    cost::Watch,
    footprint,
};

/// For the server to see the closed connections.
const SETTLE: Duration = Duration::from_millis(500);
/// One session takes no longer, or the rest is given up.
const DEADLINE: Duration = Duration::from_secs(10);

/// What the sessions left behind. Memory in KiB.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Left {
    sessions: u64,
    extra_processes: i64,
    /// Of everything but the fixture servers.
    gateway_rss_growth_kib: i64,
    all_pss_growth_kib: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_problem: Option<String>,
}

/// Opens the sessions one after the other, each on its own connection, and drops them without a word.
pub(crate) async fn abandon(target: &Target, sessions: u64, watch: &Watch) -> io::Result<Left> {
    let before = footprint::take(&watch.trees)?;
    let mut left = Left::default();
    for _ in 0..sessions {
        match tokio::time::timeout(DEADLINE, target.open()).await.unwrap_or(Err(AskError::Silent(DEADLINE))) {
            Ok(_) => left.sessions += 1,
            Err(error) => {
                left.first_problem = Some(error.to_string());
                break;
            }
        }
    }
    tokio::time::sleep(SETTLE).await;
    let after = footprint::take(&watch.trees)?;
    left.extra_processes = after.processes() - before.processes();
    left.gateway_rss_growth_kib = after.gateway_rss_kib - before.gateway_rss_kib;
    left.all_pss_growth_kib = after.all_pss_kib() - before.all_pss_kib();
    Ok(left)
}
