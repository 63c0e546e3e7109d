use std::time::Instant;

use futures_util::future::join_all;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use super::{
    call::{Call, Leave},
    dice::Dice,
    fleet::any_server,
    ledger::Ledger,
    streamable::{AGAIN, PATIENCE},
};
use crate::support::{Answer, Events, Modern};

/// A client of 2026-07-28: each of its requests stands for itself.
pub(super) struct Stateless {
    number: u64,
    client: Modern,
    /// At the endpoint of one server, whose tools have no prefix there.
    alone: bool,
    dice: Dice,
    next: u64,
}

impl Stateless {
    pub(super) fn new(number: u64, http: &Client, url: &str, alone: bool, dice: Dice) -> Self {
        Self { number, client: Modern::new(http, url), alone, dice, next: 1 }
    }

    /// Calls, a few at a time, until it is over.
    pub(super) async fn run(mut self, ledger: &Ledger) {
        while !ledger.over.get() {
            let calls: Vec<Call> = (0..self.dice.within(1..4)).map(|_| self.any_call()).collect();
            join_all(calls.iter().map(|call| self.perform(call, ledger))).await;
            tokio::time::sleep(self.dice.millis(0..60)).await;
        }
    }

    fn any_call(&mut self) -> Call {
        let server = any_server(&mut self.dice);
        self.next += 1;
        Call::any(self.next, self.number, (!self.alone).then_some(server), &mut self.dice)
    }

    /// Makes one call and enters what came of it.
    async fn perform(&self, call: &Call, ledger: &Ledger) {
        let begun = Instant::now();
        let exchange = async {
            let response = self.client.post(&call.stateless_message()).timeout(PATIENCE).send().await?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok::<_, reqwest::Error>(Answer { status, headers, body: response.text().await? })
        };
        let answer = match call.leave {
            None => exchange.await,
            // There is no other way to cancel than to close the request.
            Some((after, Leave::HangUp | Leave::Cancel)) => match tokio::time::timeout(after, exchange).await {
                Ok(answer) => answer,
                Err(_) => return ledger.count("client hung up"),
            },
        };
        match answer {
            Ok(answer) => self.enter(call, &answer, ledger),
            Err(error) => ledger.failed(self.number, begun, &error),
        }
    }

    fn enter(&self, call: &Call, answer: &Answer, ledger: &Ledger) {
        if !answer.header("content-type").is_some_and(|kind| kind.contains("json") || kind.contains("event-stream")) {
            return ledger.count(format!("HTTP {}", answer.status.as_u16()));
        }
        call.check_all(ledger, self.number, answer, false);
    }

    /// Only listens: no answer to anybody's call may come to it.
    pub(super) async fn listen(self, ledger: &Ledger) {
        let wish = json!({"notifications": {"toolsListChanged": true}});
        while !ledger.over.get() {
            let begun = Instant::now();
            let request = self.client.request("subscriptions/listen", wish.clone());
            match self.client.post(&request).send().await {
                Ok(response) if response.status() == StatusCode::OK => self.read(response, ledger).await,
                Ok(response) => {
                    let what = format!("listener {}: HTTP {}", self.number, response.status());
                    ledger.violated("whoever listens is heard", what);
                }
                Err(error) => ledger.failed(self.number, begun, &error),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn read(&self, response: Response, ledger: &Ledger) {
        let opened = Instant::now();
        let mut events = Events::of(response);
        let mut acknowledged = false;
        while !ledger.over.get() {
            // Woken now and then to see whether it is over.
            match tokio::time::timeout(AGAIN, events.event()).await {
                Ok(Some((_, data))) => {
                    let message: Value = serde_json::from_str(&data).unwrap_or_default();
                    match message["method"].as_str() {
                        Some("notifications/subscriptions/acknowledged") if !acknowledged => acknowledged = true,
                        Some("notifications/tools/list_changed") if acknowledged => ledger.note("list_changed heard"),
                        _ => ledger.violated(
                            "every answer is the caller's own",
                            format!("listener {}: {data:.300}", self.number),
                        ),
                    }
                }
                Ok(None) => return ledger.broke(opened, || format!("listener {}: the stream ended", self.number)),
                Err(_) => (),
            }
        }
    }
}
