//! An answer on its way out: what all answers have in common.

use std::{
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_http::{ConnectionType, Request, Response};
use actix_web::{
    Error, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::ServiceResponse,
    http::{Version, header::HeaderValue},
};
use bytes::Bytes;

use super::{carrier::Carrier, connection::Connection, cors, farewell::Farewell};
use crate::gateway::base::auth::Admission;

/// The facts of a request that its answer depends on.
pub(super) struct Asked {
    connection: Option<Rc<Connection>>,
    version: Version,
    /// Whether the client leaves the connection open.
    persists: bool,
    /// Of a page that may read the answer.
    page: Option<HeaderValue>,
    farewell: Farewell,
}

impl Asked {
    pub(super) fn of(request: &Request, page: Option<HeaderValue>, farewell: Farewell) -> Self {
        let connection = request.conn_data::<Rc<Connection>>().cloned();
        connection.iter().for_each(|connection| connection.asked());
        let (version, kept) = (request.version(), request.head().connection_type() == ConnectionType::KeepAlive);
        Self { connection, version, persists: kept && version >= Version::HTTP_11, page, farewell }
    }

    /// Notes the admission of the request.
    pub(super) fn admitted(&self, admission: Admission) {
        if let Some(connection) = &self.connection {
            connection.admitted(admission);
        }
    }

    /// Makes an answer fit for the client.
    pub(super) fn answer(&mut self, mut response: HttpResponse) -> Response<BoxBody> {
        if let Some(page) = self.page.take() {
            cors::allow(page, response.headers_mut());
        }
        // A client that is told so sends its next request at a connection of its own (RFC 9112 §9.6).
        if self.farewell.is_announced() {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        // Before HTTP/1.1 there are no chunks: what has no length ends with its connection (RFC 9112 §6.1).
        if self.version < Version::HTTP_11 && response.body().size() == BodySize::Stream {
            let head = response.head_mut();
            head.no_chunking(true);
            head.set_connection_type(ConnectionType::Close);
        }
        match self.connection.take() {
            Some(connection) if response.body().size() == BodySize::Stream => {
                let persists = self.persists && response.head().connection_type() != ConnectionType::Close;
                response
                    .map_body(|_, body| {
                        connection.streams(body, persists);
                        Streaming { connection }.boxed()
                    })
                    .into()
            }
            connection => {
                connection.iter().for_each(|connection| connection.answered());
                response.into()
            }
        }
    }
}

/// The stream of a connection, as the HTTP library sees it.
struct Streaming {
    connection: Rc<Connection>,
}

impl MessageBody for Streaming {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.connection.poll_stream(cx).map(|part| part.map(Ok))
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        // Otherwise it goes on without the library.
        if self.connection.carrier() == Carrier::Http {
            self.connection.end_stream();
        }
    }
}

/// The application's answer, still to come.
pub(super) struct Answering<F> {
    pub(super) asked: Asked,
    pub(super) application: F,
}

impl<F> Future for Answering<F>
where
    F: Future<Output = Result<ServiceResponse, Error>> + Unpin,
{
    type Output = Result<Response<BoxBody>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match ready!(Pin::new(&mut self.application).poll(cx)) {
            Ok(answer) => HttpResponse::from(answer),
            Err(error) => error.error_response(),
        };
        Poll::Ready(Ok(self.asked.answer(answer)))
    }
}
