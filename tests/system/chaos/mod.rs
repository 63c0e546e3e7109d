//! Twenty clients of all three HTTP dialects call ten servers of both eras all the time, while everything goes wrong that the plan of a seed
//! holds. Each call must come to exactly one end, each answer must be its caller's own, the system must be whole again
//! after each fault, and nothing may be left over at the end.
//!
//! ```text
//! plan (seed → faults) ─▶ strike (does it, waits for recovery) ─▶ proxy ◀─ streamable, sse, stateless, listener (calls)
//!                                     └──────────▶ ledger ◀────────────────────────┘
//! ```

mod call;
mod dice;
mod fleet;
mod footprint;
mod ledger;
mod listener;
mod plan;
mod sse;
mod stateless;
mod streamable;
mod strike;

use std::{
    env,
    fmt::Write as _,
    io::Write as _,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::{LocalBoxFuture, join_all};

use self::{
    dice::Dice,
    fleet::{OWN_TOKEN, Setup},
    footprint::Footprint,
    ledger::Ledger,
    plan::{OWN_ENDPOINTS, Plan, SERVERS},
    sse::Sse,
    stateless::Stateless,
    streamable::Streamable,
    strike::Striker,
};
use crate::support::{Proxy, eventually, http_client};

const CLIENTS: u64 = 20;
/// How long clients call before anything is measured.
const WARM_UP: Duration = Duration::from_secs(3);
/// Until connections are closed, sessions gone and buffers given back.
const SETTLE: Duration = Duration::from_secs(30);
/// Growth beyond which a process leaks: a run makes thousands of calls in each of its minutes.
const RSS_GROWTH_KIB: u64 = 24 * 1024;
const DESCRIPTOR_GROWTH: usize = 16;

#[tokio::test]
async fn chaos_in_brief_loses_no_answer_and_leaves_nothing_behind() {
    chaos(number("MCPROXY_CHAOS_SEED").unwrap_or(1), Duration::from_secs(15)).await;
}

#[tokio::test]
#[ignore = "takes ten minutes: cargo nextest run --workspace --run-ignored only -E 'test(chaos)'"]
async fn chaos_of_ten_minutes_loses_no_answer_and_leaves_nothing_behind() {
    let of_the_day = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let seconds = number("MCPROXY_CHAOS_SECONDS").unwrap_or(600);
    chaos(number("MCPROXY_CHAOS_SEED").unwrap_or_else(of_the_day), Duration::from_secs(seconds)).await;
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{variable}: {error}")))
}

async fn chaos(seed: u64, time: Duration) {
    say(&format!("chaos: MCPROXY_CHAOS_SEED={seed}, {} s", time.as_secs()));
    let mut proxy = Proxy::start(Setup::default().json(None)).await;
    proxy.http = http_client(Some(OWN_TOKEN));

    let warm_up = Ledger::new();
    let calm = async {
        tokio::time::sleep(WARM_UP).await;
        warm_up.over.set(true);
    };
    tokio::join!(clients(&proxy, &warm_up, seed ^ 1), calm);
    let status = proxy.status().await;
    let before = (Footprint::of(proxy.pid()), Footprint::of(status.gateway_pid()));
    assert!(warm_up.violations().is_empty(), "{:?}", warm_up.violations());

    let ledger = Ledger::new();
    let striker = Striker::new(&proxy, &ledger);
    let begun = Instant::now();
    let storm = async {
        for step in Plan::of(seed).take_while(|_| begun.elapsed() < time) {
            striker.perform(&step).await;
        }
        ledger.over.set(true);
    };
    tokio::join!(clients(&proxy, &ledger, seed ^ 2), storm);

    say(&report(&ledger, &striker, begun.elapsed()));
    let violations = ledger.violations();
    if !violations.is_empty() {
        let log = proxy.log();
        let telling = |line: &&str| {
            let own = line.contains("gateway")
                && !line.contains("method: ")
                && !line.contains("session opened")
                && !line.contains("taken over");
            own || line.contains(" ERRO ") || line.contains(" CRIT ")
        };
        say(&format!(
            "what the log says of the gateway:\n{}",
            log.lines().filter(telling).collect::<Vec<_>>().join("\n")
        ));
    }
    assert!(violations.is_empty(), "MCPROXY_CHAOS_SEED={seed}\n{}", violations.join("\n"));
    assert!(ledger.answered() > 100, "the clients did call: {:?}", ledger.outcomes());
    assert!(striker.recoveries.borrow().faults() > 3, "there were faults");
    rest(&proxy, &striker, before).await;
}

/// All clients, until the ledger says that it is over.
async fn clients(proxy: &Proxy, ledger: &Ledger, seed: u64) {
    let mut seeds = Dice::of(seed);
    let clients = (0..CLIENTS).map(|number| -> LocalBoxFuture<'_, ()> {
        let dice = Dice::of(seeds.roll());
        match number {
            0..6 => Box::pin(Streamable::new(number, &proxy.http, proxy.url("/mcp"), dice).run(ledger)),
            6..8 => {
                let mut client = Streamable::new(number, &proxy.http, own_endpoint(proxy, number), dice);
                client.alone = true;
                Box::pin(client.run(ledger))
            }
            8..10 => {
                Box::pin(Stateless::new(number, &proxy.http, &own_endpoint(proxy, number), true, dice).run(ledger))
            }
            10..14 => Box::pin(Stateless::new(number, &proxy.http, &proxy.url("/mcp"), false, dice).run(ledger)),
            14..18 => Box::pin(Sse::new(number, &proxy.http, &proxy.base, dice).run(ledger)),
            18 => Box::pin(listener::listen(Streamable::new(number, &proxy.http, proxy.url("/mcp"), dice), ledger)),
            _ => Box::pin(Stateless::new(number, &proxy.http, &proxy.url("/mcp"), false, dice).listen(ledger)),
        }
    });
    join_all(clients.collect::<Vec<_>>()).await;
}

