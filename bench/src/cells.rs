//! What it costs to carry a call from one era to the other: clients of three kinds by servers of two.

use std::fmt::Write;

use crate::table::{Results, short};

/// The row of all cells in the results; the target is `CLIENT-SERVER`.
const ROW: &str = "cell";
/// A cell costs at most so many times the cell of the same client and a server of the client's own era.
const MOST: f64 = 1.3;

/// Key and heading.
type Side = (&'static str, &'static str);

const SERVERS: [Side; 2] = [("L", "server with `initialize`"), ("M", "server of 2026-07-28")];

/// The clients, each with the server of its own era.
const CLIENTS: [(Side, &str); 3] = [
    (("A", "A: HTTP+SSE of 2024-11-05"), "L"),
    (("B", "B: Streamable HTTP of 2025-11-25"), "L"),
    (("C", "C: Streamable HTTP of 2026-07-28"), "M"),
];

/// Adds the table, if any cell was measured.
pub(crate) fn render(results: &Results<'_>, page: &mut String) {
    let target = |client: &str, server: &str| format!("{client}-{server}");
    let all = CLIENTS.iter().flat_map(|((client, _), _)| SERVERS.map(|(server, _)| target(client, server)));
    if !all.clone().any(|cell| results.median(ROW, &cell, "p50_us").is_some() || results.has_failed(ROW, &cell)) {
        return;
    }
    let wrong: u64 = all.map(|cell| results.sum(&cell, "wrong")).sum();
    let headings = SERVERS.map(|(_, heading)| heading).join(" | ");
    let _ = writeln!(page, "\n| p50 of a call, 1 client, one core | {headings} | across, × own era | bound | kept |");
    page.push_str("|---|--:|--:|--:|--:|---|\n");
    for ((client, heading), own) in CLIENTS {
        let p50 = |server: &str| results.median(ROW, &target(client, server), "p50_us");
        let cells = SERVERS.map(|(server, _)| match p50(server) {
            Some(us) => format!("{} µs", short(us)),
            None => "failed".to_owned(),
        });
        let across = SERVERS.iter().find(|(server, _)| *server != own).and_then(|(server, _)| p50(server));
        let (ratio, kept) = match across.zip(p50(own)).map(|(across, own)| across / own) {
            Some(ratio) if ratio <= MOST => (short(ratio), "yes"),
            Some(ratio) => (short(ratio), "**no**"),
            None => ("–".to_owned(), "not measured"),
        };
        let _ = writeln!(page, "| {heading} | {} | {ratio} | ≤ {MOST} | {kept} |", cells.join(" | "));
    }
    let _ = writeln!(page, "\nWrong answers in these cells: {wrong}.");
}

#[cfg(test)]
mod tests {
    use crate::table::{parse, render};

    #[test]
    fn each_client_is_compared_with_its_own_era() {
        let lines = r#"
            {"row":"cell","target":"B-L","result":{"p50_us":100,"wrong":0}}
            {"row":"cell","target":"B-M","result":{"p50_us":120}}
            {"row":"cell","target":"C-L","result":{"p50_us":140}}
            {"row":"cell","target":"C-M","result":{"p50_us":100}}
            {"row":"cell","target":"A-M","failed":"no answer"}
        "#;
        let page = render(&parse(lines).expect("lines of JSON"));
        assert!(page.contains("2025-11-25 | 100 µs | 120 µs | 1.20 | ≤ 1.3 | yes |"), "{page}");
        assert!(page.contains("2026-07-28 | 140 µs | 100 µs | 1.40 | ≤ 1.3 | **no** |"), "{page}");
        assert!(page.contains("2024-11-05 | failed | failed | – | ≤ 1.3 | not measured |"), "{page}");
    }
}
