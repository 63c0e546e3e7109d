//! What a valid file means.

use std::collections::HashMap;
use std::time::Duration;

use mcproxy_config::{Config, Era, ServerConfig, Start, diff};
use mcproxy_ipc::{Generation, LaunchSpec};

fn parse(text: &str) -> Config {
    parse_with(text, &[])
}

fn parse_with(text: &str, env: &[(&str, &str)]) -> Config {
    let env: HashMap<&str, &str> = env.iter().copied().collect();
    Config::parse(text, &|name| env.get(name).map(|value| (*value).to_owned())).expect("the file is valid")
}

fn launch(server: &ServerConfig) -> &LaunchSpec {
    server.launch_spec().unwrap_or_else(|| panic!("{:?}", server.blocked()))
}

fn names(config: &Config) -> Vec<&str> {
    config.servers.iter().map(|server| server.name.as_str()).collect()
}

#[test]
fn an_empty_object_and_an_empty_list_are_configurations() {
    for text in ["{}", r#"{"servers":[]}"#, r#"{"mcpServers":{}}"#, "\u{feff}{}"] {
        let config = parse(text);
        assert!(config.servers.is_empty());
        assert_eq!(config.listen.to_string(), "127.0.0.1:12009");
        assert_eq!(config.gateway.tokens, None);
        assert_eq!(config.gateway.list_wait, Duration::from_secs(10));
    }
}

#[test]
fn both_shapes_are_read_in_the_order_of_the_file() {
    let config = parse(
        r#"{"mcpServers":{"z":{"command":"x","type":"STDIO"},"b":{"command":"x"}},
            "servers":[{"name":"y","command":"x"},{"name":"a","command":"x"}]}"#,
    );
    assert_eq!(names(&config), ["z", "b", "y", "a"]);
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let config = parse(r#"{"servers":[{"name":"a","command":"x"}]}"#);
    let server = &config.servers[0];
    assert!(server.enabled);
    assert_eq!(server.timeouts.idle, Duration::from_secs(30));
    assert_eq!(server.timeouts.total, Duration::from_secs(3600));
    assert_eq!(server.start_timeout, Duration::from_secs(60));
    assert_eq!(server.era, Era::Auto);
    assert_eq!(server.restart.initial_delay, Duration::from_secs(1));
    assert_eq!(server.restart.max_delay, Duration::from_secs(60));
    assert_eq!(server.restart.healthy_after, Duration::from_secs(600));
    assert_eq!(server.restart.max_attempts, None);
    assert_eq!(server.limits.line_bytes, 16 << 20);
    assert_eq!(server.limits.concurrent_calls, 256);
}

#[test]
fn defaults_reach_every_server_and_its_own_words_win() {
    let config = parse(
        r#"{"defaults":{"timeout":5,"enabled":false,"env":{"A":"1","B":"1"},"limits":{"maxTools":7}},
            "mcpServers":{"a":{"command":"x","env":{"B":"2"}},"b":{"command":"x","timeout":9,"disabled":false}}}"#,
    );
    let [a, b] = &config.servers[..] else { panic!("two servers") };
    assert_eq!((a.timeouts.idle.as_secs(), b.timeouts.idle.as_secs()), (5, 9));
    assert_eq!((a.enabled, b.enabled), (false, true));
    let env: Vec<(&str, &str)> = launch(a).env.iter().map(|(key, value)| (key.as_str(), value.expose())).collect();
    assert_eq!(env, [("A", "1"), ("B", "2")]);
    assert_eq!((a.limits.tools, a.limits.line_bytes), (7, 16 << 20));
}

#[test]
fn variables_are_replaced_in_every_string_of_an_entry() {
    let config = parse_with(
        r#"{"servers":[{"name":"a","command":"${BIN}/x","args":["--key=${KEY}","${NOPE:-d}","$${KEY}"],"cwd":"${BIN}",
            "env":{"K":"${KEY}"},"era":"${ERA}"}]}"#,
        &[("BIN", "/opt"), ("KEY", "k"), ("ERA", "legacy")],
    );
    let server = &config.servers[0];
    let launch = launch(server);
    assert_eq!((launch.program.as_str(), server.command.as_str()), ("/opt/x", "${BIN}/x"));
    let args: Vec<&str> = launch.args.iter().map(|arg| arg.expose()).collect();
    assert_eq!(args, ["--key=k", "d", "${KEY}"]);
    assert_eq!(launch.cwd.as_deref(), Some("/opt".as_ref()));
    assert_eq!(server.era, Era::Legacy);
}

