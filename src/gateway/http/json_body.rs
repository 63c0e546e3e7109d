//! An answer that is all there, as the body of a response.

use std::{
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    http::{StatusCode, header::ContentType},
};
use bytes::Bytes;

use super::{connection::Connection, write_queue::SLICE};
use crate::gateway::base::{budget::Budget, pieces::Pieces};

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
    use actix_web::{body, test::TestRequest};

    use super::*;

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
