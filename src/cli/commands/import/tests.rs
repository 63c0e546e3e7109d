//! Whole imports, from files to a configuration that MCProxy accepts.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

const DUMP: &str = include_str!("../../../../tests/metamcp/dump.json");
const EXPORT: &str = include_str!("../../../../tests/metamcp/mcp-servers-export.json");
const UNIT: &str = include_str!("../../../../tests/metamcp/metamcp.container");
const ENV: &str = include_str!("../../../../tests/metamcp/metamcp.env");

/// What files come to.
struct Outcome {
    config: Value,
    imported: Imported,
    report: ImportReport,
}

impl Outcome {
    fn variables(&self) -> String {
        self.imported.secrets.text().unwrap_or_default()
    }

    fn server(&self, name: &str) -> &Value {
        &self.config["mcpServers"][name]
    }
}

fn read(texts: &[&str], report: &mut ImportReport) -> Installation {
    let mut installation = Installation::default();
    for (at, text) in texts.iter().enumerate() {
        input::recognise(text, &format!("file {at}"), &mut installation, report).expect("a file of MetaMCP");
    }
    installation
}

fn import(texts: &[&str]) -> Outcome {
    import_of(texts, None).expect("one user")
}

fn import_of(texts: &[&str], user: Option<&str>) -> Result<Outcome, SeveralUsers> {
    let mut report = ImportReport::default();
    let mut installation = read(texts, &mut report);
    configuration::choose_user(&mut installation, user, &mut report)?;
    let imported = configuration::convert(&installation, None, &|| "a-new-token-of-ours".into(), &mut report);
    let refused = check(&imported, Path::new("mcp-servers.json"), &mut report).expect("a good configuration");
    assert!(!refused, "{}", imported.text);
    let config = serde_json::from_str(&imported.text).expect("JSON");
    Ok(Outcome { config, imported, report })
}

/// A dump with these tables changed.
fn dump_with(change: impl FnOnce(&mut Map<String, Value>)) -> String {
    let mut dump: Value = serde_json::from_str(DUMP).expect("JSON");
    change(dump.as_object_mut().expect("an object"));
    dump.to_string()
}

#[test]
fn an_installation_of_twelve_servers_is_taken_over() {
    let outcome = import(&[DUMP, UNIT, ENV]);
    let config = &outcome.config;
    assert_eq!(config["listen"], "0.0.0.0:12008", "where the container was reached");
    assert_eq!(config["allowedHosts"], json!(["tools.lan"]));
    assert_eq!(config["defaults"], json!({"timeout": 120, "maxTimeout": 600}));
    let tokens = config["auth"]["tokens"].as_array().expect("tokens");
    assert_eq!((tokens.len(), &tokens[0]["name"]), (1, &json!("laptop")), "the inactive key is left out");
    assert_eq!(config["auth"]["queryKey"], true);
    assert_eq!(config["mcpServers"].as_object().expect("servers").len(), 12);
    assert_eq!(
        config["groups"]["default"],
        json!({
            "servers": ["context7", "deepwiki", "everything", "files", "home_assistant", "memory", "playwright", "search",
                        "thinking", "time"],
            "paths": ["/metamcp/home"],
            "auth": "none",
            "tools": {
                "deny": ["mcproxy__*"],
                "rename": {"time__get_current_time": "now"},
                "describe": {"time__get_current_time": "The time now"},
                "title": {"time__get_current_time": "Now"},
                "annotations": {"time__get_current_time": {"readOnlyHint": true}},
            },
        })
    );
    assert_eq!(
        config["groups"]["work"],
        json!({
            "servers": ["deepwiki", "files", "github", "time"],
            "paths": ["/metamcp/work"],
            "tools": {"deny": ["mcproxy__*", "files__write_file"]},
        })
    );
    assert_eq!(outcome.server("claude")["disabled"], true, "no namespace has it active");
    assert_eq!(outcome.server("everything")["tools"], json!({"deny": ["get-env"]}), "no namespace shows it");
    assert_eq!(outcome.server("github")["tools"], json!({"deny": ["delete_file"]}));
    assert_eq!(outcome.server("files")["tools"], Value::Null, "one namespace shows all of it");
    assert_eq!(
        *outcome.server("home_assistant"),
        json!({"type": "sse", "url": "http://192.168.50.20:8123/mcp_server/sse", "bearerToken": "${HOME_ASSISTANT_TOKEN}"})
    );
    assert_eq!(outcome.server("memory")["env"], json!({"MEMORY_FILE_PATH": "/srv/memory.json"}), "a path is no secret");
    assert_eq!(outcome.server("search")["env"], json!({"PERPLEXITY_API_KEY": "${PERPLEXITY_API_KEY}"}));
    let variables = outcome.variables();
    for line in [
        "GITHUB_TOKEN=ghp_EXAMPLEEXAMPLEEXAMPLE\n",
        "PERPLEXITY_API_KEY=pplx-0123456789\n",
        "HOME_ASSISTANT_TOKEN=eyJhbGciOi.ha.token\n",
        "CONTEXT7_API_KEY=ctx7sk-1234\n",
    ] {
        assert!(variables.contains(line), "{variables}");
    }
    for secret in ["pplx-", "ghp_", "eyJ", "ctx7sk", "sk_mt_", "m3t4mcp", "super-secret"] {
        assert!(!outcome.imported.text.contains(secret), "{}", outcome.imported.text);
    }
    let lost = outcome.report.of(Weight::Lost);
    assert!(lost.iter().any(|text| text.starts_with("work: its bound on how often")), "{lost:?}");
    let access = outcome.report.of(Weight::Access);
    assert!(access.iter().any(|text| text.starts_with("home: needs no key, as in MetaMCP")), "{access:?}");
}