#[test]
fn an_unset_variable_blocks_its_server_only_and_is_named() {
    let config = parse(
        r#"{"servers":[{"name":"a","command":"x","args":["${A}"],"env":{"K":"${B}"},"era":"${C}","description":"${D}"},
                       {"name":"b","command":"x"}]}"#,
    );
    let [a, b] = &config.servers[..] else { panic!("two servers") };
    let blocked = a.worker_spec(Generation::default()).expect_err("blocked");
    assert_eq!(blocked.to_string(), "environment variables A, B, C are not set");
    assert_eq!(launch(b).program, "x");
}

#[test]
fn an_unset_variable_of_the_defaults_blocks_those_who_inherit_it() {
    let config = parse(
        r#"{"defaults":{"env":{"K":"${A}"}},"mcpServers":{"a":{"command":"x"},"b":{"command":"x","env":{"K":"own"}}}}"#,
    );
    assert!(config.servers[0].blocked().is_some_and(|why| why.to_string().contains("A is not set")));
    assert!(config.servers[1].reach.is_ok());
}

#[test]
fn debug_output_shows_neither_arguments_nor_environment_nor_tokens() {
    let config = parse_with(
        r#"{"auth":{"tokens":[{"name":"me","token":"hunter2-hunter2!"}]},
            "servers":[{"name":"a","command":"x","args":["hunter2"],"env":{"K":"hunter2","L":"${S}"}}]}"#,
        &[("S", "hunter2")],
    );
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_relative_working_directory_starts_beside_the_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("servers.json");
    std::fs::write(&path, r#"{"servers":[{"name":"a","command":"x","cwd":"sub"}]}"#).expect("written");
    let config = Config::load(&path, &|_| None).expect("valid");
    assert_eq!(launch(&config.servers[0]).cwd.as_deref(), Some(dir.path().join("sub").as_ref()));
}

