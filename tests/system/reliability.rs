//! The table of faults in `docs/reliability.md` says what is true.

use std::{collections::BTreeMap, fs, path::Path};

use crate::edges::sources;

/// The rows that must be seen, and how many of them at least (issue 3).
const CONTRACT: [u32; 5] = [61, 62, 65, 67, 68];
const AT_LEAST: usize = 62;

struct Row {
    number: u32,
    tests: Vec<String>,
    verdict: String,
}

fn rows() -> Vec<Row> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md");
    let text = fs::read_to_string(document).expect("the table");
    text.lines()
        .filter_map(|line| {
            let [_, number, _, _, tests, verdict, _] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
                return None;
            };
            let tests = tests.split_whitespace().map(|test| test.trim_matches('`').to_owned()).collect();
            Some(Row { number: number.parse().ok()?, tests, verdict: verdict.to_owned() })
        })
        .collect()
}

/// How often each function is defined in the sources.
fn functions() -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for file in ["tests", "src", "supervisor", "worker", "launcher", "crates", "fuzz/src", "fuzz/tests"]
        .iter()
        .flat_map(|f| sources(f))
    {
        for rest in fs::read_to_string(file).expect("a source").split("fn ").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            *found.entry(name).or_default() += 1;
        }
    }
    found
}

#[test]
fn the_table_of_faults_names_tests_that_exist() {
    let functions = functions();
    let rows = rows();
    let numbers: Vec<u32> = rows.iter().map(|row| row.number).collect();
    assert!(numbers.starts_with(&(1..=70).collect::<Vec<_>>()), "rows are missing: {numbers:?}");
    assert!(numbers.is_sorted_by(|one, next| one < next), "a row is out of order or there twice: {numbers:?}");
    for Row { number, tests, verdict } in &rows {
        for test in tests {
            assert!(functions.contains_key(test), "row {number} names `{test}`, which no source has");
        }
        match verdict.split(':').next() {
            Some("seen") => assert!(!tests.is_empty(), "row {number} is seen by nothing"),
            Some("skipped" | "not yet") => (),
            _ => panic!("row {number} says {verdict:?}"),
        }
    }
}

#[test]
fn nearly_every_fault_of_the_contract_is_seen() {
    let rows = rows();
    let contract = rows.iter().filter(|row| row.number <= 57 || CONTRACT.contains(&row.number));
    let seen = contract.filter(|row| row.verdict.starts_with("seen")).count();
    assert!(seen >= AT_LEAST, "only {seen} of {AT_LEAST}");
}