#[test]
fn the_order_of_files_changes_nothing() {
    let one = import(&[DUMP, UNIT, ENV, EXPORT]);
    let other = import(&[EXPORT, ENV, UNIT, DUMP]);
    assert_eq!(one.config["groups"], other.config["groups"]);
    assert_eq!(one.config["mcpServers"], other.config["mcpServers"]);
    assert_eq!(one.variables(), other.variables());
}

#[test]
fn an_export_holds_servers_and_nothing_says_who_may_call() {
    let outcome = import(&[EXPORT]);
    assert_eq!(outcome.config["listen"], "127.0.0.1:12008");
    assert_eq!((&outcome.config["auth"], &outcome.config["groups"]), (&Value::Null, &Value::Null));
    assert_eq!(outcome.config["mcpServers"].as_object().expect("servers").len(), 12);
    assert_eq!(outcome.server("claude")["disabled"], Value::Null, "an export does not say which are in use");
    let todo = outcome.report.of(Weight::ToDo);
    assert!(todo.iter().any(|text| text.contains("set GITHUB_TOKEN")), "{todo:?}");
    assert!(outcome.variables().ends_with("GITHUB_TOKEN=${GITHUB_TOKEN}\n"), "{}", outcome.variables());
    let unit = import(&[EXPORT, UNIT]);
    assert_eq!(unit.config["listen"], "127.0.0.1:12008", "without keys it is not opened to others");
}

#[test]
fn namespaces_of_the_environment_open_nothing_that_only_the_database_knows() {
    let outcome = import(&[EXPORT, ENV]);
    assert_eq!(outcome.config["groups"]["default"]["servers"], json!([]));
    let todo = outcome.report.of(Weight::ToDo);
    assert!(todo.iter().any(|text| text.starts_with("default: which servers are in it")), "{todo:?}");
    assert_eq!(outcome.config["auth"]["tokens"], json!([{"name": "operator", "token": "${MCP_OPERATOR_TOKEN}"}]));
    assert!(outcome.variables().contains("MCP_OPERATOR_TOKEN=a-new-token-of-ours\n"));
}

