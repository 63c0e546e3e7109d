//! `mcp-servers.json`: what an operator's hand or editor may leave there.

use mcproxy_config::{Config, EditableConfig, ForeignEntry, Json, MAX_SERVERS, diff};

pub(crate) fn target(data: &[u8]) {
    edits(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let env = |name: &str| (name.len().is_multiple_of(2)).then(|| format!("value of {name}"));
    match Config::parse(text, &env) {
        Ok(config) => {
            assert!(config.servers.len() <= MAX_SERVERS + 1);
            let same = Config::parse(text, &env).expect("the same text");
            assert!(diff(&config, &same).is_empty(), "a file differs from itself");
            let mut names: Vec<&str> = config.servers.iter().map(|server| server.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), config.servers.len(), "two servers of one name");
        }
        Err(problems) => {
            let said = problems.to_string();
            assert!(!said.trim().is_empty(), "refused without a reason");
            assert!(said.lines().count() <= 101, "problems without end");
        }
    }
}

/// An edit leaves a file that can be read, with the server that it is about and all others.
fn edits(data: &[u8]) {
    let Ok(file) = EditableConfig::of_file(data) else { return };
    for entry in ForeignEntry::all(data).into_iter().flatten() {
        let _ = entry.in_our_words(&"name".try_into().expect("a name"));
    }
    let before: Vec<String> = file.names().map(str::to_owned).collect();
    let new = "fuzz-new".try_into().expect("a name");
    let Ok(more) = file.with_server(&new, &Json::pairs([("command".to_owned(), "x".to_owned())])) else { return };
    let more = EditableConfig::of_file(more.as_bytes()).expect("an edited file is one");
    assert!(more.names().any(|name| name == "fuzz-new"), "it is not there");
    assert!(before.iter().all(|name| more.names().any(|known| known == name)), "another one is not there any more");
    for name in more.names() {
        let edits = [more.without_server(name), more.with_switch(name, false), more.with_switch(name, true)];
        for edited in edits.into_iter().flatten() {
            EditableConfig::of_file(edited.as_bytes()).expect("an edited file is one");
        }
    }
}
