use std::{collections::VecDeque, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use reqwest::RequestBuilder;
use serde_json::Value;

use super::{
    answer::{data, field},
    wait::{DEADLINE, within},
};

/// An event with all that is not a comment.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) id: Option<String>,
    /// `None`: there is no such field; it may be there and empty.
    pub(crate) data: Option<String>,
    pub(crate) retry: Option<String>,
}

impl Raw {
    /// The message in it.
    pub(crate) fn message(&self) -> Value {
        let data = self.data.as_ref().expect("data");
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))
    }
}

/// An event stream that is read as it comes.
pub(crate) struct Events {
    bytes: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>>>>,
    buffer: String,
    /// Messages that were read while another was waited for.
    skipped: VecDeque<Value>,
}

impl Events {
    /// Opens a stream; it must be one.
    pub(crate) async fn open(request: RequestBuilder) -> Self {
        let response = within("a stream opens", DEADLINE, request.send()).await.expect("the gateway answers");
        assert_eq!(response.status(), 200, "a stream");
        let kind = response.headers()["content-type"].to_str().expect("text").to_owned();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Self::of(response)
    }

    /// The events of a response that is a stream.
    pub(crate) fn of(response: reqwest::Response) -> Self {
        Self { bytes: Box::pin(response.bytes_stream()), buffer: String::new(), skipped: VecDeque::new() }
    }

    /// The next event as its name (`message` if it has none) and data. `None`: the stream ended.
    pub(crate) async fn event(&mut self) -> Option<(String, String)> {
        loop {
            while let Some(end) = self.buffer.find("\n\n") {
                let event: String = self.buffer.drain(..end + 2).collect();
                if let Some(data) = data(&event).filter(|data| !data.is_empty()) {
                    let name = field(&event, "event").last().map_or("message", |name| *name).to_owned();
                    return Some((name, data));
                }
            }
            match self.bytes.next().await {
                Some(Ok(bytes)) => {
                    let text = std::str::from_utf8(&bytes).expect("events are UTF-8");
                    self.buffer.push_str(&text.replace("\r\n", "\n"));
                }
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next event that is more than a comment, as it was sent.
    pub(crate) async fn raw(&mut self) -> Option<Raw> {
        within("an event, or the end", DEADLINE, async {
            loop {
                while let Some(end) = self.buffer.find("\n\n") {
                    let event: String = self.buffer.drain(..end + 2).collect();
                    let last = |name| field(&event, name).last().map(|value| (*value).to_owned());
                    let raw = Raw { id: last("id"), data: data(&event), retry: last("retry") };
                    if raw.id.is_some() || raw.data.is_some() || raw.retry.is_some() {
                        return Some(raw);
                    }
                }
                match self.bytes.next().await {
                    Some(Ok(bytes)) => {
                        let text = std::str::from_utf8(&bytes).expect("events are UTF-8");
                        self.buffer.push_str(&text.replace("\r\n", "\n"));
                    }
                    Some(Err(_)) | None => return None,
                }
            }
        })
        .await
    }

    /// The next event with a message, as it was sent.
    pub(crate) async fn raw_message(&mut self) -> Option<Raw> {
        loop {
            let raw = self.raw().await?;
            if raw.data.as_ref().is_some_and(|data| !data.is_empty()) {
                return Some(raw);
            }
        }
    }

    /// The id that the stream begins with.
    pub(crate) async fn prime(&mut self) -> String {
        loop {
            let raw = self.raw().await.expect("the stream begins");
            if let Some(id) = raw.id {
                assert_eq!(raw.data.as_deref(), Some(""), "the first event says nothing");
                return id;
            }
        }
    }

    async fn message(&mut self) -> Value {
        let (name, data) = self.event().await.expect("the stream goes on");
        assert_eq!(name, "message");
        serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}"))
    }

    /// The first message for which this is true, of those that came and will come.
    pub(crate) async fn find(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(found) = self.skipped.iter().position(&wanted) {
            return self.skipped.remove(found).expect("it was just found");
        }
        within(what, DEADLINE, async {
            loop {
                let message = self.message().await;
                if wanted(&message) {
                    return message;
                }
                self.skipped.push_back(message);
            }
        })
        .await
    }

    /// The first notification of this method.
    pub(crate) async fn notification(&mut self, method: &str) -> Value {
        self.find(method, |message| message["method"] == method).await
    }

    /// All messages that came so far and that come until nothing has come for `quiet`.
    pub(crate) async fn rest(&mut self, quiet: Duration) -> Vec<Value> {
        while let Ok(message) = tokio::time::timeout(quiet, self.message()).await {
            self.skipped.push_back(message);
        }
        self.skipped.drain(..).collect()
    }
}