#[test]
fn rows_with_fewer_and_with_more_columns_are_read() {
    let bare = r#"{"servers": [
            {"name": "a", "command": "x"},
            {"name": "b", "type": "streamable_http", "url": "http://localhost:1/mcp", "k8s_pod": "p", "args": null},
            {"name": "c", "type": "Std", "command": "y", "args": "one two", "env": "{\"A\": 1, \"B\": null, \"C\": true}"},
            {"type": "STDIO", "command": "z"}, 7, {"name": "d", "type": "WEBSOCKET", "url": "ws://x"}, {"name": "e"}
        ],
        "namespaces": [{"name": "n"}],
        "namespace_servers": [{"namespace": "n", "server": "a"}, {"namespace": "n", "server": "b", "status": "active"},
                              {"namespace": "n", "server": "c"}, {"namespace": "gone", "server": "a"}],
        "endpoints": [{"name": "e1", "namespace": "n"}, {"name": "e2", "namespace": "gone"}, {"namespace": "n"}],
        "api_keys": [{"key": " sk_mt_1 "}, {"name": "no value"}, {"name": "twice", "key": "sk_mt_1"}],
        "config": [], "new_table": [{"x": 1}]}"#;
    let outcome = import(&[bare]);
    assert_eq!(outcome.server("c")["args"], json!(["one", "two"]));
    assert_eq!(outcome.server("c")["env"], json!({"A": "1", "C": "true"}));
    assert_eq!(outcome.server("b"), &json!({"type": "http", "url": "http://localhost:1/mcp"}));
    assert_eq!(outcome.config["groups"]["n"]["servers"], json!(["a", "b", "c"]));
    assert_eq!(outcome.config["groups"]["n"]["auth"], Value::Null, "what is not said is closed");
    assert_eq!(outcome.config["auth"]["tokens"].as_array().expect("tokens").len(), 1);
    let lost = outcome.report.of(Weight::Lost).join("\n");
    for said in
        ["`k8s_pod`", "d: its type `WEBSOCKET`", "e: it has neither", "e2: the namespace", "a server without a name"]
    {
        assert!(lost.contains(said), "{said}: {lost}");
    }
}

#[test]
fn names_that_are_none_are_mapped_and_reported() {
    let export = r#"{"mcpServers": {
        "my server": {"command": "a"}, "my__server": {"command": "b"}, "mcproxy": {"command": "c"}, "ok": {"command": "d"},
        "ok": {"command": "e"}, "日本": {"command": "f"}
    }}"#;
    let outcome = import(&[export]);
    let servers = outcome.config["mcpServers"].as_object().expect("servers");
    assert_eq!(servers.len(), 6, "{servers:?}");
    assert_eq!((&servers["my-server"]["command"], &servers["my_server"]["command"]), (&json!("a"), &json!("b")));
    assert_eq!((&servers["ok"]["command"], &servers["ok-2"]["command"]), (&json!("d"), &json!("e")));
    assert_eq!(outcome.report.of(Weight::Lost).len(), 5, "{:?}", outcome.report);
    let dump = dump_with(|dump| {
        for row in dump["servers"].as_array_mut().expect("rows") {
            if row["name"] == "time" {
                row["name"] = json!("the time");
            }
        }
        dump["namespaces"][0]["name"] = json!("my__home");
        dump["endpoints"][0]["name"] = json!("my__home");
    });
    let outcome = import(&[&dump]);
    let group = &outcome.config["groups"]["my_home"];
    assert_eq!(group["paths"], json!(["/metamcp/my__home"]), "clients find it where it was");
    assert_eq!(group["tools"]["rename"], json!({"the-time__get_current_time": "now"}));
}

