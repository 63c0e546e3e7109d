//! Markdown from the lines that `bench/compare` collected: two builds side by side, medians of the rounds, ratios.

use std::fmt::Write;

use crate::table::{Line, Results, short};

/// Heading, row and field of the result.
type Row = (&'static str, &'static str, &'static str);

const ROWS: [Row; 24] = [
    ("p50, 1 client, one core: 2025-11-25, µs", "core-2025", "p50_us"),
    ("CPU per call, 1 client, one core: 2025-11-25, µs", "core-2025", "cpu_us_per_call"),
    ("… HTTP+SSE, µs", "core-sse", "cpu_us_per_call"),
    ("… 2026-07-28, µs", "core-2026", "cpu_us_per_call"),
    ("calls/s, 16 clients", "clients-16", "calls_per_second"),
    ("p50, 16 clients, µs", "clients-16", "p50_us"),
    ("p99, 16 clients, µs", "clients-16", "p99_us"),
    ("CPU per call, 16 clients, µs", "clients-16", "cpu_us_per_call"),
    ("calls/s, 64 clients: 2025-11-25", "clients-64-2025", "calls_per_second"),
    ("p99, 64 clients: 2025-11-25, µs", "clients-64-2025", "p99_us"),
    ("CPU per call, 64 clients: 2025-11-25, µs", "clients-64-2025", "cpu_us_per_call"),
    ("… HTTP+SSE, µs", "clients-64-sse", "cpu_us_per_call"),
    ("… 2026-07-28, µs", "clients-64-2026", "cpu_us_per_call"),
    ("calls/s, 64 clients: HTTP+SSE", "clients-64-sse", "calls_per_second"),
    ("calls/s, 64 clients: 2026-07-28", "clients-64-2026", "calls_per_second"),
    ("1 MiB results: p50, µs", "mebibyte", "p50_us"),
    ("1 MiB results: CPU per call, µs", "mebibyte", "cpu_us_per_call"),
    ("CPU per call of 1 server, 16 clients, µs", "one-of-1", "cpu_us_per_call"),
    ("CPU per call of 1 of 100 servers, 16 clients, µs", "one-of-100", "cpu_us_per_call"),
    ("CPU per call of 16 of 100 servers, 16 clients, µs", "all-of-100", "cpu_us_per_call"),
    ("start to full list of 100 × 20 tools, ms", "start-100", "ms"),
    ("start to full list of 10 × 50 tools, ms", "start-10", "ms"),
    ("PSS with 10 idle workers, KiB", "memory-10", "gateway_pss_kib"),
    ("processes with 10 idle workers", "memory-10", "gateway_processes"),
];

/// Heading, dividend, divisor and the most that it should be: both rows' CPU per call.
const RATIOS: [(&str, &str, &str, f64); 6] = [
    ("HTTP+SSE, × 2025-11-25, 1 client", "core-sse", "core-2025", 1.1),
    ("2026-07-28, × 2025-11-25, 1 client", "core-2026", "core-2025", 1.1),
    ("HTTP+SSE, × 2025-11-25, 64 clients", "clients-64-sse", "clients-64-2025", 1.1),
    ("2026-07-28, × 2025-11-25, 64 clients", "clients-64-2026", "clients-64-2025", 1.1),
    ("1 of 100 servers, × the only server", "one-of-100", "one-of-1", 1.5),
    ("16 of 100 servers, × the only server", "all-of-100", "one-of-1", 1.5),
];

/// The whole page.
pub(crate) fn render(lines: &[Line]) -> String {
    let results = Results::new(lines);
    let mut page = "| | old | new | new, × old |\n|---|--:|--:|--:|\n".to_owned();
    for (heading, row, field) in ROWS {
        let of = |build| results.median(row, build, field);
        let (old, new) = (of("old"), of("new"));
        if old.is_none() && new.is_none() {
            continue;
        }
        let ratio = old.zip(new).filter(|(old, _)| *old > 0.0).map(|(old, new)| new / old);
        let _ = writeln!(page, "| {heading} | {} | {} | {} |", number(old), number(new), number(ratio));
    }
    page.push_str("\n| CPU per call | old | new | bound | new keeps it |\n|---|--:|--:|--:|---|\n");
    for (heading, row, base, most) in RATIOS {
        let of = |build| {
            let cost = |row| results.median(row, build, "cpu_us_per_call");
            cost(row).zip(cost(base)).map(|(cost, base)| cost / base)
        };
        let kept = of("new").map_or("not measured", |ratio| if ratio <= most { "yes" } else { "**no**" });
        let _ = writeln!(page, "| {heading} | {} | {} | ≤ {most} | {kept} |", number(of("old")), number(of("new")));
    }
    let count = |field| ["old", "new"].map(|build| results.sum(build, field).to_string()).join(" and ");
    let _ = writeln!(page, "\n{} calls, {} errors, {} wrong answers.", count("calls"), count("errors"), count("wrong"));
    for reason in results.failures() {
        let _ = writeln!(page, "- {}", reason.replace('\n', " "));
    }
    page
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), short)
}

#[cfg(test)]
mod tests {
    use crate::table::parse;

    #[test]
    fn builds_stand_side_by_side_and_transports_are_held_to_their_bound() {
        let lines = r#"
            {"row":"core-2025","target":"old","result":{"cpu_us_per_call":40.0,"calls":2}}
            {"row":"core-2025","target":"new","result":{"cpu_us_per_call":44.0,"calls":3}}
            {"row":"core-sse","target":"new","result":{"cpu_us_per_call":66.0}}
            {"row":"start-100","target":"new","failed":"no list"}
        "#;
        let page = super::render(&parse(lines).expect("lines"));
        assert!(page.contains("CPU per call, 1 client, one core: 2025-11-25, µs | 40.0 | 44.0 | 1.10 |"), "{page}");
        assert!(page.contains("| HTTP+SSE, × 2025-11-25, 1 client | – | 1.50 | ≤ 1.1 | **no** |"), "{page}");
        assert!(page.contains("2 and 3 calls") && page.contains("- new, start-100: no list"), "{page}");
    }
}
