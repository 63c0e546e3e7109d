//! The response to a request: JSON if the answer comes soon and alone, else a stream of what precedes it and then the answer. The same
//! for all dialects of Streamable HTTP.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    http::{StatusCode, header::ContentType},
};
use bytes::Bytes;

use super::{connection::Connection, write_queue::SLICE};
use crate::gateway::{
    base::{budget::Budget, pieces::Pieces, response_timer::ResponseTimer},
    call::request_context::Related,
};

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

/// A JSON response. A large one goes to the HTTP library slice by slice, as the client takes it: the library would copy all of it.
pub(super) fn json(request: &HttpRequest, budget: &Budget, status: StatusCode, answer: Pieces) -> HttpResponse {
    let (length, own) = (answer.len(), answer.own());
    let mut response = HttpResponse::build(status);
    response.content_type(ContentType::json());
    if length <= SLICE {
        return response.body(answer.join(budget, None));
    }
    let connection = Connection::of(request, budget);
    connection.owes();
    connection.outgoing().push(answer, own);
    response.body(InSlices { connection, length: length as u64 })
}

/// A body whose parts its connection has.
struct InSlices {
    connection: Rc<Connection>,
    length: u64,
}

impl MessageBody for InSlices {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(self.connection.outgoing().next().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use actix_web::{body, test::TestRequest};

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

    #[tokio::test]
    async fn an_answer_is_the_same_whether_it_is_small_or_goes_out_in_slices() {
        let request = TestRequest::default().to_http_request();
        let budget = Budget::new(1 << 20);
        for length in [0, 1, SLICE - 2, SLICE - 1, 3 * SLICE, 5 * SLICE + 7] {
            let large = Bytes::from(vec![b'x'; length]);
            let answer = Pieces::around(b"{".to_vec(), large.clone(), b"}");
            let response = json(&request, &budget, StatusCode::BAD_REQUEST, answer);
            assert_eq!(response.status(), StatusCode::BAD_REQUEST);
            let body = response.into_body();
            assert_eq!(body.size(), BodySize::Sized(length as u64 + 2));
            let bytes = body::to_bytes(body).await.expect("a body");
            assert!(bytes == [b"{", &large[..], b"}"].concat(), "{length}");
        }
    }
}