#[test]
fn texts_that_look_like_references_stay_what_they_are() {
    let export = r#"{"mcpServers": {"a": {"command": "sh", "args": ["-c", "echo ${HOME}"],
        "env": {"A": "x${B}", "C": "${D:-1}", "E": "${HOME}", "F": "${F_TOKEN}"}, "description": "${x}"}}}"#;
    let outcome = import(&[export]);
    let server = outcome.server("a");
    assert_eq!(server["args"], json!(["-c", "echo $${HOME}"]));
    assert_eq!(server["env"], json!({"A": "x$${B}", "C": "$${D:-1}", "E": "${HOME}", "F": "${F_TOKEN}"}));
    assert!(outcome.variables().contains("F_TOKEN=${F_TOKEN}"));
}

#[test]
fn secrets_that_no_file_of_variables_can_hold_make_the_configuration_private() {
    let export = r#"{"mcpServers": {"a": {"command": "x", "env": {"PRIVATE_KEY": "-----BEGIN\nabc\n-----END"}}}}"#;
    let outcome = import(&[export]);
    assert!(outcome.imported.keeps_secrets);
    assert_eq!(outcome.server("a")["env"]["PRIVATE_KEY"], "-----BEGIN\nabc\n-----END");
}

#[test]
fn private_things_of_several_users_are_not_mixed() {
    let dump = dump_with(|dump| {
        dump["users"].as_array_mut().expect("rows").push(json!({"id": "u2", "email": "other@example.org"}));
        dump["endpoints"][1]["user_id"] = json!("u2");
        dump["servers"][0]["user_id"] = json!("u2");
    });
    let Err(error) = import_of(&[&dump], None) else { panic!("users were mixed") };
    assert!(error.to_string().contains("op@example.org, other@example.org"), "{error}");
    let outcome = import_of(&[&dump], Some("op@example.org")).expect("one user");
    assert_eq!(outcome.config["mcpServers"].as_object().expect("servers").len(), 11);
    let outcome = import_of(&[&dump], Some("other@example.org")).expect("one user");
    assert_eq!(outcome.config["groups"]["work"]["paths"], json!(["/metamcp/work"]));
    let operator = json!([{"name": "operator", "token": "${MCP_OPERATOR_TOKEN}"}]);
    assert_eq!(outcome.config["auth"]["tokens"], operator, "the other one's key opens nothing");
}

#[test]
fn a_namespace_with_an_open_and_a_closed_endpoint_is_two_groups() {
    let dump = dump_with(|dump| {
        let mut endpoint = dump["endpoints"][0].clone();
        endpoint["name"] = json!("inner");
        endpoint["enable_api_key_auth"] = json!(true);
        let mut oauth = dump["endpoints"][0].clone();
        oauth["name"] = json!("web");
        oauth["enable_oauth"] = json!(true);
        dump["endpoints"].as_array_mut().expect("rows").extend([endpoint, oauth]);
    });
    let outcome = import(&[&dump]);
    let groups = &outcome.config["groups"];
    assert_eq!(
        (&groups["default"]["paths"], &groups["default"]["auth"]),
        (&json!(["/metamcp/inner", "/metamcp/web"]), &Value::Null)
    );
    assert_eq!((&groups["home"]["paths"], &groups["home"]["auth"]), (&json!(["/metamcp/home"]), &json!("none")));
    assert_eq!(groups["home"]["servers"], groups["default"]["servers"]);
    let access = outcome.report.of(Weight::Access).join("\n");
    assert!(access.contains("web: clients that signed in by OAuth"), "{access}");
    assert!(access.contains("inner: a key may stand in its URL now"), "{access}");
}

#[test]
fn overrides_that_cannot_be_kept_are_reported() {
    let dump = dump_with(|dump| {
        for row in dump["namespace_tools"].as_array_mut().expect("rows") {
            if row["tool"] == "get_current_time" {
                row["override_name"] = json!("the time!");
                row["override_description"] = json!("");
                row["override_annotations"] = json!({"destructiveHint": "false", "color": "red", "title": "${T}"});
            }
        }
    });
    let outcome = import(&[&dump]);
    let tools = &outcome.config["groups"]["default"]["tools"];
    assert_eq!(tools["rename"], Value::Null);
    assert_eq!(tools["describe"], json!({"time__get_current_time": ""}), "an empty description is one");
    assert_eq!(tools["annotations"]["time__get_current_time"], json!({"destructiveHint": false, "title": "$${T}"}));
    let lost = outcome.report.of(Weight::Lost).join("\n");
    assert!(lost.contains("`the time!`") && lost.contains("`color`"), "{lost}");
}