/// The endpoint of one of the servers that stay configured.
fn own_endpoint(proxy: &Proxy, number: u64) -> String {
    proxy.url(&format!("/servers/{}/mcp", fleet::name(number as usize % OWN_ENDPOINTS)))
}

fn report(ledger: &Ledger, striker: &Striker<'_>, took: Duration) -> String {
    let mut out = format!("calls made: {} in {:.0} s\n", ledger.calls(), took.as_secs_f64());
    for (outcome, count) in ledger.outcomes() {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {count:>8}  {outcome}");
    }
    for (what, count) in ledger.notes() {
        let _ = writeln!(out, "  {count:>8}  ({what})");
    }
    let recoveries = striker.recoveries.borrow();
    let _ = writeln!(out, "steps of faults: {}\n     count  worst recovery", recoveries.faults());
    for (kind, count, worst) in recoveries.iter() {
        let _ = writeln!(out, "  {count:>8}  {:>8.2} s  {kind}", worst.as_secs_f64());
    }
    let _ = write!(out, "promises broken: {}", ledger.violations().len());
    out
}

/// After the storm: the processes that are configured and no others, and none of ours has grown.
async fn rest(proxy: &Proxy, striker: &Striker<'_>, before: (Footprint, Footprint)) {
    let gateway = striker.whole_now().await.expect("all is well at the end").gateway_pid();
    let now = || (Footprint::of(proxy.pid()), Footprint::of(gateway));
    let settled = eventually("descriptors and memory are given back", 2 * SETTLE, async || {
        let (supervisor, gateway) = now();
        let fits = |now: Footprint, then| now.within(then, RSS_GROWTH_KIB, DESCRIPTOR_GROWTH);
        (fits(supervisor, before.0) && fits(gateway, before.1)).then_some((supervisor, gateway))
    });
    let grown = tokio::time::timeout(SETTLE, settled).await;
    say(&format!("supervisor before, gateway before: {before:?}\nsupervisor after, gateway after: {:?}", now()));
    assert!(grown.is_ok(), "grew from {before:?} to {:?}", now());

    let servers = eventually("only what is configured runs", SETTLE, async || {
        let servers = proxy.status().await.servers;
        let at_rest = servers.iter().map(fleet::processes_at_rest).sum::<Option<usize>>()?;
        (proxy.processes().len() == 2 + at_rest).then_some(servers)
    })
    .await;
    assert!(servers.len() >= SERVERS);
}

/// For whoever reads the output of the run.
fn say(text: &str) {
    // Nobody may be reading.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
