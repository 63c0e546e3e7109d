//! How long a server takes until it does its job.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::{
    channel::Target,
    client::Client,
    message::{Job, Verdict},
};

/// Between two tries; small against what is measured.
const PAUSE: Duration = Duration::from_millis(2);

/// How long it took.
#[derive(Debug, Serialize)]
pub(crate) struct Ready {
    ms: f64,
}

/// The server did not get there in time.
#[derive(Debug, thiserror::Error)]
#[error("not ready within {within:?}: {last}")]
pub(crate) struct NotReady {
    within: Duration,
    last: String,
}

/// Tries the job, in a new session each time, until its answer is right. Counts from `since` (seconds of the Unix
/// epoch), or from now.
pub(crate) async fn wait(target: &Target, job: &Job, since: Option<f64>, within: Duration) -> Result<Ready, NotReady> {
    let begun = Instant::now();
    let ahead = since
        .map_or(0.0, |since| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64() - since));
    let mut last = String::new();
    while begun.elapsed() < within {
        match Client::open(target, 0).await {
            Err(error) => last = error.to_string(),
            Ok(mut client) => {
                let (verdict, _) = client.call(job).await;
                if verdict == Verdict::Right {
                    let ready = Ready { ms: (begun.elapsed().as_secs_f64() + ahead) * 1000.0 };
                    client.close().await;
                    return Ok(ready);
                }
                last = format!("{verdict:?}");
                client.close().await;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(NotReady { within, last })
}
