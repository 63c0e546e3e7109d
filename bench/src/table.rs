//! Markdown from the lines that `run` collected: one column per target, medians of the rounds, ratios.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
};

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use crate::cells;

/// Keys of targets and their headings, in the order of the columns.
const TARGETS: [(&str, &str); 5] = [
    ("stdio", "the server itself, stdio"),
    ("echo", "HTTP-only echo"),
    ("mcproxy", "MCProxy"),
    ("mcp-proxy", "PyPI mcp-proxy"),
    ("supergateway", "npm supergateway"),
];

/// One measurement, or why there is none.
#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    row: String,
    target: String,
    result: Option<Value>,
    failed: Option<String>,
}

/// Reads lines of JSON.
pub(crate) fn parse(text: &str) -> serde_json::Result<Vec<Line>> {
    text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str).collect()
}

/// Reads a file of them.
pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<Line>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse(&text).with_context(|| format!("cannot understand {}", file.display()))
}

#[derive(Clone, Copy)]
enum Unit {
    Micros,
    PerSecond,
    Kib,
    Count,
}

/// What stands in brackets behind a number.
#[derive(Clone, Copy)]
enum Ratio {
    Nothing,
    /// How many times the baseline's.
    ToEcho,
    /// How many times MCProxy's.
    ToOurs,
}

/// Heading, row, field of the result, unit, ratio.
const ROWS: [(&str, &str, &str, Unit, Ratio); 19] = [
    ("p50, 1 client, one core", "latency", "p50_us", Unit::Micros, Ratio::ToEcho),
    ("p99, 1 client, one core", "latency", "p99_us", Unit::Micros, Ratio::ToEcho),
    ("CPU per call, 1 client, one core", "latency", "cpu_us_per_call", Unit::Micros, Ratio::ToEcho),
    ("… and of the server behind", "latency", "server_cpu_us_per_call", Unit::Micros, Ratio::Nothing),
    ("calls/s, 16 clients", "clients-16", "calls_per_second", Unit::PerSecond, Ratio::ToOurs),
    ("p50, 16 clients", "clients-16", "p50_us", Unit::Micros, Ratio::ToOurs),
    ("p99, 16 clients", "clients-16", "p99_us", Unit::Micros, Ratio::ToOurs),
    ("CPU per call, 16 clients", "clients-16", "cpu_us_per_call", Unit::Micros, Ratio::ToEcho),
    ("calls/s, 64 clients", "clients-64", "calls_per_second", Unit::PerSecond, Ratio::ToOurs),
    ("p99, 64 clients", "clients-64", "p99_us", Unit::Micros, Ratio::ToOurs),
    ("CPU per call, 64 clients", "clients-64", "cpu_us_per_call", Unit::Micros, Ratio::ToEcho),
    ("1 MiB results: p50", "mebibyte", "p50_us", Unit::Micros, Ratio::ToEcho),
    ("1 MiB results: CPU per call", "mebibyte", "cpu_us_per_call", Unit::Micros, Ratio::ToEcho),
    ("PSS of the gateway's processes, one server", "memory", "gateway_pss_kib", Unit::Kib, Ratio::ToOurs),
    ("processes of the gateway", "memory", "gateway_processes", Unit::Count, Ratio::Nothing),
    ("sessions abandoned", "abandoned", "sessions", Unit::Count, Ratio::Nothing),
    ("… processes more", "abandoned", "extra_processes", Unit::Count, Ratio::Nothing),
    ("… gateway's RSS grew by", "abandoned", "gateway_rss_growth_kib", Unit::Kib, Ratio::Nothing),
    ("… all processes' PSS grew by", "abandoned", "all_pss_growth_kib", Unit::Kib, Ratio::Nothing),
];

/// All measurements of a run.
pub(crate) struct Results<'a>(&'a [Line]);

impl<'a> Results<'a> {
    pub(crate) fn new(lines: &'a [Line]) -> Self {
        Self(lines)
    }

    /// What could not be measured, and why.
    pub(crate) fn failures(&self) -> BTreeSet<String> {
        let failed = |line: &Line| Some(format!("{}, {}: {}", line.target, line.row, line.failed.as_ref()?));
        self.0.iter().filter_map(failed).collect()
    }

