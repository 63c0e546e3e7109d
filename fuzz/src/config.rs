//! `mcp-servers.json`: what an operator's hand or editor may leave there.

use mcproxy_config::{Config, MAX_SERVERS, diff};

pub(crate) fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let env = |name: &str| (name.len().is_multiple_of(2)).then(|| format!("value of {name}"));
    match Config::parse(text, &env) {
        Ok(config) => {
            assert!(config.servers.len() <= MAX_SERVERS);
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
