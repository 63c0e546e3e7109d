//! What the documents say of each other and of the programs is true: links lead somewhere, indexes are complete, the page of
//! the command line is the help of the programs, and commands, files and metrics that readers are shown exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use crate::support::{Proxy, binary, fixture};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Markdown of the repository.
fn pages() -> Vec<PathBuf> {
    let folders = ["", "docs", "docs/decisions", "bench", "deploy"];
    let files = folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).expect("a folder").flatten());
    files.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text without its code blocks, whose brackets and `#` mean something else.
fn prose(text: &str) -> String {
    let mut code = false;
    let line = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    };
    text.lines().filter(line).collect::<Vec<_>>().join("\n")
}

/// The targets of `[…](…)`.
fn links(text: &str) -> Vec<String> {
    prose(text)
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

/// What a heading is called in a link, as repository hosts make it.
fn anchors(text: &str) -> BTreeSet<String> {
    let anchor = |heading: &str| {
        let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    prose(text).lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn every_link_of_the_documents_leads_to_a_file_and_a_heading_that_exist() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text = read(&page);
        for link in links(&text).iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().expect("a folder").join(file) };
            let there = target.exists()
                && (heading.is_empty() || target.is_file() && anchors(&read(&target)).contains(heading));
            if !there {
                wrong.push(format!("{}: {link}", page.strip_prefix(root()).expect("ours").display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn the_index_of_documents_names_every_document() {
    let index = read(&root().join("docs/README.md"));
    let linked: BTreeSet<PathBuf> =
        links(&index).iter().filter_map(|link| root().join("docs").join(link).canonicalize().ok()).collect();
    let missing: Vec<PathBuf> = pages()
        .into_iter()
        .filter(|page| !page.starts_with(root().join("docs/decisions")) || page.ends_with("README.md"))
        .map(|page| page.canonicalize().expect("there"))
        .filter(|page| !page.ends_with("docs/README.md") && !linked.contains(page))
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not name {missing:?}");
}

/// The records that a status or a note links to.
fn records(text: &str) -> BTreeSet<String> {
    links(text).into_iter().filter(|link| link.starts_with(|c: char| c.is_ascii_digit())).collect()
}

/// What changes a record, by its own note below the title: `*Amended by [0115](…): …*`.
fn noted(record: &str) -> Option<(&str, BTreeSet<String>)> {
    let note = record.lines().find(|line| line.starts_with("*Amended by ") || line.starts_with("*Superseded by "))?;
    let word = if note.starts_with("*Amended") { "amended by" } else { "superseded by" };
    Some((word, records(note.split("):").next().map_or(note, |by| &note[..by.len() + 1]))))
}

#[test]
fn the_index_of_decisions_lists_every_record_with_its_status() {
    let folder = root().join("docs/decisions");
    let mut rows = BTreeMap::new();
    let mut numbers = BTreeSet::new();
    for line in read(&folder.join("README.md")).lines().filter(|line| line.starts_with("| [")) {
        let [_, record, status, decides, _] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("a record, a status and what it decides, not: {line}");
        };
        let file = records(record).pop_first().unwrap_or_else(|| panic!("a row begins with its record: {line}"));
        assert!(!decides.is_empty(), "{file} decides something");
        assert!(numbers.insert(file[..4].to_owned()), "{file} has the number of another record");
        assert!(rows.insert(file.clone(), status.to_owned()).is_none(), "{file} is listed twice");
    }
    for page in pages().iter().filter(|page| page.starts_with(&folder) && !page.ends_with("README.md")) {
        let name = page.file_name().expect("a name").to_string_lossy().into_owned();
        let status = rows.remove(&name).unwrap_or_else(|| panic!("docs/decisions/README.md lacks a row for {name}"));
        match noted(&read(page)) {
            None => assert_eq!(status, "accepted", "{name}: its own note says what amends or supersedes it"),
            Some((word, by)) => assert!(
                status.starts_with(word) && records(&status) == by,
                "{name} says that it is {word} {by:?}, the index says {status:?}"
            ),
        }
    }
    assert!(rows.is_empty(), "the index lists records that are not there: {rows:?}");
}

/// Renews what is made from the sources, instead of comparing it.
fn renew() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

/// What a program of ours prints about itself.
fn help(command: &str) -> String {
    let mut words = command.split(' ');
    let program = words.next().expect("a program");
    let output = Command::new(binary(program)).args(words).arg("--help").output().expect("it runs");
    assert!(output.status.success(), "`{command} --help` fails");
    let text = String::from_utf8(output.stdout).expect("text");
    text.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The commands of `mcproxy`, by its own help.
fn commands() -> Vec<String> {
    let help = help("mcproxy");
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(|name| format!("mcproxy {name}")).collect()
}

#[test]
fn the_help_in_the_page_of_the_command_line_is_the_generated_one() {
    let path = root().join("docs/cli.md");
    let page = read(&path);
    let mut programs = vec!["mcproxy-supervisor".to_owned(), "mcproxy".to_owned()];
    programs.extend(commands());
    programs.push("mcproxy-worker".to_owned());
    let (head, _) = page.split_once("\n## `").expect("a section for each program");
    let sections: String =
        programs.iter().map(|program| format!("\n## `{program}`\n\n```text\n{}\n```\n", help(program))).collect();
    let generated = format!("{head}{sections}");
    if renew() {
        fs::write(&path, &generated).expect("written");
    }
    assert!(read(&path) == generated, "run this test with UPDATE_DOCS=1 and commit docs/cli.md");
}

/// The commands of a page's shell blocks that run this program, each as its words behind the program's name.
fn shown<'p>(text: &'p str, program: &str) -> Vec<Vec<&'p str>> {
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let lines = blocks.flat_map(|(block, _)| block.lines()).map(|line| line.split(" #").next().expect("a first part"));
    let commands = lines.flat_map(|line| line.split("&&")).flat_map(|line| line.split(['|', '(', ')', ';']));
    commands
        .filter_map(|command| {
            let mut words = command.split_whitespace().skip_while(|word| *word == "sudo" || word.contains('='));
            (words.next()?.rsplit('/').next() == Some(program)).then(|| words.collect())
        })
        .collect()
}

#[test]
fn commands_that_the_documents_show_have_the_options_that_they_are_shown_with() {
    let known: BTreeMap<String, String> =
        commands().into_iter().map(|command| (command.clone(), help(&command))).collect();
    let mut seen = 0;
    for page in pages().iter().filter(|page| !page.starts_with(root().join("docs/decisions"))) {
        let text = read(page);
        for (program, with_commands) in [("mcproxy", true), ("mcproxy-supervisor", false), ("mcproxy-worker", false)] {
            for words in shown(&text, program) {
                let line = words.join(" ");
                let mut words = words.into_iter();
                let help = match with_commands {
                    true => words.next().and_then(|name| known.get(&format!("mcproxy {name}"))).cloned(),
                    false => Some(help(program)),
                };
                let help = help.unwrap_or_else(|| panic!("{}: no such command: {program} {line}", page.display()));
                for option in words.filter(|word| word.starts_with('-') && word.len() > 1) {
                    let name = option.split('=').next().expect("a name");
                    assert!(help.contains(name), "{}: there is no `{name}`: {program} {line}", page.display());
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 10, "only {seen} options were found: the pages are read wrongly");
}

/// What stands between single backticks.
fn code(text: &str) -> Vec<String> {
    let lines = prose(text).lines().map(str::to_owned).collect::<Vec<_>>();
    lines.iter().flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn files_that_the_documents_name_exist() {
    let mut wrong = Vec::new();
    // Decisions and changes speak of the files of their time.
    let dated = |page: &Path| {
        page.parent().is_some_and(|folder| folder.ends_with("decisions")) || page.ends_with("CHANGELOG.md")
    };
    for page in pages().iter().filter(|page| !dated(page)) {
        for name in code(&read(page)) {
            let file = name.split([' ', ':']).next().expect("a first word").trim_end_matches('/');
            let folder = file.split('/').next().expect("a first part");
            let ours =
                ["src", "supervisor", "worker", "launcher", "crates", "tests", "docs", "bench", "fuzz", "deploy"]
                    .contains(&folder);
            let place = !file.contains(['*', '{', '…', '<', '$']) && file.contains('/');
            let made = file.starts_with("fuzz/engine/") || file.starts_with("tests/run/");
            if ours && place && !made && !root().join(file).exists() {
                wrong.push(format!("{}: {file}", page.strip_prefix(root()).expect("ours").display()));
            }
        }
    }
    assert!(wrong.is_empty(), "documents name what is not there:\n{}", wrong.join("\n"));
}

/// Every Rust source of the programs, without comments.
fn sources() -> String {
    let mut folders: Vec<PathBuf> =
        ["src", "crates", "supervisor", "worker", "launcher"].map(|folder| root().join(folder)).into();
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = read(&path);
                let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
                code.for_each(|line| text.extend([line, "\n"]));
            }
        }
    }
    text
}

/// Whether a word is written as a type or as a name of several words is in Rust.
fn is_rust_name(word: &str) -> bool {
    let is_type = word.starts_with(|c: char| c.is_ascii_uppercase()) && word.contains(|c: char| c.is_ascii_lowercase());
    let is_name = word.starts_with(|c: char| c.is_ascii_lowercase()) && word.contains('_');
    word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && (is_type || is_name)
}

#[test]
fn types_and_modules_that_the_glossary_names_exist() {
    let sources = sources();
    let words: BTreeSet<&str> = sources.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let names: BTreeSet<String> =
        code(&read(&root().join("docs/glossary.md"))).into_iter().filter(|word| is_rust_name(word)).collect();
    assert!(names.len() > 20, "only {names:?} were found: the glossary is read wrongly");
    let gone: Vec<_> = names.iter().filter(|name| !words.contains(name.as_str())).collect();
    assert!(gone.is_empty(), "docs/glossary.md names what the sources do not: {gone:?}");
}

#[tokio::test]
async fn the_page_about_metrics_names_what_the_gateway_counts_and_nothing_else() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])]})).await;
    let page = proxy.get("/metrics").await.body;
    let described: BTreeSet<String> = read(&root().join("docs/metrics.md"))
        .lines()
        .filter(|line| line.starts_with("| `mcproxy_"))
        .flat_map(|line| code(line.split('|').nth(1).expect("a first column")))
        .map(|name| name.trim_end_matches("_total").to_owned())
        .collect();
    let counted = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let counted: BTreeSet<String> = counted.map(str::to_owned).collect();
    let missing: Vec<_> = counted.difference(&described).collect();
    assert!(missing.is_empty(), "docs/metrics.md does not name {missing:?}");
    // A series appears with the first that is counted.
    let late = [
        "mcproxy_calls",
        "mcproxy_call_errors",
        "mcproxy_call_duration_seconds",
        "mcproxy_approvals",
        "mcproxy_notifications_dropped",
    ];
    let gone: Vec<_> = described.difference(&counted).filter(|name| !late.contains(&name.as_str())).collect();
    assert!(gone.is_empty(), "docs/metrics.md names {gone:?}, which nothing counts");
}
