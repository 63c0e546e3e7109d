//! What a file lets its servers do.

use std::path::{Path, PathBuf};

use mcproxy_config::{Config, IsolationConfig, LoadError, UidRange, Uids, diff};
use mcproxy_confine::{Hardening, Network, Reading, Sandbox};

/// The file as it is read from `/srv/mcp-servers.json`.
fn read(text: &str) -> Config {
    try_read(text).expect("valid")
}

fn try_read(text: &str) -> Result<Config, LoadError> {
    let env = |name: &str| match name {
        "HOME" => Some("/home/me".to_owned()),
        "DATA" => Some("/data".to_owned()),
        _ => None,
    };
    Config::of_file(text.as_bytes(), Path::new("/srv/mcp-servers.json"), &env)
}

/// What a server with these keys may do, below these defaults.
fn sandbox(keys: &str, defaults: &str) -> Sandbox {
    let config = read(&format!(r#"{{"defaults":{{{defaults}}},"mcpServers":{{"a":{{"command":"x"{keys}}}}}}}"#));
    assert!(config.servers[0].reach.is_ok(), "{:?}", config.problems);
    config.servers[0].confinement.sandbox.clone()
}

fn paths(paths: &[&str]) -> Vec<PathBuf> {
    paths.iter().map(PathBuf::from).collect()
}

#[test]
fn without_a_word_a_server_reads_everything_and_writes_its_own() {
    assert_eq!(sandbox("", ""), Sandbox::default());
    assert_eq!(sandbox(r#","sandbox":{}"#, ""), Sandbox::default());
    assert_eq!(sandbox(r#","sandbox":null"#, ""), Sandbox::default());
}

#[test]
fn the_words_strict_and_off_are_what_they_say() {
    assert_eq!(sandbox(r#","sandbox":"strict""#, "").reading, Reading::Only(Vec::new()));
    assert!(!sandbox(r#","sandbox":"off""#, "").files);
}

#[test]
fn paths_are_relative_to_the_file_and_may_begin_at_home_or_in_a_variable() {
    let found = sandbox(
        r#","sandbox":{"read":["data","~/notes","/etc"],"write":["~","${DATA}/x"],"deny":["./secret"],"connect":[443,5432],"bind":[],"namespaces":true}"#,
        "",
    );
    let expected = Sandbox {
        files: true,
        reading: Reading::Only(paths(&["/srv/data", "/home/me/notes", "/etc"])),
        write: paths(&["/home/me", "/data/x"]),
        deny: paths(&["/srv/secret"]),
        network: Network::Ports(vec![443, 5432]),
        bind: Some(Vec::new()),
        namespaces: true,
    };
    assert_eq!(found, expected);
    assert_eq!(sandbox(r#","network":"none""#, "").network, Network::None);
}

#[test]
fn a_path_in_a_variable_that_is_not_set_blocks_its_server() {
    let config = read(r#"{"mcpServers":{"a":{"command":"x","sandbox":{"deny":["${NOPE}/x"]}},"b":{"command":"x"}}}"#);
    assert!(matches!(&config.servers[0].reach, Err(why) if why.variables() == ["NOPE"]));
    assert!(config.servers[1].reach.is_ok());
}

#[test]
fn a_server_that_names_paths_of_its_own_stays_within_the_strict_defaults() {
    let found = sandbox(r#","sandbox":{"write":["/out"]}"#, r#""sandbox":"strict""#);
    assert_eq!((found.reading, found.write), (Reading::Only(Vec::new()), paths(&["/out"])));
    let found = sandbox(r#","sandbox":"strict""#, r#""sandbox":{"deny":["~/.ssh"]}"#);
    assert_eq!((found.reading, found.deny), (Reading::Only(Vec::new()), paths(&["/home/me/.ssh"])));
    assert!(!sandbox(r#","sandbox":"off""#, r#""sandbox":"strict""#).files);
    assert!(sandbox(r#","sandbox":{}"#, r#""sandbox":"off""#).files);
}

#[test]
fn a_mistake_in_a_sandbox_never_leads_to_a_start_without_one() {
    for sandbox in [r#""of""#, "true", "7", r#"{"wirte":[]}"#, r#"{"deny":[7]}"#, r#"{"connect":["x"]}"#] {
        match try_read(&format!(r#"{{"mcpServers":{{"a":{{"command":"x","sandbox":{sandbox}}}}}}}"#)) {
            Ok(config) => assert!(config.servers[0].reach.is_err(), "{sandbox}"),
            // A key that looks mistyped.
            Err(refused) => assert!(refused.to_string().contains("unknown key"), "{sandbox}: {refused}"),
        }
    }
}

#[test]
fn a_changed_sandbox_or_account_is_a_new_worker_and_a_changed_level_a_restart_of_all() {
    let server = |keys: &str| read(&format!(r#"{{"mcpServers":{{"a":{{"command":"x"{keys}}}}}}}"#));
    let plain = server("");
    for keys in [r#","sandbox":"strict""#, r#","network":"none""#, r#","runAs":"me""#, r#","limits":{"cpu":1.5}"#] {
        let changes = diff(&plain, &server(keys));
        assert!(changes.changed.iter().any(|change| change.needs_new_worker), "{keys}");
        assert!(changes.needs_restart.is_empty());
    }
    let changes = diff(&read("{}"), &read(r#"{"hardening":"strict","isolation":{"uids":"70000-70999"}}"#));
    assert_eq!(changes.needs_restart, ["hardening", "isolation"]);
    assert!(!changes.is_empty());
}

#[test]
fn levels_ranges_and_limits_are_read() {
    let config = read(
        r#"{"hardening":"strict","isolation":{"uids":"70000-70999"},
            "mcpServers":{"a":{"command":"x","runAs":"me","limits":{"cpu":0.25,"maxFileSize":1048576,"maxFiles":64}}}}"#,
    );
    assert_eq!(config.hardening, Hardening::Strict);
    assert_eq!(config.isolation, IsolationConfig { uids: Uids::Range(UidRange { first: 70_000, last: 70_999 }) });
    let server = &config.servers[0];
    let limits = server.confinement.limits;
    assert_eq!(server.run_as.as_deref(), Some("me"));
    assert_eq!((server.limits.cpu_millis, limits.file_bytes, limits.files), (Some(250), Some(1 << 20), Some(64)));
}
