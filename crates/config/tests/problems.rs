//! Every mistake is located and explained, all of them at once, and none of them repeats a secret.

use mcproxy_config::{Blocked, Config, Problem, Severity};

fn problems(text: &str) -> Vec<Problem> {
    let found = match Config::parse(text, &|_| None) {
        Ok(config) => config.problems,
        Err(problems) => problems,
    };
    assert!(found.has_errors(), "the file has mistakes: {found}");
    found.list().iter().filter(|problem| problem.severity == Severity::Error).cloned().collect()
}

/// `line:column pointer: message` of each problem.
fn lines(text: &str) -> Vec<String> {
    problems(text).iter().map(|p| format!("{}:{} {}: {}", p.line, p.column, p.pointer, p.message)).collect()
}

/// The only problem of one server entry, without its place.
fn about_server(members: &str) -> String {
    let found = problems(&format!(r#"{{"servers":[{{"name":"a",{members}}}]}}"#));
    assert_eq!(found.len(), 1, "{found:?}");
    format!("{}: {}", found[0].pointer, found[0].message)
}

#[test]
fn all_problems_appear_at_once_in_the_order_of_the_file() {
    let text = r#"{
  "listen": "example.org:80",
  "servers": [
    { "name": "a_b", "comand": "npx", "command": "npx" },
    { "name": "ok", "command": "npx", "timeout": "30" },
    { "command": "npx", "args": [[]] }
  ],
  "groups": { "dev": { "servers": ["okk"] } },
  "logging": { "level": "warning" }
}"#;
    let found = lines(text);
    let expected = [
        "2:13 /listen: expected \"host:port\"",
        "4:22 /servers/0/comand: unknown key `comand`; did you mean `command`?",
        "5:50 /servers/1/timeout: expected a number, found a string",
        "6:5 /servers/2: `name` is missing",
        "6:34 /servers/2/args/0: expected a string, found a list",
        "8:36 /groups/dev/servers/0: no server is named `okk`; did you mean `ok`?",
        "9:25 /logging/level: expected `error`, `warn`, `info`, `debug` or `trace`, found another string; did you mean `warn`?",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} does not begin with {expected}");
    }
}

#[test]
fn a_printed_problem_names_file_line_column_and_pointer() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("servers.json");
    std::fs::write(&path, "{\n \"servrs\": []}").expect("written");
    let error = Config::load(&path, &|_| None).expect_err("an unknown key");
    let expected = format!("{}:2:2  /servrs: unknown key `servrs`; did you mean `servers`?", path.display());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::load("/nonexistent/x.json".as_ref(), &|_| None).expect_err("no such file");
    assert_eq!(error.to_string(), "cannot read /nonexistent/x.json");
}

#[test]
fn syntax_errors_are_located() {
    assert_eq!(lines("{\n  \"servers\": [,]\n}"), ["2:15 : not JSON: unexpected comma"]);
    assert!(lines("{ /* comment\n}")[0].contains("omment"));
    assert!(lines("{\"servers\":[]")[0].contains("nterminated object"));
    assert!(lines("{\"listWait\":01}")[0].starts_with("1:1"));
    assert!(lines("{ // a comment\n \"x\" 1}")[0].starts_with("2:"), "comments move no line");
    assert!(lines("{}{}")[0].contains("more than one"));
    assert!(lines("")[0].contains("the file is empty"));
    assert!(lines("[]")[0].contains("expected an object, found a list"));
}

