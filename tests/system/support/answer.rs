use reqwest::{RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;

use super::wait::within;

/// One HTTP answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// Sends a request and reads the whole answer.
pub(crate) async fn ask(request: RequestBuilder) -> Answer {
    within("an HTTP answer", std::time::Duration::from_secs(60), async {
        let response = request.send().await.expect("the gateway answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.text().await.expect("the body arrives");
        Answer { status, headers, body }
    })
    .await
}

impl Answer {
    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header of text"))
    }

    /// The body as one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of a JSON-RPC error.
    pub(crate) fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error code: {self:?}"))
    }

    /// The JSON-RPC messages as texts, whether they came as JSON or as a stream.
    pub(crate) fn texts(&self) -> Vec<String> {
        if self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
            messages_of(&self.body)
        } else {
            vec![self.body.clone()]
        }
    }

    /// The JSON-RPC messages.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let parse = |text: &String| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        self.texts().iter().map(parse).collect()
    }
}

/// The data of all events in a stream's text that have any; comments are skipped.
pub(crate) fn messages_of(stream: &str) -> Vec<String> {
    stream.replace("\r\n", "\n").split("\n\n").filter_map(|event| data(event).filter(|data| !data.is_empty())).collect()
}

/// The `data` of one event.
pub(crate) fn data(event: &str) -> Option<String> {
    let lines: Vec<&str> = field(event, "data");
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The values of one field of an event.
pub(crate) fn field<'e>(event: &'e str, name: &str) -> Vec<&'e str> {
    event
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(|value| value.strip_prefix(' ').unwrap_or(value))
        .collect()
}
