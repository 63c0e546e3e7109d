//! Many clients at once, each with one call at a time, for a while.

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::{
    channel::{AskError, Target},
    client::Client,
    cost::{Spent, Watch},
    message::{Job, Verdict},
    process,
};

/// A client with this many errors in a row gives up.
const ERRORS_IN_A_ROW: u32 = 10;

/// How long to go on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    After(Duration),
    /// So many calls by all clients together.
    Calls(u64),
}

/// The whole order.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) target: Target,
    pub(crate) job: Job,
    pub(crate) clients: u64,
    /// The clients take turns at so many servers, whose number stands for `{}` in the name of the tool.
    pub(crate) servers: u64,
    pub(crate) warm_up: Duration,
    pub(crate) until: Until,
    pub(crate) watch: Watch,
}

/// What came of it, as printed. Times in µs.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    clients: u64,
    calls: u64,
    errors: u64,
    wrong: u64,
    seconds: f64,
    calls_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    /// Of everything watched but the fixture server.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us_per_call: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_cpu_us_per_call: Option<f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cpu_us_per_call_by_name: BTreeMap<String, f64>,
    own_cpu_us_per_call: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_problem: Option<String>,
}

#[derive(Debug)]
struct Tally {
    times: Histogram<u64>,
    errors: u64,
    wrong: u64,
    first_problem: Option<String>,
}

impl Tally {
    fn new() -> Self {
        let times = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that a histogram can have");
        Self { times, errors: 0, wrong: 0, first_problem: None }
    }

    fn add(&mut self, other: Self) {
        self.times.add(&other.times).expect("the same bounds");
        self.errors += other.errors;
        self.wrong += other.wrong;
        self.first_problem = self.first_problem.take().or(other.first_problem);
    }
}

impl Load {
    /// Opens all sessions, warms up, measures, ends the sessions.
    pub(crate) async fn run(&self) -> Result<Report, LoadError> {
        let mut clients = Vec::new();
        for number in 0..self.clients {
            clients.push(Client::open(&self.target, number).await?);
        }
        let (clients, _) = self.phase(clients, Until::After(self.warm_up)).await;
        if clients.is_empty() {
            return Err(LoadError::NoClients);
        }
        let own = std::process::id();
        let (before, own_before) = (self.watch.read()?, process::cpu_ns(own)?);
        let start = Instant::now();
        let (clients, tally) = self.phase(clients, self.until).await;
        let elapsed = start.elapsed();
        let (after, own_after) = (self.watch.read()?, process::cpu_ns(own)?);
        for client in clients {
            client.close().await;
        }
        let spent = (!self.watch.is_empty()).then(|| before.until(&after));
        Ok(self.report(tally, elapsed, spent, own_after - own_before))
    }

    async fn phase(&self, clients: Vec<Client>, until: Until) -> (Vec<Client>, Tally) {
        let count = clients.len() as u64;
        let start = Instant::now();
        let mut running = JoinSet::new();
        for (index, client) in (0u64..).zip(clients) {
            let (end, calls) = match until {
                Until::After(time) => (Some(start + time), u64::MAX),
                Until::Calls(all) => (None, all / count + u64::from(index < all % count)),
            };
            running.spawn(repeat(client, self.job.at(index % self.servers), end, calls));
        }
        let (mut clients, mut tally) = (Vec::new(), Tally::new());
        while let Some(done) = running.join_next().await {
            let (client, part) = done.expect("a client does not panic");
            tally.add(part);
            clients.extend(client);
        }
        (clients, tally)
    }

    fn report(&self, tally: Tally, elapsed: Duration, spent: Option<Spent>, own_ns: u64) -> Report {
        let calls = tally.times.len();
        let each = |ns: u64| micros(ns) / calls.max(1) as f64;
        let spent_each = |pick: fn(&Spent) -> u64| spent.as_ref().map(|spent| each(pick(spent)));
        Report {
            clients: self.clients,
            calls,
            errors: tally.errors,
            wrong: tally.wrong,
            seconds: elapsed.as_secs_f64(),
            calls_per_second: calls as f64 / elapsed.as_secs_f64(),
            p50_us: micros(tally.times.value_at_quantile(0.5)),
            p99_us: micros(tally.times.value_at_quantile(0.99)),
            max_us: micros(tally.times.max()),
            cpu_us_per_call: spent_each(|spent| spent.gateway_ns),
            server_cpu_us_per_call: spent_each(|spent| spent.server_ns),
            cpu_us_per_call_by_name: spent
                .as_ref()
                .map(|spent| spent.by_name.iter().map(|(name, ns)| (name.clone(), each(*ns))).collect())
                .unwrap_or_default(),
            own_cpu_us_per_call: each(own_ns),
            first_problem: tally.first_problem,
        }
    }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("no session could be opened: {0}")]
    Open(#[from] AskError),
    #[error("no client survived the warm-up")]
    NoClients,
    #[error("cannot read /proc")]
    Proc(#[from] io::Error),
}

/// Gives the client back unless it gave up.
async fn repeat(mut client: Client, job: Job, end: Option<Instant>, calls: u64) -> (Option<Client>, Tally) {
    let mut tally = Tally::new();
    let mut in_a_row = 0;
    for _ in 0..calls {
        if end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
        let (verdict, time) = client.call(&job).await;
        let problem = match verdict {
            Verdict::Right => {
                in_a_row = 0;
                tally.times.saturating_record(time.as_nanos() as u64);
                continue;
            }
            Verdict::Wrong(what) => {
                tally.wrong += 1;
                what
            }
            Verdict::Failed(what) => {
                tally.errors += 1;
                what
            }
            Verdict::Page(..) => "an unfinished list".to_owned(),
        };
        tally.first_problem.get_or_insert(problem.chars().take(300).collect());
        in_a_row += 1;
        if in_a_row == ERRORS_IN_A_ROW {
            return (None, tally);
        }
    }
    (Some(client), tally)
}

fn micros(ns: u64) -> f64 {
    ns as f64 / 1000.0
}
