//! The response stream of one request, resumed when it breaks.

use std::time::{Duration, Instant};

use super::endpoint::{Endpoint, EndpointError, MessageStream, SessionHeaders};

/// Wait before a stream is taken up again, unless the server says otherwise.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// So often in a row without a message; then the answer is lost.
const MAX_RESUMES: u32 = 5;
/// A stream that lasted for so long was closed so that we come back, however often that is.
const LASTING: Duration = Duration::from_secs(1);

/// The messages up to the answer of one request. A server may close the stream before that and expect us back (MCP
/// 2025-11-25, transports, resumability); that is not seen from outside.
pub(crate) struct Conversation {
    endpoint: Endpoint,
    key: SessionHeaders,
    stream: MessageStream,
    resumes: u32,
    /// Since when we read the present stream, until it ends.
    since: Option<Instant>,
}

impl Conversation {
    /// Goes on with what a POST was answered with.
    pub(crate) fn new(endpoint: Endpoint, key: SessionHeaders, stream: MessageStream) -> Self {
        Self { endpoint, key, stream, resumes: 0, since: Some(Instant::now()) }
    }

    /// The session that the answer opened.
    pub(crate) fn session(&self) -> Option<&str> {
        self.stream.session()
    }

    /// The next message. The caller stops at the answer; the end before that is an error.
    pub(crate) async fn next(&mut self) -> Result<String, EndpointError> {
        loop {
            if let Some(message) = self.stream.next().await? {
                self.resumes = 0;
                return Ok(message);
            }
            let Some((after, retry)) = self.stream.resume_point() else { return Err(EndpointError::NoAnswer) };
            if self.since.take().is_some_and(|since| since.elapsed() >= LASTING) {
                self.resumes = 0;
            }
            if self.resumes == MAX_RESUMES {
                return Err(EndpointError::NoAnswer);
            }
            self.resumes += 1;
            let after = after.to_owned();
            tokio::time::sleep(retry.unwrap_or(DEFAULT_RETRY).min(LONGEST_RETRY)).await;
            match self.endpoint.listen(&self.key, Some(&after)).await {
                Ok(stream) => {
                    self.stream = stream;
                    self.since = Some(Instant::now());
                }
                // Not reachable for the moment: the old stream still knows where to go on.
                Err(EndpointError::Connect { .. } | EndpointError::Send { .. }) if self.resumes < MAX_RESUMES => {}
                Err(_) => return Err(EndpointError::NoAnswer),
            }
        }
    }
}