    fn of<'b>(&'b self, row: &'b str, target: &'b str) -> impl Iterator<Item = &'b Line> {
        self.0.iter().filter(move |line| line.row == row && line.target == target)
    }

    /// Of all rounds.
    pub(crate) fn median(&self, row: &str, target: &str, field: &str) -> Option<f64> {
        let mut values: Vec<f64> =
            self.of(row, target).filter_map(|line| line.result.as_ref()?.get(field)?.as_f64()).collect();
        values.sort_by(f64::total_cmp);
        match (values.len() / 2, values.len() % 2) {
            (0, 0) => None,
            (middle, 1) => Some(values[middle]),
            (middle, _) => Some((values[middle - 1] + values[middle]) / 2.0),
        }
    }

    pub(crate) fn has_failed(&self, row: &str, target: &str) -> bool {
        self.of(row, target).any(|line| line.failed.is_some())
    }

    pub(crate) fn sum(&self, target: &str, field: &str) -> u64 {
        let of_target = self.0.iter().filter(|line| line.target == target);
        of_target.filter_map(|line| line.result.as_ref()?.get(field)?.as_u64()).sum()
    }

    fn problem(&self, target: &str) -> Option<&str> {
        let of_target = self.0.iter().filter(|line| line.target == target);
        of_target.filter_map(|line| line.result.as_ref()?.get("first_problem")?.as_str()).next()
    }
}

/// The whole page.
pub(crate) fn render(lines: &[Line]) -> String {
    let results = Results::new(lines);
    let mut page = String::new();
    let mut notes = Vec::new();
    let titles = TARGETS.map(|(_, title)| title).join(" | ");
    let _ = writeln!(page, "| | {titles} |\n|---|{}", "--:|".repeat(TARGETS.len()));
    for (heading, row, field, unit, ratio) in ROWS {
        let _ = write!(page, "| {heading} |");
        for (target, _) in TARGETS {
            let _ = write!(page, " {} |", cell(&results, row, target, field, unit, ratio));
        }
        page.push('\n');
    }
    let _ = write!(page, "| calls answered · errors · wrong answers |");
    for (target, title) in TARGETS {
        let count = |field| results.sum(target, field);
        let _ = write!(page, " {} · {} · {} |", count("calls"), count("errors"), count("wrong"));
        for (row, reason) in lines.iter().filter_map(|line| {
            (line.target == target).then_some(()).and(line.failed.as_ref()).map(|reason| (&line.row, reason))
        }) {
            notes.push(format!("{title}, {row}: {reason}"));
        }
        notes.extend(results.problem(target).map(|problem| format!("{title}, first problem: {problem}")));
    }
    page.push_str(
        "\n\nIn brackets: × the HTTP-only echo (`e`) or × MCProxy (`m`) in the same run. \
         CPU counts every process of the gateway and not the server behind it.\n",
    );
    notes.sort();
    notes.dedup();
    for note in notes {
        let _ = writeln!(page, "- {}", note.replace('\n', " "));
    }
    page.push('\n');
    bounds(&results, &mut page);
    cells::render(&results, &mut page);
    page
}

fn cell(results: &Results<'_>, row: &str, target: &str, field: &str, unit: Unit, ratio: Ratio) -> String {
    let Some(value) = results.median(row, target, field) else {
        return if results.has_failed(row, target) { "failed".to_owned() } else { "–".to_owned() };
    };
    if value == 0.0 && matches!(unit, Unit::Micros) {
        return "–".to_owned(); // there is nothing in between, or nothing behind
    }
    let (base, sign) = match ratio {
        Ratio::ToEcho if target != "echo" && target != "stdio" => (results.median(row, "echo", field), "e"),
        Ratio::ToOurs if target != "mcproxy" => (results.median(row, "mcproxy", field), "m"),
        Ratio::ToEcho | Ratio::ToOurs | Ratio::Nothing => (None, ""),
    };
    let ratio = base.filter(|base| *base > 0.0).map(|base| format!(" ({}× {sign})", short(value / base)));
    format!("{}{}", with_unit(value, unit), ratio.unwrap_or_default())
}