#[test]
fn a_report_for_people_is_eighty_columns_wide() {
    let outcome = import(&[DUMP, UNIT]);
    let (mut console, out) = crate::cli::tests::buffers();
    outcome.report.write(&mut console).expect("written");
    let text = out.text();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for title in ["Who may call", "Not as it was", "To do", "Notes"] {
        assert!(text.lines().any(|line| line == title), "{text}");
    }
}

/// Texts as strangers write them: names, references, odd characters.
fn texts() -> impl Strategy<Value = Value> {
    const WORDS: &[&str] =
        &["a", "b__c", "the server", "STDIO", "sse", "INACTIVE", "true", "${A}", "x${B}y", "", "/x", "http://h/x"];
    prop_oneof![
        4 => prop::sample::select(WORDS).prop_map(Value::from),
        2 => "\\PC{0,12}".prop_map(Value::from),
        1 => "[a-z\\n\\t\\\\\"'$\\{\\}*=:-]{0,12}".prop_map(Value::from),
        1 => prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i32>().prop_map(Value::from)],
    ]
}

fn rows(columns: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        6 => texts(),
        1 => prop::collection::vec(texts(), 0..3).prop_map(Value::from),
        1 => prop::collection::btree_map("[A-Za-z_ =]{0,6}", texts(), 0..3).prop_map(|map| json!(map)),
    ];
    let row = prop::collection::btree_map(prop::sample::select(columns), value, 0..columns.len());
    prop::collection::vec(row.prop_map(|row| json!(row)), 0..5).prop_map(Value::from)
}

fn dumps() -> impl Strategy<Value = Value> {
    const SERVERS: &[&str] = &[
        "name",
        "uuid",
        "type",
        "command",
        "args",
        "env",
        "url",
        "headers",
        "bearer_token",
        "user_id",
        "description",
        "error_status",
    ];
    const TOOLS: &[&str] = &[
        "namespace",
        "server",
        "tool",
        "status",
        "override_name",
        "override_title",
        "override_description",
        "override_annotations",
    ];
    let tables = (
        rows(SERVERS),
        rows(&["name", "uuid", "user_id"]),
        rows(&["namespace", "server", "status"]),
        rows(TOOLS),
        rows(&["name", "namespace", "enable_api_key_auth", "use_query_param_auth", "enable_oauth", "user_id"]),
        rows(&["name", "key", "is_active"]),
        prop::collection::btree_map(prop::sample::select(&["MCP_TIMEOUT", "SESSION_LIFETIME"][..]), texts(), 0..2),
    );
    tables.prop_map(|(servers, namespaces, namespace_servers, namespace_tools, endpoints, api_keys, config)| {
        json!({
            "servers": servers, "namespaces": namespaces, "namespace_servers": namespace_servers,
            "namespace_tools": namespace_tools, "endpoints": endpoints, "api_keys": api_keys, "config": config,
        })
    })
}

proptest! {
    #[test]
    fn whatever_a_dump_says_the_result_is_a_configuration(dump in dumps()) {
        let mut report = ImportReport::default();
        let mut installation = Installation::default();
        dump::read(&dump, "dump", &mut installation, &mut report);
        if configuration::choose_user(&mut installation, None, &mut report).is_err() {
            configuration::choose_user(&mut installation, Some("a"), &mut report).expect("one user");
        }
        let imported = configuration::convert(&installation, None, &|| "a-new-token-of-ours".into(), &mut report);
        let config = check(&imported, Path::new("mcp-servers.json"), &mut report);
        prop_assert!(config.is_ok(), "{:?} of {dump}\n{}", config, imported.text);
    }
}