#[test]
fn the_command_line_may_move_the_address_but_not_expose_it() {
    let mut config = parse("{}");
    config.override_listen(None, Some(0)).expect("still loopback");
    assert_eq!(config.listen.to_string(), "127.0.0.1:0");
    let everywhere = "0.0.0.0".parse().expect("an address");
    config.override_listen(Some(everywhere), None).expect_err("no word about auth");
    let mut config = parse(r#"{"auth":"none"}"#);
    config.override_listen(Some(everywhere), None).expect("written out");
}

#[test]
fn groups_keep_their_order_and_know_disabled_servers() {
    let config = parse(
        r#"{"servers":[{"name":"a","command":"x","enabled":false},{"name":"b","command":"x"}],
            "groups":{"g":{"servers":["b","a"]}}}"#,
    );
    let group = &config.gateway.groups[0];
    assert_eq!(group.servers.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn a_diff_says_what_a_reload_must_touch() {
    let old =
        parse(r#"{"mcpServers":{"a":{"command":"x"},"b":{"command":"x"},"c":{"command":"x"},"e":{"command":"x"}}}"#);
    assert!(diff(&old, &old).is_empty());
    let new = parse(
        r#"{"listWait":1,"mcpServers":{"c":{"command":"x","env":{"K":"v"}},"b":{"command":"x","tools":{"deny":["*"]}},
            "d":{"command":"x"},"e":{"command":"x","clientFeatures":["roots"]}}}"#,
    );
    let change = diff(&old, &new);
    assert_eq!(change.added.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["d"]);
    assert_eq!(change.removed.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["a"]);
    let changed: Vec<_> = change.changed.iter().map(|c| (c.name.as_str(), c.needs_new_worker)).collect();
    assert_eq!(changed, [("c", true), ("b", false), ("e", true)], "a server hears once what its client can do");
    assert!(change.reordered && change.gateway_changed && !change.listen_changed && !change.supervisor_changed);
}

#[test]
fn whatever_a_worker_is_told_needs_a_new_worker_when_it_changes() {
    let entry = |more: &str| parse(&format!(r#"{{"servers":[{{"name":"a","command":"x"{more}}}]}}"#));
    let needs = |more: &str| diff(&entry(""), &entry(more)).changed.first().map(|change| change.needs_new_worker);
    for told in [
        r#""args":["y"]"#,
        r#""env":{"K":"v"}"#,
        r#""cwd":"/tmp""#,
        r#""timeout":5"#,
        r#""startTimeout":5"#,
        r#""listTtl":5"#,
        r#""start":"lazy","idleTimeout":5"#,
        r#""era":"legacy""#,
        r#""clientFeatures":["roots"]"#,
        r#""instances":"per-session""#,
        r#""limits":{"maxLine":1048576}"#,
        r#""enabled":false"#,
    ] {
        assert_eq!(needs(&format!(",{told}")), Some(true), "{told}");
    }
    for around in [r#""tools":{"deny":["*"]}"#, r#""restart":{"maxAttempts":3}"#] {
        assert_eq!(needs(&format!(",{around}")), Some(false), "{around}");
    }
}

#[test]
fn a_server_is_eager_unless_it_says_otherwise_and_a_lazy_one_rests_after_five_minutes() {
    let config = parse(
        r#"{"servers":[{"name":"a","command":"x","idleTimeout":5},{"name":"b","command":"x","start":"lazy"},
            {"name":"c","command":"x","start":"lazy","idleTimeout":null}]}"#,
    );
    let starts: Vec<Start> = config.servers.iter().map(|server| server.start).collect();
    let five_minutes = Some(Duration::from_secs(300));
    assert_eq!(starts, [Start::Eager, Start::Lazy { idle_timeout: five_minutes }, Start::Lazy { idle_timeout: None }]);
}

#[test]
fn a_kept_catalogue_belongs_to_the_command_and_not_to_the_values_of_variables() {
    let key = |entry: &str| parse(&format!(r#"{{"servers":[{{"name":"a",{entry}}}]}}"#)).servers[0].catalogue_key();
    let first = key(r#""command":"x","args":["y","z"],"env":{"K":"1"}"#);
    assert!(first.is_some());
    assert_eq!(first, key(r#""command":"x","args":["y","z"],"env":{"K":"2"},"timeout":5,"start":"lazy""#));
    for other in [
        r#""command":"x2","args":["y","z"],"env":{"K":"1"}"#,
        r#""command":"x","args":["yz"],"env":{"K":"1"}"#,
        r#""command":"x","args":["y"],"env":{"z":"","K":"1"}"#,
        r#""command":"x","args":["y","z","K"]"#,
        r#""command":"x","args":["y","z"],"env":{"L":"1"}"#,
        r#""command":"x","args":["y","z"],"env":{"K":"1"},"cwd":"/tmp""#,
    ] {
        assert_ne!(first, key(other), "{other}");
    }
    assert_eq!(key(r#""command":"x","args":["${UNSET}"]"#), None);
}

#[test]
fn what_is_held_in_all_fits_the_largest_message_four_times() {
    let total = |limits: &str, max_line: u64| {
        let text = format!(
            r#"{{"limits":{{{limits}}},"servers":[{{"name":"a","command":"x","limits":{{"maxLine":{max_line}}}}}]}}"#
        );
        Config::parse(&text, &|_| None).map(|config| config.gateway.total_buffered)
    };
    assert_eq!(total("", 16 << 20).ok(), Some(128 << 20));
    assert_eq!(total("", 40 << 20).ok(), Some(160 << 20), "it grows with what is configured");
    assert_eq!(total(r#""maxBody":48000000"#, 1024).ok(), Some(192_000_000));
    assert_eq!(total(r#""totalBuffered":67108864"#, 16 << 20).ok(), Some(64 << 20));
    let too_small = total(r#""totalBuffered":67108863"#, 16 << 20).expect_err("refused").to_string();
    assert!(too_small.contains("/limits/totalBuffered") && too_small.contains("limits.maxBody"), "{too_small}");
    let too_small = total(r#""totalBuffered":67108864"#, 17 << 20).expect_err("refused").to_string();
    assert!(too_small.contains("limits.maxLine of `a`") && too_small.contains("71303168"), "{too_small}");
}
