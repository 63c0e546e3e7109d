//! Whether the response to a request is JSON or a stream: JSON if the answer comes soon and alone, else a stream of what precedes it
//! and then the answer. The same for all dialects of Streamable HTTP.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use crate::gateway::{base::response_timer::ResponseTimer, call::request_context::Related};

/// How a response begins.
pub(super) enum Beginning<A> {
    /// The answer is there, and nothing was said before it.
    Json(A),
    /// Something was said before the answer, or it takes long; the answer, if it is there.
    Stream(Option<A>),
}

/// Waits until it is known how the response begins. `wait`: how long at most.
pub(super) async fn beginning<A>(
    timer: &ResponseTimer,
    related: &Related,
    wait: Duration,
    pending: impl Future<Output = A>,
) -> Beginning<A> {
    timer.begin(related, Instant::now() + wait);
    tokio::select! {
        biased;
        answer = pending => if related.is_empty() { Beginning::Json(answer) } else { Beginning::Stream(Some(answer)) },
        () = related.ready() => Beginning::Stream(None),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::gateway::call::request_context::related;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn an_answer_that_is_there_is_json_unless_something_was_said_before_it() {
        let (timer, related) = (ResponseTimer::default(), related());
        let answered = beginning(&timer, &related, LONG, ready(1)).await;
        assert!(matches!(answered, Beginning::Json(1)));
        related.push("progress".into());
        let answered = beginning(&timer, &related, LONG, ready(2)).await;
        assert!(matches!(answered, Beginning::Stream(Some(2))));
        let waits = beginning(&timer, &related, LONG, pending::<u8>()).await;
        assert!(matches!(waits, Beginning::Stream(None)), "what was said does not wait for the answer");
    }
}
