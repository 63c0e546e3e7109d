//! The stream on which a server sends messages that answer no request.

use std::{rc::Rc, time::Duration};

use super::{
    failure,
    link::SessionLink,
    relay::{Relay, is_lost},
};
use crate::cli::endpoint::EndpointError;

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// The next step when the stream is over.
enum StreamStep {
    /// Come back; something was heard meanwhile.
    Reopen(Option<Duration>),
    /// Come back later.
    Retry,
    /// The server has no such stream: wait for another session.
    Rest,
}

/// Passes on what the server says by itself, from the client's `initialized` on and over every new session.
pub(super) async fn follow(relay: Rc<Relay>) {
    let mut links = relay.links();
    let mut last_id = None;
    let mut backoff = FIRST_RETRY;
    let mut generation = 0;
    loop {
        let link = links.borrow_and_update().clone();
        if link.generation != generation {
            (generation, backoff, last_id) = (link.generation, FIRST_RETRY, None);
        }
        let pause = async {
            if !link.ready {
                return std::future::pending().await;
            }
            match listen(&relay, &link, &mut last_id).await {
                StreamStep::Reopen(wait) => {
                    backoff = FIRST_RETRY;
                    tokio::time::sleep(wait.unwrap_or(FIRST_RETRY).min(LONGEST_RETRY)).await;
                }
                StreamStep::Retry => {
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(LONGEST_RETRY);
                }
                StreamStep::Rest => std::future::pending().await,
            }
        };
        tokio::select! {
            () = pause => {}
            changed = links.changed() => if changed.is_err() { return },
        }
    }
}

/// Listens until the stream ends.
async fn listen(relay: &Relay, link: &SessionLink, last_id: &mut Option<String>) -> StreamStep {
    let mut stream = match relay.endpoint.listen(&link.key, last_id.as_deref()).await {
        Ok(stream) => stream,
        Err(error) if is_lost(&error) && link.can_be_lost() => {
            return match relay.renew(link.generation).await {
                Ok(()) => StreamStep::Reopen(None),
                Err(error) => {
                    relay.remark(&failure::chain(&error));
                    StreamStep::Retry
                }
            };
        }
        Err(EndpointError::Connect { .. } | EndpointError::Send { .. } | EndpointError::Broken) => {
            return StreamStep::Retry;
        }
        // Too many requests, a conflict with a stream that is just ending, a proxy's trouble: these pass.
        Err(error) if error.status().is_some_and(|s| s.is_server_error() || matches!(s.as_u16(), 409 | 429)) => {
            return StreamStep::Retry;
        }
        Err(_) => return StreamStep::Rest,
    };
    let mut heard = false;
    while let Ok(Some(message)) = stream.next().await {
        heard = true;
        relay.output.line(&message).await;
    }
    let retry = stream.resume_point().map(|(id, retry)| {
        *last_id = Some(id.to_owned());
        retry
    });
    match retry {
        Some(retry) => StreamStep::Reopen(retry),
        None if heard => StreamStep::Reopen(None),
        None => StreamStep::Retry,
    }
}
