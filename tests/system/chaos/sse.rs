use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::{
    call::{Call, Leave},
    dice::Dice,
    fleet::any_server,
    ledger::Ledger,
    streamable::{AGAIN, PATIENCE},
};
use crate::support::{Events, initialize};

/// A stream on which nothing has come for so long brings no second answer any more.
const QUIET: Duration = Duration::from_millis(500);

/// A client of HTTP with SSE (2024-11-05): all answers come on one stream.
pub(super) struct Sse {
    number: u64,
    http: Client,
    base: String,
    dice: Dice,
    next: u64,
}

/// One stream, and what is expected and known on it.
struct Line {
    opened: Instant,
    post_url: String,
    events: Events,
    pending: BTreeMap<u64, (Instant, Call)>,
    cancelled: BTreeSet<u64>,
    answered: BTreeSet<u64>,
}

impl Sse {
    pub(super) fn new(number: u64, http: &Client, base: &str, dice: Dice) -> Self {
        Self { number, http: http.clone(), base: base.to_owned(), dice, next: 1 }
    }

    /// Calls, a few at a time, until it is over; opens another stream when its own ends.
    pub(super) async fn run(mut self, ledger: &Ledger) {
        while !ledger.over.get() {
            let begun = Instant::now();
            match tokio::time::timeout(PATIENCE, self.open()).await {
                Ok(Some(mut line)) => {
                    ledger.note("sessions opened");
                    self.talk(&mut line, ledger).await;
                }
                Ok(None) => {
                    ledger.broke(begun, || format!("client {}: no stream could be opened", self.number));
                    tokio::time::sleep(AGAIN).await;
                }
                Err(_) => ledger.violated("no answer is lost", format!("client {}: no stream opened", self.number)),
            }
        }
    }

    async fn open(&mut self) -> Option<Line> {
        let request = self.http.get(format!("{}/sse", self.base)).header("accept", "text/event-stream");
        let response = request.send().await.ok().filter(|response| response.status() == StatusCode::OK)?;
        let mut events = Events::of(response);
        let (_, endpoint) = events.event().await?;
        let post_url = format!("{}/sse{endpoint}", self.base);
        let (pending, cancelled, answered) = Default::default();
        let mut line = Line { opened: Instant::now(), post_url, events, pending, cancelled, answered };
        (self.post(&line, &initialize("2024-11-05")).await.ok()? == StatusCode::ACCEPTED).then_some(())?;
        loop {
            let (_, data) = line.events.event().await?;
            if serde_json::from_str::<Value>(&data).is_ok_and(|message| message["id"] == 0) {
                break;
            }
        }
        self.post(&line, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await.ok()?;
        Some(line)
    }

    async fn post(&self, line: &Line, message: &Value) -> reqwest::Result<StatusCode> {
        Ok(self.http.post(&line.post_url).json(message).timeout(PATIENCE).send().await?.status())
    }

    /// Until the stream ends, the client hangs up, or it is over.
    async fn talk(&mut self, line: &mut Line, ledger: &Ledger) {
        while !ledger.over.get() {
            for _ in 0..self.dice.within(1..4) {
                self.next += 1;
                let server = any_server(&mut self.dice);
                let call = Call::any(self.next, self.number, Some(server), &mut self.dice);
                if !self.send(line, call, ledger).await {
                    return self.give_up(line, ledger);
                }
            }
            if line.pending.values().any(|(_, call)| matches!(call.leave, Some((_, Leave::HangUp)))) {
                for _ in &line.pending {
                    ledger.count("client hung up");
                }
                return;
            }
            while !line.pending.is_empty() {
                match tokio::time::timeout(PATIENCE, line.events.event()).await {
                    Ok(Some((_, data))) => self.read(line, &data, ledger),
                    Ok(None) => return self.give_up(line, ledger),
                    Err(_) => {
                        let what = format!("client {} waits for {:?}", self.number, line.pending);
                        return ledger.violated("no answer is lost", what);
                    }
                }
            }
            tokio::time::sleep(self.dice.millis(0..60)).await;
        }
        while let Ok(Some((_, data))) = tokio::time::timeout(QUIET, line.events.event()).await {
            self.read(line, &data, ledger);
        }
    }

    /// Posts one call; `false` when the line is of no further use.
    async fn send(&self, line: &mut Line, call: Call, ledger: &Ledger) -> bool {
        let begun = Instant::now();
        match self.post(line, &call.message()).await {
            Ok(StatusCode::ACCEPTED) => (),
            Ok(status) => {
                // The stream may have ended with its gateway while nothing was read from it.
                ledger.broke(line.opened, || format!("client {}: a call got HTTP {status}", self.number));
                return false;
            }
            Err(error) => {
                let refused = error.is_connect().then_some("no connection is refused");
                match refused {
                    Some(promise) => ledger.violated(promise, format!("client {}: {error:?}", self.number)),
                    None => ledger.broke(begun, || format!("client {}: {error:?}", self.number)),
                }
                return false;
            }
        }
        if let Some((after, Leave::Cancel)) = call.leave {
            tokio::time::sleep(after).await;
            line.cancelled.insert(call.id);
            ledger.count("cancelled by the client");
            return self.post(line, &call.cancellation()).await.is_ok();
        }
        line.pending.insert(call.id, (begun, call));
        true
    }

    /// The stream ended: what it owed is lost with it.
    fn give_up(&self, line: &Line, ledger: &Ledger) {
        for (begun, call) in line.pending.values() {
            ledger.broke(*begun, || format!("client {}: the stream ended before {call:?} was answered", self.number));
        }
    }

    fn read(&self, line: &mut Line, data: &str, ledger: &Ledger) {
        let Ok(message) = serde_json::from_str::<Value>(data) else {
            return ledger.violated("every answer is the caller's own", format!("no JSON: {data:.300}"));
        };
        let id = message["id"].as_u64().filter(|_| message.get("method").is_none());
        let Some(id) = id else { return Call::check_other(ledger, self.number, &message) };
        if let Some((_, call)) = line.pending.remove(&id) {
            call.check(ledger, &message);
            line.answered.insert(id);
        } else if line.cancelled.remove(&id) {
            line.answered.insert(id);
        } else if line.answered.contains(&id) {
            ledger.violated("no call is answered twice", format!("client {}: {id}", self.number));
        } else {
            Call::check_other(ledger, self.number, &message);
        }
    }
}
