//! No text makes the reader panic, overflow its stack or read without a bound.

use mcproxy_config::{Config, LoadError, MAX_FILE};
use proptest::prelude::*;

fn problem(text: &str) -> String {
    Config::parse(text, &|_| None).expect_err("refused").to_string()
}

#[test]
fn a_hundred_thousand_brackets_are_refused_before_anything_recurses() {
    for bracket in ["[", "{\"a\":", "[{\"a\":"] {
        assert!(problem(&bracket.repeat(100_000)).contains("nested deeper than"));
    }
}

#[test]
fn a_file_over_the_bound_is_not_read_to_its_end() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("big.json");
    let file = std::fs::File::create(&path).expect("created");
    file.set_len(1 << 40).expect("sparse");
    let error = Config::load(&path, &|_| None).expect_err("too large").to_string();
    assert!(error.contains(&format!("larger than {MAX_FILE} bytes")), "{error}");
    assert!(problem(&" ".repeat(MAX_FILE + 1)).contains("larger than"));
}

#[test]
fn bytes_that_are_not_utf8_are_located() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("latin1.json");
    std::fs::write(&path, b"{\n\"a\": \"caf\xe9\"}").expect("written");
    let Err(LoadError::Invalid(problems)) = Config::load(&path, &|_| None) else { panic!("not UTF-8") };
    assert_eq!((problems.list()[0].line, problems.list()[0].column), (2, 10));
}

#[test]
fn a_byte_order_mark_moves_no_column() {
    assert!(problem("\u{feff}{\"lisen\":1}").starts_with("1:2 "));
}

#[test]
fn a_hundred_thousand_mistakes_are_told_in_a_hundred_lines() {
    let keys: Vec<String> = (0..100_000).map(|n| format!("\"key{n}\":1")).collect();
    assert_eq!(problem(&format!("{{\"limits\":{{{}}}}}", keys.join(","))).lines().count(), 101);
}

/// JSON that resembles a configuration closely enough to reach every check.
fn resembling() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "servers",
        "mcpServers",
        "name",
        "command",
        "args",
        "env",
        "cwd",
        "timeout",
        "enabled",
        "disabled",
        "restart",
        "tools",
        "allow",
        "rename",
        "limits",
        "defaults",
        "groups",
        "auth",
        "tokens",
        "token",
        "listen",
        "type",
        "a",
        "start",
        "era",
        "${A}",
        "${A:-b}",
        "${",
        "a__b",
        "none",
        "stdio",
        "logging",
        "level",
        "127.0.0.1:1",
        "url",
        "transport",
        "mcp",
        "context_servers",
        "disabledTools",
        "includeTools",
        "options",
        "toolFilter",
        "environment",
        "~/x",
        "$HOME",
        "${input:a}",
        "a b",
        "mcproxy",
        "connect",
    ]);
    let text = word.prop_map(|word| format!("{word:?}"));
    let leaf = prop_oneof![
        text.clone(),
        any::<i32>().prop_map(|n| n.to_string()),
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("1e999".to_owned()),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((text.clone(), inner), 0..7).prop_map(|members| {
                let members: Vec<String> = members.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        let _ = Config::parse(&text, &|_| None);
    }

    #[test]
    fn any_json_is_read_or_refused_with_a_place(text in resembling(), set in any::<bool>()) {
        let read = Config::parse(&text, &|_| set.then(|| "v".to_owned()));
        prop_assert!(read.as_ref().err().is_none_or(|problems| problems.has_errors()));
        let problems = read.as_ref().map_or_else(|problems| problems, |config| &config.problems);
        prop_assert!(!problems.to_string().contains("please report"), "{problems}\n{text}");
        prop_assert!(problems.list().iter().all(|problem| problem.line > 0 && problem.column > 0));
    }

    #[test]
    fn a_valid_server_is_never_lost_because_of_another(
        others in prop::collection::vec(("[ -~é]{0,12}", resembling()), 0..6),
        at in 0_usize..6,
        listed in any::<bool>(),
    ) {
        let valid = r#"{"command":"npx","args":["-y","good"],"name":"good"}"#;
        let mut entries: Vec<String> = others
            .iter()
            .filter(|(name, _)| name != "good")
            .map(|(name, entry)| match listed {
                true => entry.clone(),
                false => format!("{}:{entry}", serde_json::Value::from(name.as_str())),
            })
            .collect();
        let at = at.min(entries.len());
        entries.insert(at, if listed { valid.to_owned() } else { format!(r#""good":{valid}"#) });
        let text = if listed {
            format!(r#"{{"servers":[{}]}}"#, entries.join(","))
        } else {
            format!(r#"{{"mcpServers":{{{}}}}}"#, entries.join(","))
        };
        match Config::parse(&text, &|_| None) {
            Ok(config) => {
                prop_assert_eq!(config.servers.len(), entries.len());
                let good: Vec<_> = config.servers.iter().filter(|server| server.name.as_str() == "good").collect();
                prop_assert_eq!(good.len(), 1);
                prop_assert!(good[0].reach.is_ok(), "{}", config.problems);
            }
            // Only a mistyped key of ours costs more than its own server.
            Err(problems) => prop_assert!(problems.to_string().contains("unknown key"), "{problems}\n{text}"),
        }
    }

    #[test]
    fn a_configuration_with_one_byte_changed_is_read_or_refused(at in 0_usize..200, byte in 0_u8..128) {
        let mut bytes = br#"{"servers":[{"name":"a","command":"npx","args":["-y","${X:-y}"],"env":{"K":"v"},"timeout":30,"tools":{"allow":["a*"]}}],"groups":{"g":{"servers":["a"]}},"auth":"none","listen":"127.0.0.1:12009"}"#.to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let text = String::from_utf8(bytes).expect("ASCII");
        let _ = Config::parse(&text, &|_| None);
    }
}