/// What the project promises, and whether this run kept it.
fn bounds(results: &Results<'_>, page: &mut String) {
    let ours = |row, field| results.median(row, "mcproxy", field);
    let times = |row, field, other| Some(ours(row, field)? / results.median(row, other, field)?);
    let at_most = |most: f64| move |value: f64| value <= most;
    type Bound<'a> = (&'a str, Option<f64>, &'a str, Box<dyn Fn(f64) -> bool>);
    let rows: [Bound<'_>; 13] = [
        ("p50, 1 client, one core, × echo", times("latency", "p50_us", "echo"), "≤ 3", Box::new(at_most(3.0))),
        ("CPU per call, 1 client, × echo", times("latency", "cpu_us_per_call", "echo"), "≤ 4", Box::new(at_most(4.0))),
        (
            "CPU per call, 16 clients, × echo",
            times("clients-16", "cpu_us_per_call", "echo"),
            "≤ 4",
            Box::new(at_most(4.0)),
        ),
        (
            "CPU per call, 64 clients, × echo",
            times("clients-64", "cpu_us_per_call", "echo"),
            "≤ 4",
            Box::new(at_most(4.0)),
        ),
        (
            "calls/s, 16 clients, × mcp-proxy",
            times("clients-16", "calls_per_second", "mcp-proxy"),
            "≥ 8",
            Box::new(|x| x >= 8.0),
        ),
        (
            "calls/s, 16 clients, × supergateway",
            times("clients-16", "calls_per_second", "supergateway"),
            "≥ 8",
            Box::new(|x| x >= 8.0),
        ),
        (
            "`tools/list` of 10 × 50 tools, p50, ms",
            ours("list", "p50_us").map(|us| us / 1000.0),
            "≤ 2",
            Box::new(at_most(2.0)),
        ),
        (
            "PSS with 10 idle workers, MiB",
            ours("memory-10", "gateway_pss_kib").map(|kib| kib / 1024.0),
            "≤ 40",
            Box::new(at_most(40.0)),
        ),
        ("start to full list of 10 × 50 tools, ms", ours("start", "ms"), "≤ 300", Box::new(at_most(300.0))),
        (
            "1 MiB results, CPU per call, ms",
            ours("mebibyte", "cpu_us_per_call").map(|us| us / 1000.0),
            "≤ 3",
            Box::new(at_most(3.0)),
        ),
        ("abandoned sessions: processes more", ours("abandoned", "extra_processes"), "0", Box::new(at_most(0.0))),
        (
            "abandoned sessions: growth, MiB",
            ours("abandoned", "gateway_rss_growth_kib").map(|kib| kib / 1024.0),
            "< 5",
            Box::new(|x| x < 5.0),
        ),
        (
            "wrong answers",
            Some(results.sum("mcproxy", "wrong") as f64).filter(|_| results.sum("mcproxy", "calls") > 0),
            "0",
            Box::new(at_most(0.0)),
        ),
    ];
    page.push_str("| promise | this run | bound | kept |\n|---|--:|--:|---|\n");
    for (what, value, bound, kept) in rows {
        let (value, kept) = match value {
            Some(value) => (short(value), if kept(value) { "yes" } else { "**no**" }),
            None => ("–".to_owned(), "not measured"),
        };
        let _ = writeln!(page, "| {what} | {value} | {bound} | {kept} |");
    }
    processes(results, page);
}

fn processes(results: &Results<'_>, page: &mut String) {
    let rows = [("memory", "one server"), ("memory-10", "10 idle servers")];
    page.push_str("\n| PSS by process | KiB |\n|---|--:|\n");
    for (row, when) in rows {
        for (target, title) in TARGETS {
            let last = results.of(row, target).filter_map(|line| line.result.as_ref()?.get("pss_kib_by_name")).last();
            let by_name: BTreeMap<String, Vec<u64>> =
                last.and_then(|names| Deserialize::deserialize(names).ok()).unwrap_or_default();
            for (name, each) in by_name {
                let each: Vec<String> = each.iter().map(u64::to_string).collect();
                let _ = writeln!(page, "| {title}, {when}: {name} | {} |", each.join(" "));
            }
        }
    }
}

fn with_unit(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Micros => format!("{} µs", short(value)),
        Unit::PerSecond | Unit::Count => format!("{value:.0}"),
        Unit::Kib => format!("{} MiB", short(value / 1024.0)),
    }
}

/// Three digits, or all before the point.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_ratios_and_failures_are_shown() {
        let lines = r#"
            {"row":"latency","target":"echo","result":{"p50_us":10}}
            {"row":"latency","target":"mcproxy","result":{"p50_us":20,"calls":5}}
            {"row":"latency","target":"mcproxy","result":{"p50_us":90}}
            {"row":"latency","target":"mcproxy","result":{"p50_us":25}}
            {"row":"latency","target":"supergateway","failed":"not installed"}
        "#;
        let page = render(&parse(lines).expect("lines of JSON"));
        assert!(page.contains("| p50, 1 client, one core | – | 10.0 µs | 25.0 µs (2.50× e) | – | failed |"), "{page}");
        assert!(page.contains("- npm supergateway, latency: not installed"), "{page}");
        assert!(page.contains("| p50, 1 client, one core, × echo | 2.50 | ≤ 3 | yes |"), "{page}");
        assert!(page.contains("| wrong answers | 0.00 | 0 | yes |"), "{page}");
    }
}
