//! Where the events come from.

use std::{collections::VecDeque, time::Duration};

use mcproxy_http::{Response, SseItem, SseParser};
use tokio::time::{Interval, interval, timeout};

use super::model::{LiveEvent, SILENCE};
use crate::cli::{
    endpoint::{Endpoint, EndpointError},
    error::CliError,
    supervisor::SupervisorClient,
};

/// Where the gateway says what happens.
const EVENTS: &str = "/ui/api/events";
/// What a caller says that is no page of somebody else's.
const HEADER: (&str, &str) = ("X-MCProxy-UI", "1");
/// Longest event that is read.
const MAX_EVENT: usize = 8 * 1024 * 1024;
/// Between two questions to the supervisor.
const POLL: Duration = Duration::from_secs(1);

/// A source of events.
pub(crate) struct LiveFeed {
    supervisor: SupervisorClient,
    stream: Option<EventStream>,
    /// When the supervisor is asked, where there is no stream.
    poll: Interval,
}

struct EventStream {
    response: Response,
    parser: SseParser,
    items: VecDeque<SseItem>,
}

impl LiveFeed {
    /// The gateway's stream; where it has none, what the supervisor says of the servers.
    pub(crate) async fn open(endpoint: &Endpoint, supervisor: SupervisorClient) -> Result<Self, EndpointError> {
        let stream = match endpoint.stream_of(EVENTS, HEADER).await {
            Ok(response) => {
                let items = VecDeque::new();
                Some(EventStream { response, parser: SseParser::new(MAX_EVENT, 0), items })
            }
            // An older gateway, or one whose page is switched off.
            Err(EndpointError::Status { status, .. }) if matches!(status.as_u16(), 404 | 405) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { supervisor, stream, poll: interval(POLL) })
    }

    /// Whether calls are among the events.
    pub(crate) fn has_calls(&self) -> bool {
        self.stream.is_some()
    }

    /// The next event; `None`: MCProxy has ended, or the connection to it.
    pub(crate) async fn next(&mut self) -> Result<Option<LiveEvent>, CliError> {
        let Some(stream) = &mut self.stream else {
            self.poll.tick().await;
            return Ok(self.supervisor.status().await.ok().as_ref().map(LiveEvent::of_report));
        };
        stream.next().await
    }

    /// How all servers are now, where events tell of changes only from a second on.
    pub(crate) async fn now(&self) -> Option<LiveEvent> {
        self.supervisor.status().await.ok().as_ref().map(LiveEvent::of_report)
    }
}

impl EventStream {
    async fn next(&mut self) -> Result<Option<LiveEvent>, CliError> {
        loop {
            while let Some(item) = self.items.pop_front() {
                if let SseItem::Event(event) = item
                    && let Some(event) = LiveEvent::of_stream(event.name.as_deref().unwrap_or_default(), &event.data)
                {
                    return Ok(Some(event));
                }
            }
            let Ok(Ok(Some(chunk))) = timeout(SILENCE, self.response.chunk()).await else { return Ok(None) };
            let mut items = Vec::new();
            self.parser.push(&chunk, &mut items);
            self.items.extend(items);
        }
    }
}
