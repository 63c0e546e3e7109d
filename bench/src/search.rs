//! How well the ranking of tools finds what people ask for, and how long that takes.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use mcproxy_search::{Document, Segment, search};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// Of the tools found so many are looked at.
const FIRST: usize = 5;
/// Of so many tools an index is made, for its time.
const LARGE: usize = 2000;
/// Rounds of which the fastest counts: anything slower was disturbed.
const ROUNDS: usize = 5;

/// What was found, and how fast.
#[derive(Debug, Serialize)]
pub(crate) struct Quality {
    tools: usize,
    queries: usize,
    /// The share of the tools that answer a query among the first five, averaged over the queries.
    recall_at_5: f64,
    /// The share of the queries with one at least among the first five.
    hit_at_5: f64,
    /// An index of 2,000 tools, made of these.
    build_2000_ms: f64,
    /// One search of those.
    search_p50_ms: f64,
    search_p99_ms: f64,
}

/// A query, and the tools that answer it, as `server:name`.
#[derive(Debug, Deserialize)]
struct Query {
    query: String,
    relevant: Vec<String>,
}

/// The tools of all servers; what else an entry has is what a server lists.
#[derive(Debug, Deserialize)]
struct Tool {
    server: String,
    name: String,
}

/// Searches the tools of one file for what the queries of another ask.
pub(crate) fn measure(tools: &Path, queries: &Path) -> anyhow::Result<Quality> {
    let entries: Vec<Box<RawValue>> = read(tools)?;
    let queries: Vec<Query> = read(queries)?;
    let mut servers: BTreeMap<String, Vec<(String, &str)>> = BTreeMap::new();
    for entry in &entries {
        let Tool { server, name } = serde_json::from_str(entry.get()).context("a tool without server or name")?;
        servers.entry(server).or_default().push((name, entry.get()));
    }
    let segments = segments_of(&servers);
    let all: Vec<&Segment> = segments.iter().collect();
    let servers_in_order: Vec<_> = servers.iter().collect();
    let (mut recall, mut hits) = (0.0, 0.0);
    for Query { query, relevant } in &queries {
        let found = search(&all, query).into_iter().take(FIRST).map(|hit| {
            let (server, tools) = servers_in_order[hit.segment];
            format!("{server}:{}", tools[hit.tool].0)
        });
        let right = found.filter(|tool| relevant.contains(tool)).count();
        recall += right as f64 / relevant.len().max(1) as f64;
        hits += f64::from(u8::from(right > 0));
    }
    let mean = |sum: f64| sum / queries.len().max(1) as f64;
    let copies = LARGE.div_ceil(entries.len().max(1));
    let build = || (0..copies).flat_map(|_| segments_of(&servers)).collect::<Vec<_>>();
    let builds = (0..ROUNDS).map(|_| timed(build).1 * LARGE as u32 / (copies * entries.len()).max(1) as u32);
    let build_time = builds.min().unwrap_or_default();
    let many = build();
    let many: Vec<&Segment> = many.iter().collect();
    let mut times: Vec<Duration> = (0..ROUNDS)
        .flat_map(|_| queries.iter().map(|query| timed(|| search(&many, &query.query)).1).collect::<Vec<_>>())
        .collect();
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    Ok(Quality {
        tools: entries.len(),
        queries: queries.len(),
        recall_at_5: mean(recall),
        hit_at_5: mean(hits),
        build_2000_ms: ms(build_time),
        search_p50_ms: ms(at(50)),
        search_p99_ms: ms(at(99)),
    })
}

fn segments_of(servers: &BTreeMap<String, Vec<(String, &str)>>) -> Vec<Segment> {
    let of = |(server, tools): (&String, &Vec<(String, &str)>)| {
        Segment::build(server, tools.iter().map(|(name, entry)| Document::of_tool(name.as_str(), entry)))
    };
    servers.iter().map(of).collect()
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let made = work();
    (made, start.elapsed())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn read<T: DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("cannot understand {}", file.display()))
}
