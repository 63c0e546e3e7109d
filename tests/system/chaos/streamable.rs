use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::{
    call::{Call, Leave},
    dice::Dice,
    fleet::any_server,
    ledger::Ledger,
};
use crate::support::{Answer, initialize};

/// A call ends within its timeout; who waits longer than this waits in vain.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts of something that did not work.
pub(super) const AGAIN: Duration = Duration::from_millis(50);

/// A client of Streamable HTTP.
pub(super) struct Streamable {
    pub(super) number: u64,
    pub(super) http: Client,
    pub(super) url: String,
    /// At the endpoint of one server, whose tools have no prefix there.
    pub(super) alone: bool,
    pub(super) dice: Dice,
    session: Option<String>,
    next: u64,
}

/// What an exchange came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is in the ledger. The response, if there was one.
    Entered(Option<Value>),
    /// 404: the call was not accepted, because the session is unknown.
    Unknown,
}

impl Streamable {
    pub(super) fn new(number: u64, http: &Client, url: String, dice: Dice) -> Self {
        Self { number, http: http.clone(), url, alone: false, dice, session: None, next: 1 }
    }

    pub(super) fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Calls, a few at a time, until it is over.
    pub(super) async fn run(mut self, ledger: &Ledger) {
        while !ledger.over.get() {
            let Some(session) = self.session(ledger).await else { continue };
            let calls: Vec<Call> = (0..self.dice.within(1..4)).map(|_| self.any_call()).collect();
            let outcomes = join_all(calls.iter().map(|call| self.perform(call, &session, ledger))).await;
            if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Unknown)) {
                ledger.violated("a session outlives the gateway", format!("client {}", self.number));
                self.session = None;
            }
            tokio::time::sleep(self.dice.millis(0..60)).await;
        }
        self.leave().await;
    }

    fn any_call(&mut self) -> Call {
        let server = any_server(&mut self.dice);
        let id = self.id();
        Call::any(id, self.number, (!self.alone).then_some(server), &mut self.dice)
    }

    /// Ends the session, if there is one.
    pub(super) async fn leave(&mut self) {
        if let Some(session) = self.session.take() {
            // Unknown or cut off: it is gone all the same.
            let _ = self.http.delete(&self.url).header("mcp-session-id", session).send().await;
        }
    }

    /// The session, opened if need be.
    pub(super) async fn session(&mut self, ledger: &Ledger) -> Option<String> {
        if self.session.is_none() {
            let begun = Instant::now();
            match self.exchange(&initialize("2025-11-25"), None).await {
                Ok(answer) if answer.status == StatusCode::OK => {
                    self.session = answer.header("mcp-session-id").map(str::to_owned);
                    ledger.note("sessions opened");
                }
                Ok(answer) => {
                    ledger.count(format!("initialize: HTTP {}", answer.status.as_u16()));
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => {
                    ledger.failed(self.number, begun, &error);
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
        self.session.clone()
    }

    /// Says something that need not succeed.
    pub(super) async fn say(&self, session: &str, method: &str, params: Value) {
        let message = json!({"jsonrpc": "2.0", "id": 0, "method": method, "params": params});
        // Cut off by another fault: then it was not said.
        let _ = self.exchange(&message, Some(session)).await;
    }

    async fn exchange(&self, message: &Value, session: Option<&str>) -> reqwest::Result<Answer> {
        let mut request = self.http.post(&self.url).json(message);
        request = request.header("accept", "application/json, text/event-stream");
        if let Some(session) = session {
            request = request.header("mcp-session-id", session).header("mcp-protocol-version", "2025-11-25");
        }
        let response = request.timeout(PATIENCE).send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, body: response.text().await? })
    }

    /// Makes one call and enters what came of it.
    pub(super) async fn perform(&self, call: &Call, session: &str, ledger: &Ledger) -> Outcome {
        let begun = Instant::now();
        let message = call.message();
        let exchange = self.exchange(&message, Some(session));
        let answer = match call.leave {
            None => exchange.await,
            Some((after, Leave::HangUp)) => match tokio::time::timeout(after, exchange).await {
                Ok(answer) => answer,
                Err(_) => {
                    ledger.count("client hung up");
                    return Outcome::Entered(None);
                }
            },
            Some((after, Leave::Cancel)) => {
                let cancel = async {
                    tokio::time::sleep(after).await;
                    // It may be too late, or the connection broken: then there is nothing to cancel.
                    let _ = self.exchange(&call.cancellation(), Some(session)).await;
                };
                tokio::join!(exchange, cancel).0
            }
        };
        match answer {
            Ok(answer) => self.enter(call, &answer, ledger),
            Err(error) => {
                ledger.failed(self.number, begun, &error);
                Outcome::Entered(None)
            }
        }
    }

    fn enter(&self, call: &Call, answer: &Answer, ledger: &Ledger) -> Outcome {
        let cancelled = matches!(call.leave, Some((_, Leave::Cancel)));
        match answer.status {
            StatusCode::OK => (),
            StatusCode::NOT_FOUND => return Outcome::Unknown,
            StatusCode::ACCEPTED if cancelled => {
                ledger.count("cancelled by the client");
                return Outcome::Entered(None);
            }
            status => {
                ledger.count(format!("HTTP {}", status.as_u16()));
                return Outcome::Entered(None);
            }
        }
        Outcome::Entered(call.check_all(ledger, self.number, answer, cancelled))
    }
}
