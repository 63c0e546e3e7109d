use std::{collections::BTreeSet, sync::Arc};

use mcproxy_ipc::{ServerName, ToolRules};
use mcproxy_mcp::{RawArray, RawObject, qualify_name, qualify_uri};
use proptest::prelude::*;

use super::{list::PageLimits, *};
use crate::gateway::rewrite::Naming;

type Part = (ServerName, Arc<ServerCatalogue>);

fn name(text: &str) -> ServerName {
    ServerName::try_from(text).expect("a server name")
}

fn read_with(server: &str, payload: &str, rules: &ToolRules) -> (Part, Vec<String>) {
    let server = name(server);
    let (catalogue, warnings) = ServerCatalogue::read(&server, payload.as_bytes(), rules).expect("an object");
    ((server, Arc::new(catalogue)), warnings.iter().map(ToString::to_string).collect())
}

fn read(server: &str, payload: &str) -> Part {
    read_with(server, payload, &ToolRules::default()).0
}

fn all(view: &View, kind: ListKind) -> String {
    String::from_utf8(view.list(kind, None, Readers::Sessions).expect("no cursor").to_vec()).expect("UTF-8")
}

/// The keys on one page, and the next cursor.
fn page(view: &View, kind: ListKind, cursor: Option<&str>) -> (Vec<String>, Option<String>) {
    let bytes = view.list(kind, cursor, Readers::Sessions).expect("a cursor of this list");
    let object = RawObject::from_slice(&bytes).expect("JSON");
    let entries = RawArray::from_raw(object.get(kind.member()).expect("the list")).expect("an array").0;
    let field = kind.name_field();
    let key = |raw| RawObject::from_raw(raw).expect("an entry").get_string(field).expect("a key").into_owned();
    (entries.into_iter().map(key).collect(), object.get_string("nextCursor").map(Into::into))
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

const TOOLS: &str = r#"{"tools":[ {"title":"T","name":"b","inputSchema":{"type":"object"},"x-vendor":{"n":1.50e3,"big":123456789012345678901234567890},"execution":{"taskSupport":"optional"}} ,{"name":"a","inputSchema":{"type":"object"},"_meta":{"ui/resourceUri":"ui://w/1","ui":{"resourceUri":"ui:\/\/w/2","k":[ 1 ]}}}]}"#;

#[test]
fn entries_keep_their_bytes_except_for_names_and_uris() {
    let part = read("srv", TOOLS);
    let own = View::build(Naming::Own, std::slice::from_ref(&part));
    assert_eq!(all(&own, ListKind::Tools), TOOLS.replace("[ {\"t", "[{\"t").replace("}} ,", "}},"));
    let qualified = View::build(Naming::Qualified, &[part]);
    let expected = all(&own, ListKind::Tools)
        .replace(r#""name":"b""#, r#""name":"srv__b""#)
        .replace(r#""name":"a""#, r#""name":"srv__a""#)
        .replace("ui://w/1", "ui://srv+w/1")
        .replace(r"ui:\/\/w/2", "ui://srv+w/2");
    assert_eq!(all(&qualified, ListKind::Tools), expected);
    let target = qualified.tool("srv__a").expect("listed");
    assert_eq!((target.server.as_str(), target.name), ("srv", "a"));
    assert!(
        qualified.tool("a").is_none() && qualified.tool("srv__c").is_none() && qualified.tool("other__a").is_none()
    );
}

#[test]
fn lists_stand_in_the_order_of_the_servers_and_then_in_theirs() {
    let parts = [read("z", r#"{"prompts":[{"name":"2"},{"name":"1"}]}"#), read("a", r#"{"prompts":[{"name":"1"}]}"#)];
    let view = View::build(Naming::Qualified, &parts);
    assert_eq!(page(&view, ListKind::Prompts, Some("")).0, ["z__2", "z__1", "a__1"]);
    assert_eq!(all(&view, ListKind::Prompts), all(&View::build(Naming::Qualified, &parts), ListKind::Prompts));
    assert!(view.prompt("a__1").is_some());
    assert_eq!(all(&view, ListKind::Templates), r#"{"resourceTemplates":[]}"#);
    assert!(view.list(ListKind::Prompts, Some("junk"), Readers::Sessions).is_err());
}

#[test]
fn resources_of_two_servers_with_one_uri_are_both_there() {
    let payload = r#"{"resources":[{"uri":"f:///x","name":"x"},{"uri":"f:///y"}],"resourceTemplates":[{"uriTemplate":"f:///{p}","name":"t"}]}"#;
    let parts = [read("a", payload), read("b", payload)];
    let view = View::build(Naming::Qualified, &parts);
    assert_eq!(page(&view, ListKind::Resources, None).0, ["a+f:///x", "a+f:///y", "b+f:///x", "b+f:///y"]);
    assert_eq!(page(&view, ListKind::Templates, None).0, ["a+f:///{p}", "b+f:///{p}"]);
    assert_eq!(view.resource("b+f:///not/listed"), Some((name("b"), "f:///not/listed".into())));
    assert_eq!((view.resource("f:///x"), view.resource("c+f:///x")), (None, None));
    // A client refuses a list with a resource that has no name.
    assert!(all(&view, ListKind::Resources).contains(r#"{"uri":"a+f:///y","name":"f:///y"}"#));
    let own = View::build(Naming::Own, &parts[..1]);
    assert_eq!(own.resource("f:///x"), Some((name("a"), "f:///x".into())));
}

#[test]
fn resources_are_found_under_what_clients_make_of_their_uris() {
    let uris = ["Note://One", "file:///my docs/ä.txt", "readme.md", "a:b", "http://example.com"];
    let list: Vec<_> = uris.iter().map(|uri| serde_json::json!({"uri": uri})).collect();
    let payload = serde_json::json!({ "resources": list }).to_string();
    let servers = ["GitHub", "my_server", "2nd", "plain"];
    let parts = servers.map(|server| read(server, &payload));
    let view = View::build(Naming::Qualified, &parts);
    let shown = page(&view, ListKind::Resources, None).0;
    assert_eq!(shown.len(), servers.len() * uris.len());
    assert_eq!(shown[0], "github.12+Note://One");
    for (at, shown) in shown.iter().enumerate() {
        let expected = Some((name(servers[at / uris.len()]), uris[at % uris.len()].to_owned()));
        assert_eq!(view.resource(shown), expected);
        let normal = url::Url::parse(shown).expect("a URI");
        assert_eq!(view.resource(normal.as_str()), expected, "{normal}");
    }
    // As it was before, and as clients wrote that.
    for (written, server) in [("GitHub", "GitHub"), ("github", "GitHub"), ("my_server", "my_server"), ("2nd", "2nd")] {
        assert_eq!(view.resource(&format!("{written}+a:b")), Some((name(server), "a:b".to_owned())));
    }
    let own = View::build(Naming::Own, &parts[..1]);
    for (at, shown) in page(&own, ListKind::Resources, None).0.iter().enumerate() {
        let normal = url::Url::parse(shown).expect("a URI");
        for written in [shown.as_str(), normal.as_str(), uris[at]] {
            assert_eq!(own.resource(written), Some((name("GitHub"), uris[at].to_owned())), "{written}");
        }
    }
}

#[test]
fn names_that_deceive_are_left_out_and_reported() {
    let long = "x".repeat(257);
    let bad = [
        "a\nb",
        "\u{1b}[31mred",
        "a\u{202e}b",
        "a\u{200b}b",
        "\u{feff}a",
        "tag\u{e0041}",
        "",
        &long,
        "a\u{0}",
        "\u{7f}",
    ];
    let tools: Vec<_> = bad.iter().map(|name| serde_json::json!({"name": name})).collect();
    let (part, warnings) = read_with("s", &serde_json::json!({ "tools": tools }).to_string(), &ToolRules::default());
    assert_eq!(part.1.count(ListKind::Tools), 0);
    assert_eq!(warnings.len(), bad.len());
    assert!(warnings.iter().all(|w| w.contains("left out") && !w.chars().any(|c| c.is_control())), "{warnings:?}");
}

#[test]
fn names_that_some_clients_refuse_are_kept_and_reported() {
    let long = "x".repeat(100);
    let payload = serde_json::json!({"tools": [{"name": "a/b"}, {"name": "gеt"}, {"name": long}, {"name": "a__b"}, {"name": "ok"}, {"name": "ok"}]});
    let (part, warnings) = read_with("s", &payload.to_string(), &ToolRules::default());
    assert_eq!(part.1.count(ListKind::Tools), 5);
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(warnings[0].contains("tool \"a/b\"") && warnings[0].contains("tools.rename"), "{}", warnings[0]);
    assert!(
        warnings[2].contains("103 characters") && warnings[2].contains("shorten the server's name"),
        "{}",
        warnings[2]
    );
    assert!(warnings[3].contains("lists this name twice"), "{}", warnings[3]);
    let view = View::build(Naming::Qualified, &[part]);
    assert_eq!(view.tool("s__a__b").map(|t| t.name), Some("a__b"));
}

#[test]
fn rules_choose_rename_and_describe_tools() {
    let rules = ToolRules {
        allow: vec!["get_*".into(), "put".into()],
        deny: vec!["*_secret".into()],
        rename: pairs(&[("get_a", "fetch"), ("get_b", "put"), ("get_c", "bad\nname")]),
        describe: pairs(&[("get_a", "New \"words\""), ("put", "Puts")]),
        ..ToolRules::default()
    };
    let payload = r#"{"tools":[{"name":"get_a","description":"Old","inputSchema":{"type":"object"}},{"name":"get_secret"},{"name":"put"},{"name":"get_b"},{"name":"get_c"},{"name":"other"}]}"#;
    let (part, warnings) = read_with("s", payload, &rules);
    let own = View::build(Naming::Own, std::slice::from_ref(&part));
    assert_eq!(
        all(&own, ListKind::Tools),
        r#"{"tools":[{"name":"fetch","description":"New \"words\"","inputSchema":{"type":"object"}},{"name":"put","inputSchema":{"type":"object"},"description":"Puts"}]}"#
    );
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("is the name of another tool") && warnings[1].contains("control"), "{warnings:?}");
    let view = View::build(Naming::Qualified, &[part]);
    assert_eq!(view.tool("s__fetch").map(|t| t.name), Some("get_a"));
    assert!(view.tool("s__get_a").is_none() && view.tool("s__get_secret").is_none());
}

#[test]
fn a_rule_that_concerns_no_tool_is_reported() {
    let rules = ToolRules {
        allow: vec!["get_*".into(), "gte_*".into()],
        deny: vec!["run_code".into()],
        rename: pairs(&[("gone", "g")]),
        describe: pairs(&[("get_a", "A"), ("away", "Nothing")]),
        ..ToolRules::default()
    };
    let (_, warnings) = read_with("s", r#"{"tools":[{"name":"get_a"},{"name":"run_code_unsafe"}]}"#, &rules);
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    let expected =
        [("gte_*", "tools.allow"), ("run_code", "tools.deny"), ("gone", "tools.rename"), ("away", "tools.describe")];
    for (warning, (word, key)) in warnings.iter().zip(expected) {
        assert!(
            warning.starts_with(word) && warning.contains(key) && warning.contains("none of the 2 tools"),
            "{warning}"
        );
    }
    for nothing in [r#"{"tools":[]}"#, "{}", r#"{"tools":3}"#] {
        let (_, warnings) = read_with("s", nothing, &rules);
        assert!(!warnings.iter().any(|warning| warning.contains("tools.deny")), "{warnings:?}");
    }
}

#[test]
fn one_odd_tool_does_not_make_clients_refuse_the_list() {
    let payload = r#"{"tools":[{"name":"a"},{"name":"b","inputSchema":{}},{"name":"c","inputSchema":{"properties":{"x":{"description":"\u200bd"}}}},
        {"name":"d","inputSchema":{"type":"array"}},{"name":"e","inputSchema":7},{"description":null,"name":"f","title":3,"outputSchema":{"type":"array"},"inputSchema":{"type":"object"}},
        {"name":"g","execution":{"taskSupport":"required"}},{"name":4},"x",{"name":"dup","name":"dup"}],"prompts":3,"resources":null}"#;
    let (part, warnings) = read_with("s", payload, &ToolRules::default());
    let view = View::build(Naming::Own, &[part]);
    assert_eq!(
        all(&view, ListKind::Tools),
        r#"{"tools":[{"name":"a","inputSchema":{"type":"object"}},{"name":"b","inputSchema":{"type":"object"}},{"name":"c","inputSchema":{"type":"object","properties":{"x":{"description":"d"}}}},{"name":"f","inputSchema":{"type":"object"}}]}"#
    );
    let newer = view.list(ListKind::Tools, None, Readers::Stateless).expect("a page");
    assert!(String::from_utf8_lossy(&newer).contains(r#""outputSchema":{"type":"array"}"#), "{newer:?}");
    assert_eq!(warnings.len(), 9, "{warnings:?}");
    assert_eq!(all(&view, ListKind::Prompts), r#"{"prompts":[]}"#);
}

#[test]
fn capabilities_are_merged() {
    let a = read(
        "a",
        r#"{"capabilities":{"tools":{},"resources":{"subscribe":true},"experimental":{"x":{"n":1}},"tasks":{}}}"#,
    );
    let b =
        read("b", r#"{"capabilities":{"completions":{},"experimental":{"x":2,"y":{}},"logging":{},"future":{"k":1}}}"#);
    let of = |naming, parts: &[Part]| View::build(naming, parts).capabilities().to_owned();
    assert_eq!(
        of(Naming::Qualified, &[a.clone(), b.clone()]),
        r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"logging":{},"completions":{},"experimental":{"x":{"n":1},"y":{}}}"#
    );
    let nothing = r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true},"logging":{}}"#;
    assert_eq!(of(Naming::Qualified, &[]), nothing);
    assert_eq!(of(Naming::Own, &[]), nothing);
    assert_eq!(
        of(Naming::Own, &[a]),
        r#"{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"experimental":{"x":{"n":1}}}"#
    );
    assert_eq!(of(Naming::Own, &[b]), r#"{"completions":{},"experimental":{"y":{}},"logging":{},"future":{"k":1}}"#);
}

#[test]
fn capabilities_of_one_server_do_not_break_the_handshake_for_all() {
    let deep = format!("{}1{}", "{\"a\":".repeat(3000), "}".repeat(3000));
    let digits = "9".repeat(5000);
    let large = "x".repeat(20_000);
    let many = (0..70).map(|i| format!("\"m{i}\":{{}}")).collect::<Vec<_>>().join(",");
    let cases = [
        (r#""experimental":{"x":5,"y":{}}"#.to_owned(), r#""experimental":{"y":{}}"#, "/experimental/x"),
        (r#""extensions":{"a/b":5,"y":{}}"#.to_owned(), r#""extensions":{"y":{}}"#, "/extensions/a~1b"),
        (r#""extensions":[],"logging":null"#.to_owned(), r#""extensions":{}"#, "/extensions"),
        (format!(r#""experimental":{{"x":{{"n":{digits}}}}}"#), r#""experimental":{"x":{}}"#, "/experimental/x/n"),
        (
            format!(r#""experimental":{{"x":{{"n":"{large}"}},"y":{{}}}}"#),
            r#""experimental":{"y":{}}"#,
            "/experimental/x",
        ),
        (
            r#""resources":{"subscribe":"yes"}"#.to_owned(),
            r#""resources":{"listChanged":true}"#,
            "/resources/subscribe",
        ),
    ];
    for (declared, expected, pointer) in cases {
        let (part, warnings) = read_with("s", &format!("{{\"capabilities\":{{{declared}}}}}"), &ToolRules::default());
        assert_eq!(View::build(Naming::Own, &[part]).capabilities(), format!("{{{expected}}}"));
        assert!(warnings[0].starts_with("capabilities: ") && warnings[0].contains(pointer), "{warnings:?}");
    }
    for declared in [format!("\"experimental\":{{\"x\":{deep}}}"), format!("\"extensions\":{{{many}}}")] {
        let part = read("s", &format!("{{\"capabilities\":{{{declared}}}}}"));
        let view = View::build(Naming::Qualified, &[part, read("t", r#"{"capabilities":{"experimental":{"z":{}}}}"#)]);
        assert!(
            serde_json::from_str::<serde_json::Value>(view.capabilities())
                .is_ok_and(|all| all["experimental"]["z"].is_object())
        );
        assert!(!view.capabilities().contains("m64"));
    }
}

#[test]
fn what_a_server_does_wrong_in_all_its_tools_is_said_once() {
    let tools: Vec<String> = (0..5).map(|i| format!(r#"{{"name":"t{i}","annotations":{{"title":null}}}}"#)).collect();
    let (part, warnings) = read_with("s", &format!(r#"{{"tools":[{}]}}"#, tools.join(",")), &ToolRules::default());
    assert_eq!(part.1.count(ListKind::Tools), 5);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("tool \"t0\": `/annotations/title` is not a string"), "{warnings:?}");
    assert!(warnings[0].ends_with("(and the same in 4 more)"), "{warnings:?}");
}

#[test]
fn an_output_schema_that_clients_cannot_compile_leaves_and_its_tool_stays() {
    let payload = r##"{"tools":[{"name":"a","outputSchema":{"type":"object","properties":{"x":{"type":"strin"}}},"inputSchema":{"type":"object"}},
        {"name":"b","inputSchema":{"type":"object"},"outputSchema":{"$id":"urn:x","type":"object","properties":{"x":{"$ref":"#/$defs/y"}},"$defs":{"y":{}}}}]}"##;
    let (part, warnings) = read_with("s", payload, &ToolRules::default());
    let tools = all(&View::build(Naming::Own, &[part]), ListKind::Tools);
    assert!(tools.starts_with(r#"{"tools":[{"name":"a","inputSchema":{"type":"object"}},"#), "{tools}");
    assert!(tools.contains(r##""outputSchema":{"type":"object","properties":{"x":{"$ref":"#/$defs/y"}},"##), "{tools}");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("`/outputSchema/properties/x/type`"), "{warnings:?}");
}

#[test]
fn instructions_are_merged_and_bounded() {
    let with = |server: &str, text: &str| read(server, &serde_json::json!({ "instructions": text }).to_string());
    let parts = [with("a", "Do\u{200b} this\n"), read("b", "{}"), with("c", "that")];
    let view = View::build(Naming::Qualified, &parts);
    assert_eq!(view.instructions(), Some("## a\nDo this\n\n## c\nthat"));
    assert_eq!(View::build(Naming::Own, &parts[2..]).instructions(), Some("that"));
    assert_eq!(View::build(Naming::Own, &parts[1..]).instructions(), None);
    let many: Vec<Part> = (0..20).map(|i| with(&format!("s{i}"), &"é".repeat(3000))).collect();
    let view = View::build(Naming::Qualified, &many);
    let text = view.instructions().expect("some");
    assert!(text.len() <= 16 * 1024 && text.contains("## s19"), "{}", text.len());
}

#[test]
fn a_list_that_is_as_it_was_is_not_prepared_again_and_one_that_is_not_is() {
    let payload = r#"{"tools":[{"name":"a"}],"prompts":[{"name":"p"}]}"#;
    let (kept, old) = (read("k", payload), read("s", payload));
    let new = read("s", r#"{"tools":[{"name":"b"}],"prompts":[{"name":"p"}]}"#);
    let before = View::build(Naming::Qualified, &[kept.clone(), old.clone()]);
    let (tools, prompts) = (all(&before, ListKind::Tools), before.list(ListKind::Prompts, None, Readers::Sessions));
    assert!(before.is_of(&[kept.clone(), old]) && !before.is_of(&[kept.clone(), new.clone()]));
    let after = View::build_after(&before, &[kept, new]);
    let again = after.list(ListKind::Prompts, None, Readers::Stateless).expect("a page");
    assert_eq!(again.as_ptr(), prompts.expect("a page").as_ptr(), "the very same bytes");
    assert_eq!(all(&after, ListKind::Tools), tools.replace("s__a", "s__b"));
}

#[test]
fn a_large_list_can_be_put_together_elsewhere_once_and_is_the_same() {
    let tools: Vec<String> =
        (0..300).map(|n| format!(r#"{{"name":"t{n}","description":"{}"}}"#, "d".repeat(1000))).collect();
    let part = read("s", &format!(r#"{{"tools":[{}]}}"#, tools.join(",")));
    let (one, other) =
        (View::build(Naming::Qualified, std::slice::from_ref(&part)), View::build(Naming::Qualified, &[part]));
    let Preparation::Work(work) = one.prepare(ListKind::Tools, Readers::Sessions) else { panic!("it is large") };
    assert!(matches!(one.prepare(ListKind::Tools, Readers::Stateless), Preparation::Begun));
    let list = std::thread::spawn(work).join().expect("a list");
    one.prepared(ListKind::Tools, list);
    assert!(matches!(one.prepare(ListKind::Tools, Readers::Sessions), Preparation::Done));
    assert_eq!(all(&one, ListKind::Tools), all(&other, ListKind::Tools));
}

#[test]
fn a_change_is_seen_in_its_own_list_only() {
    let build = |payload: &str| View::build(Naming::Qualified, &[read("s", payload)]).outline();
    let before = build(r#"{"tools":[{"name":"a"}]}"#);
    assert_eq!(build(r#"{"tools":[{"name":"a"}]}"#).changes_since(before), Changes::default());
    let changes = build(r#"{"tools":[{"name":"a","description":"x"}],"resourceTemplates":[{"uriTemplate":"f:{x}"}]}"#)
        .changes_since(before);
    assert_eq!(changes, Changes { tools: true, prompts: false, resources: true });
}

#[test]
fn a_mistyped_tool_has_a_nearest_one() {
    let view =
        View::build(Naming::Qualified, &[read("fs", r#"{"tools":[{"name":"read_file"},{"name":"write_file"}]}"#)]);
    for wrong in ["read_file", "fs__raed_file", "fs_read_file", "fs.read_file", "FS__read_file"] {
        assert_eq!(view.nearest_tool(wrong).as_deref(), Some("fs__read_file"), "{wrong}");
    }
    assert_eq!(view.nearest_tool("something_else"), None);
}

fn catalogue_of(tools: &BTreeSet<u16>) -> String {
    // Upstream order is not the order of names.
    let list: Vec<String> = tools.iter().rev().map(|n| format!("{{\"name\":\"t{n}\"}}")).collect();
    format!("{{\"tools\":[{}]}}", list.join(","))
}

#[test]
fn an_annotation_that_clients_must_not_follow_leaves_and_its_tool_stays() {
    let payload = r#"{"tools":[{"name":"t","inputSchema":{"x-mcp-header":"Root","properties":{ "a":{"type":"string","x-mcp-header":"A"}, "b":{"x-mcp-header":"B","type":"number"},
        "c":{"items":{"x-mcp-header":"C"}} }}},{"name":"u","inputSchema":{"x-mcp-header":"Only"}}]}"#;
    let (part, warnings) = read_with("s", payload, &ToolRules::default());
    let view = View::build(Naming::Own, std::slice::from_ref(&part));
    let properties = r#"{ "a":{"type":"string","x-mcp-header":"A"}, "b":{"type":"number"},         "c":{"items":{}} }"#;
    let expected = format!(
        r#"{{"tools":[{{"name":"t","inputSchema":{{"type":"object","properties":{properties}}}}},{{"name":"u","inputSchema":{{"type":"object"}}}}]}}"#
    );
    assert_eq!(all(&view, ListKind::Tools), expected);
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(warnings[0].starts_with("tool \"t\": an `x-mcp-header` in its inputSchema "), "{warnings:?}");
    let headers: Vec<&str> = view.tool("t").expect("listed").mirrored.iter().map(|param| param.header()).collect();
    assert_eq!(headers, ["Mcp-Param-A"]);
    assert!(view.tool("u").expect("listed").mirrored.is_empty());
}

proptest! {
    #[test]
    fn names_and_uris_lead_back(server in "[a-zA-Z0-9-]{1,8}(_[a-zA-Z]{1,4})?", tools in prop::collection::btree_set("[a-zA-Z_./ é-]{1,12}", 1..8)) {
        let list: Vec<_> = tools.iter().map(|t| serde_json::json!({"name": t})).collect();
        let uris: Vec<_> = tools.iter().map(|t| serde_json::json!({"uri": format!("ui://{t}"), "name": t})).collect();
        let part = read(&server, &serde_json::json!({"tools": list, "prompts": list, "resources": uris}).to_string());
        let view = View::build(Naming::Qualified, &[read("other", "{}"), part]);
        prop_assert_eq!(page(&view, ListKind::Tools, None).0.len(), tools.len());
        for tool in &tools {
            let found = view.tool(&qualify_name(&server, tool)).expect("found");
            prop_assert_eq!((found.server.as_str(), found.name), (server.as_str(), tool.as_str()));
            prop_assert!(view.prompt(&qualify_name(&server, tool)).is_some());
            let uri = format!("ui://{tool}");
            let qualified = qualify_uri(&server, &uri);
            prop_assert_eq!(view.resource(&qualified), Some((name(&server), uri.clone())));
            let normal_of = |uri: &str| url::Url::parse(&qualify_uri(&server, uri)).expect("a URI for every client");
            let normal = normal_of(&uri);
            // A parser of URLs takes spaces at the end away (WHATWG URL §4.4), and steps of one point: what is left may be another
            // resource's.
            let is_shared = tools.iter().any(|other| other != tool && normal_of(&format!("ui://{other}")) == normal);
            if uri.ends_with(' ') || is_shared {
                continue;
            }
            prop_assert_eq!(view.resource(normal.as_str()), Some((name(&server), uri)));
        }
    }

    #[test]
    fn any_payload_is_read_or_refused_and_every_answer_is_json(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        entries in prop::collection::vec(prop::sample::select(vec![
            r#"{"name":"a"}"#, r#"{"name":"\ud800"}"#, r#"{"name":"b","description":"\ud800\u202e","x":"\""}"#, "null", "[]", "3", r#"{"uri":"a:b"}"#,
            r#"{"uriTemplate":"{+x}","name":{"title":"\u200b"}}"#, r#"{"name":"c","_meta":{"ui":3}}"#, r#"{"_meta":[],"name":"d","title":{"title":"\u200b"}}"#,
            r#"{"name":"e","inputSchema":[1],"annotations":null}"#, r#"{"description":3 , "name" : "f" , "title":null }"#, r#"{"name":"g","inputSchema":{"a":"\u001b"}}"#,
            r#"{"name":"h","inputSchema":{"x-mcp-header":"\u0041","properties":{"p":{"x-mcp-header":"P"},"q":[{"x-mcp-header":1}]}}}"#,
        ]), 0..12),
    ) {
        let server = name("s");
        let _ = ServerCatalogue::read(&server, &bytes, &ToolRules::default());
        let list = entries.join(",");
        let text = format!(r#"{{"tools":[{list}],"prompts":[{list}],"resources":[{list}],"resourceTemplates":[{list}]}}"#);
        let rules = ToolRules { describe: pairs(&[("b", "x"), ("f", "y")]), rename: pairs(&[("a", "z")]), ..ToolRules::default() };
        let (part, _) = read_with("s", &text, &rules);
        for naming in [Naming::Own, Naming::Qualified] {
            let view = View::build(naming, std::slice::from_ref(&part));
            for kind in ListKind::ALL {
                let value: serde_json::Value = serde_json::from_str(&all(&view, kind)).expect("JSON");
                prop_assert_eq!(value[kind.member()].as_array().map(Vec::len), Some(part.1.count(kind)));
            }
            for hit in view.finder().find("a b x", None, None) {
                prop_assert!(view.found(&hit).is_some_and(|tool| view.tool(&tool.name).is_some()));
            }
        }
    }

    #[test]
    fn pages_hold_every_entry_once_even_when_the_catalogue_changes_between_them(
        versions in prop::collection::vec((prop::collection::btree_set(0..60u16, 0..40), prop::collection::btree_set(0..60u16, 0..40)), 1..4),
        entries in 1..9usize,
        bytes in 60..400usize,
    ) {
        let views: Vec<View> = versions
            .iter()
            .map(|(a, b)| {
                let parts = [read("b", &catalogue_of(b)), read("a", &catalogue_of(a))];
                View::build_in_pages(Naming::Qualified, &parts, PageLimits { entries, bytes })
            })
            .collect();
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        for turn in 0.. {
            let (keys, next) = page(&views[turn % views.len()], ListKind::Tools, cursor.as_deref());
            prop_assert!(keys.len() <= entries);
            seen.extend(keys);
            match next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let distinct: BTreeSet<&String> = seen.iter().collect();
        prop_assert_eq!(distinct.len(), seen.len(), "an entry came twice");
        let of_a: Vec<_> = versions.iter().map(|(a, _)| a).collect();
        let of_b: Vec<_> = versions.iter().map(|(_, b)| b).collect();
        for (server, lists) in [("a", of_a), ("b", of_b)] {
            for n in lists[0].iter().filter(|n| lists.iter().all(|list| list.contains(n))) {
                prop_assert!(seen.contains(&format!("{server}__t{n}")), "{server}__t{n} is lost");
            }
        }
    }
}