#[test]
fn a_duplicate_key_and_a_duplicate_name_are_problems() {
    assert!(about_server(r#""command":"x","command":"y""#).contains("written twice"));
    let text = r#"{"servers":[{"name":"a","command":"x"}],"mcpServers":{"a":{"command":"y"}}}"#;
    assert_eq!(lines(text), ["1:55 /mcpServers/a: another server is named `a`"]);
}

#[test]
fn a_mistake_in_what_a_server_may_do_is_a_problem_of_its_entry() {
    let cases = [
        (r#""sandbox":"strickt""#, "expected `strict`, `off` or an object"),
        (r#""sandbox":{"wirte":["/x"]}"#, "unknown key `wirte`; did you mean `write`?"),
        (r#""sandbox":{"nothing":[]}"#, "unknown key `nothing`"),
        (r#""sandbox":{"write":"/x"}"#, "expected a list"),
        (r#""sandbox":{"write":[""]}"#, "no path"),
        (r#""sandbox":{"connect":[0]}"#, "between 1 and 65535"),
        (r#""sandbox":{"connect":[443]},"network":"none""#, "no port to connect to"),
        (r#""network":"off""#, "expected `full` or `none`"),
        (r#""runAs":"a:b""#, "no name of a user"),
        (r#""limits":{"cpu":0}"#, "between"),
    ];
    for (keys, expected) in cases {
        let message = about_server(&format!(r#""command":"x",{keys}"#));
        assert!(message.contains(expected), "{keys}: {message}");
    }
}

#[test]
fn a_level_or_a_range_that_cannot_be_read_refuses_the_file() {
    for (text, expected) in [
        (r#"{"hardening":"best effort"}"#, "1:14 /hardening: expected `strict`, `best-effort` or `off`"),
        (r#"{"isolation":{"uids":"60000"}}"#, "1:22 /isolation/uids: write the range of user ids"),
        (r#"{"isolation":{"uid":"off"}}"#, "unknown key `uid`; did you mean `uids`?"),
    ] {
        let found = lines(text).join(" ");
        assert!(found.contains(expected), "{text}: {found}");
    }
}

#[test]
fn numbers_outside_their_range_are_refused() {
    let cases = [
        (r#""timeout":0"#, "/servers/0/timeout"),
        (r#""timeout":-1"#, "/servers/0/timeout"),
        (r#""start":"lazy","idleTimeout":0"#, "/servers/0/idleTimeout"),
        (r#""startTimeout":1e99"#, "/servers/0/startTimeout"),
        (r#""startTimeout":1e999"#, "/servers/0/startTimeout"),
        (r#""limits":{"maxTools":0}"#, "/servers/0/limits/maxTools"),
        (r#""limits":{"maxLine":1.5}"#, "/servers/0/limits/maxLine"),
        (r#""restart":{"maxAttempts":-1}"#, "/servers/0/restart/maxAttempts"),
        (r#""timeout":60,"maxTimeout":30"#, "/servers/0/maxTimeout"),
        (r#""restart":{"initialDelay":60,"maxDelay":30}"#, "/servers/0/restart/maxDelay"),
    ];
    for (member, pointer) in cases {
        let message = about_server(&format!(r#""command":"x",{member}"#));
        assert!(message.starts_with(pointer), "{member}: {message}");
    }
    assert!(lines(r#"{"listen":70000}"#)[0].contains("between 0 and 65535"));
}

#[test]
fn entries_that_no_process_can_be_started_with_are_refused() {
    let cases = [
        (r#""command":"""#, "empty"),
        (r#""command":"npx -y thing""#, "write its arguments in `args`"),
        (r#""command":"x","args":["\u0000"]"#, "NUL"),
        (r#""command":"x","env":{"A=B":"c"}"#, "has no `=`"),
        (r#""command":"npx -y @scope/thing""#, "write its arguments in `args`"),
        (r#""command":"x","env":{"PORT":[80]}"#, "expected a string, found a list"),
        (r#""command":"x","args":[["y"]]"#, "expected a string, found a list"),
        (r#""command":"x","type":"pipe""#, "`stdio`"),
        (r#""command":"x","enabled":true,"disabled":true"#, "contradicts"),
        (r#""command":"x","tools":{"rename":{"a":"x y"}}"#, "letters"),
        (r#""command":"x","tools":{"rename":{"a":"c","b":"c"}}"#, "same name"),
        (r#""command":"x","tools":{"allow":[]}"#, "lets nothing through"),
        (r#""command":"x","args":["${A"]"#, "without its `}`"),
        (r#""command":"x","era":"${1A}""#, "does not name an environment variable"),
        (r#""command":"x","cwd":"${A:-${B}}""#, "nesting"),
        (r#""args":[]"#, "`command` is missing"),
    ];
    for (members, part) in cases {
        let message = about_server(members);
        assert!(message.contains(part), "{members}: {message}");
    }
}

#[test]
fn a_public_address_needs_a_word_about_who_may_call() {
    for listen in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"] {
        let found = lines(&format!(r#"{{"listen":"{listen}"}}"#));
        assert!(found[0].contains("\"tokens\""), "{found:?}");
    }
    for listen in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1"] {
        Config::parse(&format!(r#"{{"listen":"{listen}"}}"#), &|_| None).expect("loopback");
    }
    Config::parse(r#"{"listen":"0.0.0.0:1","auth":"none"}"#, &|_| None).expect("written out");
}

#[test]
fn faulty_tokens_are_explained_and_never_repeated() {
    let cases = [
        (r#""short-secret""#, "expected `none` or an object"),
        (r#"{"tokens":[]}"#, "lets nothing through"),
        (r#"{"tokens":[{"name":"a","token":"short-secret"}]}"#, "fewer than 16"),
        (r#"{"tokens":[{"name":"a"}]}"#, "`token` or `sha256` is missing"),
        (r#"{"tokens":[{"name":"a","sha256":"short-secret"}]}"#, "64 hexadecimal"),
        (r#"{"tokens":[{"name":"a","token":"${NOPE}"}]}"#, "environment variable NOPE is not set"),
        (r#"{"tokens":[{"name":"a","token":"a-long-secret-of-a","servers":["tmie"]}]}"#, "no server is named `tmie`"),
        (r#"{"tokens":[{"name":"a","token":"a-long-secret-of-a","groups":["home"]}]}"#, "no group is named `home`"),
        (r#"{"tokens":[{"name":"a","token":"a-long-secret-of-a","tools":["read"]}]}"#, "`{server}__{tool}`"),
        (r#"{"tokens":[{"name":"a","token":"a-long-secret-of-a","expires":"tomorrow"}]}"#, "`2027-01-31`"),
        (
            r#"{"tokens":[{"name":"a","token":"a-long-secret-of-a"},{"name":"a","token":"a-new-secret-of-a","tools":[]}]}"#,
            "all tokens of one name have the same",
        ),
        (
            r#"{"tokens":[{"name":"a","token":"a-long-secret-of-a"},{"name":"b","token":"a-long-secret-of-a"}]}"#,
            "the same token is there twice",
        ),
    ];
    for (auth, part) in cases {
        let found = lines(&format!(r#"{{"auth":{auth}}}"#));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(part) && !found[0].contains("short-secret"), "{found:?}");
    }
}

#[test]
fn a_token_may_use_what_it_names_and_two_tokens_may_have_one_name() {
    let text = r#"{"mcpServers":{"time":{"command":"x"}},"groups":{"home":{"servers":["time"]}},"auth":{"tokens":[
        {"name":"a","token":"an-old-secret-of-a","servers":["time","mcproxy"],"groups":["home"],"tools":["time__*"],"view":"search"},
        {"name":"a","token":"a-new-secret-of-a!","servers":["time","mcproxy"],"groups":["home"],"tools":["time__*"],"view":"search",
         "expires":"2031-01-31T12:00:00+01:00"}]}}"#;
    let config = Config::parse(text, &|_| None).expect("nothing is wrong with it");
    let tokens = config.gateway.tokens.expect("there are tokens");
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[0].access, tokens[1].access);
    let servers: Vec<&str> = tokens[0].access.servers.iter().flatten().map(|name| name.as_str()).collect();
    assert_eq!(servers, ["time", "mcproxy"]);
    let at = |unix| Some(std::time::UNIX_EPOCH + std::time::Duration::from_secs(unix));
    assert_eq!((tokens[0].expires, tokens[1].expires), (None, at(1_927_623_600)));
}

#[test]
fn a_value_from_the_environment_appears_in_no_message() {
    let secret = "hunter2-hunter2!";
    let text = r#"{
      "listen": "${S}", "auth": "${S}", "allowedHosts": ["${S}"], "groups": {"g": {"servers": ["${S}"]}},
      "servers": [{"name": "${S}", "command": "${S} x", "era": "${S}", "type": "${S}", "cwd": ["${S}"],
        "tools": {"rename": {"a": "${S}"}}}]}"#;
    let problems = Config::parse(text, &|_| Some(secret.into())).expect_err("all of it is wrong");
    assert!(problems.list().len() >= 8, "{problems}");
    assert!(!problems.to_string().contains("hunter2"), "{problems}");
    assert!(!format!("{problems:?}").contains("hunter2"));
}

#[test]
fn an_unset_variable_outside_the_servers_is_one_problem() {
    assert_eq!(lines(r#"{"allowedHosts":["${env:A}"]}"#).len(), 1);
    for member in [r#""listen":"${A}""#, r#""logging":{"level":"${A}"}"#, r#""allowedHosts":["${A}"]"#] {
        let found = lines(&format!("{{{member}}}"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with("environment variable A is not set"), "{found:?}");
    }
    let text = r#"{"servers":[],"groups":{"g":{"servers":["${A}"]}}}"#;
    assert_eq!(lines(text), ["1:41 /groups/g/servers/0: environment variable A is not set"]);
}

#[test]
fn a_group_that_has_no_name_is_quoted() {
    let found = lines(r#"{"groups":{"x\u001by":{"servers":[]}}}"#);
    assert!(found.len() == 1 && found[0].contains("`x\\u{1b}y` is no name"), "{found:?}");
}

#[test]
fn what_would_not_fit_into_a_message_between_our_processes_is_a_problem() {
    let long = "x".repeat(200 << 10);
    assert!(
        Config::parse(&format!(r#"{{"servers":[{{"name":"a","command":"x","args":["{long}"]}}]}}"#), &|_| None).is_ok()
    );
    for members in [
        format!(r#""args":["{long}"],"env":{{"A":"{long}"}}"#),
        format!(r#""args":["{long}"],"tools":{{"describe":{{"a":"{long}"}}}}"#),
        r#""args":["${LONG}","${LONG}"]"#.to_owned(),
    ] {
        let text = format!(r#"{{"servers":[{{"name":"a","command":"x",{members}}}]}}"#);
        let config = Config::parse(&text, &|_| Some(long.clone())).expect("it concerns one server");
        assert!(matches!(config.servers[0].reach, Err(Blocked::Mistake(_))), "{}", config.problems);
        let found = config.problems.to_string();
        assert!(found.contains("/servers/0") && found.contains("more than the 262144 that fit"), "{found}");
        assert!(!found.contains("xxx"), "no values: {found}");
    }
    let server = |n: usize| format!(r#""s{n}":{{"command":"x","tools":{{"deny":["{long}"]}}}}"#);
    let found = lines(&format!(r#"{{"mcpServers":{{{},{},{}}}}}"#, server(1), server(2), server(3)));
    assert!(found.len() == 1 && found[0].contains("more than the 524288 that fit"), "{found:?}");

    let many: Vec<String> = (0..1001).map(|n| format!(r#""s{n}":{{"command":"x"}}"#)).collect();
    let found = lines(&format!(r#"{{"mcpServers":{{{}}}}}"#, many.join(",")));
    assert!(found.len() == 1 && found[0].contains("at most 1000"), "{found:?}");
    assert!(Config::parse(&format!(r#"{{"mcpServers":{{{}}}}}"#, many[..1000].join(",")), &|_| None).is_ok());

    let found = lines(&format!(r#"{{"allowedHosts":["{}"]}}"#, vec!["h.example"; 50_000].join(r#"",""#)));
    assert!(found.len() == 1 && found[0].contains("more than the 524288 that fit"), "{found:?}");
}
