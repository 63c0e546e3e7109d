//! What an edit changes, and what it leaves alone.

use proptest::prelude::*;

use super::*;
use crate::report::Report;
use crate::tree;

fn parsed(text: &str) -> Node {
    tree::parse(text, &|_| None, &mut Report::default()).unwrap_or_else(|| panic!("not JSON: {text}"))
}

fn server() -> Json {
    Json::Object(vec![("command".into(), Json::Text("x".into()))])
}

fn appended(text: &str) -> String {
    let root = parsed(text);
    let node = root.get("s").unwrap_or(&root);
    let list = ItemList::of(text, node).expect("an object");
    apply(text, list.append_member("new", &server()))
}

fn removed(text: &str, at: usize) -> String {
    let root = parsed(text);
    let list = ItemList::of(text, root.get("s").expect("a member")).expect("an object");
    apply(text, list.remove(at))
}

#[test]
fn a_member_is_written_as_the_others_are() {
    for (before, after) in [
        ("{}", r#"{"new": {"command": "x"}}"#),
        (r#"{"s":{}}"#, r#"{"s":{"new": {"command": "x"}}}"#),
        (r#"{"s": {"a": 1}}"#, r#"{"s": {"a": 1, "new": {"command": "x"}}}"#),
        (r#"{"s": {"a": 1,}}"#, r#"{"s": {"a": 1, "new": {"command": "x"},}}"#),
        ("{\n  \"s\": {}\n}\n", "{\n  \"s\": {\n    \"new\": {\"command\": \"x\"}\n  }\n}\n"),
        (
            "{\r\n\t\"s\": {\r\n\t\t\"a\": 1\r\n\t}\r\n}",
            "{\r\n\t\"s\": {\r\n\t\t\"a\": 1,\r\n\t\t\"new\": {\"command\": \"x\"}\r\n\t}\r\n}",
        ),
        (
            "{\n  \"s\": {\n    \"a\": 1, // one\n    // two\n  }\n}",
            "{\n  \"s\": {\n    \"a\": 1, // one\n    \"new\": {\"command\": \"x\"},\n    // two\n  }\n}",
        ),
        (
            "{\n  \"s\": {\n    \"a\": 1 /* one */ // two\n  }\n}",
            "{\n  \"s\": {\n    \"a\": 1, /* one */ // two\n    \"new\": {\"command\": \"x\"}\n  }\n}",
        ),
        ("{\n  \"s\": { // none yet\n  }\n}", "{\n  \"s\": { // none yet\n    \"new\": {\"command\": \"x\"}\n  }\n}"),
    ] {
        assert_eq!(appended(before), after, "{before}");
    }
}

#[test]
fn an_entry_that_is_long_is_written_over_several_lines() {
    let text = "{\n    \"s\": {\n        \"a\": 1\n    }\n}\n";
    let root = parsed(text);
    let long = Json::Object(vec![("args".into(), Json::texts(["long".repeat(15), "long".repeat(15)]))]);
    let list = ItemList::of(text, root.get("s").expect("a member")).expect("an object");
    let written = apply(text, list.append_member("new", &long));
    let arg = "long".repeat(15);
    let expected = format!(
        "{{\n    \"s\": {{\n        \"a\": 1,\n        \"new\": {{\n            \"args\": [\n                \"{arg}\",\n                \
         \"{arg}\"\n            ]\n        }}\n    }}\n}}\n"
    );
    assert_eq!(written, expected);
}

#[test]
fn a_member_goes_with_its_line_and_what_is_said_on_it() {
    for (before, at, after) in [
        (r#"{"s": {"a": 1}}"#, 0, r#"{"s": {}}"#),
        (r#"{"s": {"a": 1, "b": 2}}"#, 0, r#"{"s": {"b": 2}}"#),
        (r#"{"s": {"a": 1, "b": 2}}"#, 1, r#"{"s": {"a": 1}}"#),
        (r#"{"s": {"a": 1, "b": 2, "c": 3}}"#, 1, r#"{"s": {"a": 1, "c": 3}}"#),
        (
            "{\"s\": {\n  // kept\n  \"a\": 1, // gone\n  // kept\n  \"b\": 2\n}}",
            0,
            "{\"s\": {\n  // kept\n  // kept\n  \"b\": 2\n}}",
        ),
        ("{\"s\": {\n  \"a\": 1, // kept\n  \"b\": 2 // gone\n}}", 1, "{\"s\": {\n  \"a\": 1 // kept\n}}"),
        ("{\"s\": {\r\n  \"a\": 1,\r\n  \"b\": 2,\r\n}}", 1, "{\"s\": {\r\n  \"a\": 1,\r\n}}"),
    ] {
        assert_eq!(removed(before, at), after, "{before}");
    }
}

/// An object with comments, commas and white space wherever they may be.
fn texts() -> impl Strategy<Value = (String, usize)> {
    let space = prop_oneof![
        Just(String::new()),
        Just(" ".to_owned()),
        Just("\n  ".to_owned()),
        Just("\r\n\t".to_owned()),
        Just(" // a, \"b\": {\n ".to_owned()),
        Just("/* , } */".to_owned()),
        Just("\n  // one\n  // two\n  ".to_owned()),
    ];
    let member = (space.clone(), space.clone(), prop_oneof![Just("1"), Just("{ \"x\": [1, 2] }"), Just("\"//\"")]);
    (prop::collection::vec(member, 0..5), space.clone(), any::<bool>(), space).prop_map(
        |(members, end, comma, outside)| {
            let count = members.len();
            let mut text = format!("{outside}{{\"s\": {{");
            for (at, (before, after, value)) in members.into_iter().enumerate() {
                let comma = if at + 1 < count || comma { "," } else { "" };
                text.push_str(&format!("{before}\"k{at}\": {value}{after}{comma}"));
            }
            text.push_str(&format!("{end}}}{outside}}}"));
            (text, count)
        },
    )
}

/// All comments, in their order.
fn comments(text: &str) -> Vec<String> {
    let root = parsed(text);
    let mut spans = Vec::new();
    let at = root.get("s").expect("a member");
    let list = ItemList::of(text, at).expect("an object");
    let mut from = list.inner.start;
    for item in list.items.iter().cloned().chain(std::iter::once(list.inner.end..list.inner.end)) {
        spans.extend(gap(text, from..item.start).comments);
        from = item.end;
    }
    spans.into_iter().map(|span| text[span].to_owned()).collect()
}

proptest! {
    #[test]
    fn an_edit_changes_the_members_that_it_is_about_and_no_other((text, count) in texts(), pick in any::<prop::sample::Index>()) {
        let whole = parsed(&text).to_json();
        let more = appended(&text);
        let mut expected = whole.clone();
        expected["s"]["new"] = serde_json::json!({"command": "x"});
        prop_assert_eq!(parsed(&more).to_json(), expected, "{}", more);
        prop_assert_eq!(comments(&more), comments(&text), "no comment is lost");
        let back = removed(&more, count);
        prop_assert_eq!(parsed(&back).to_json(), whole.clone(), "{}", back);
        let node = parsed(&text);
        let list = ItemList::of(&text, node.get("s").expect("a member")).expect("an object");
        if let (Some(first), Some(last)) = (list.items.first(), list.items.last()) {
            let lines = text[list.inner.start..first.start].contains(['\n', '\r']);
            // On one line, the comment behind the last one is behind the new one, and goes with it.
            if lines || gap(&text, last.end..list.inner.end).comments.is_empty() {
                prop_assert_eq!(back, text.clone(), "what was added is gone without a trace");
            }
            let at = pick.index(count);
            let less = removed(&text, at);
            let mut expected = whole;
            expected["s"].as_object_mut().expect("an object").remove(&format!("k{at}"));
            prop_assert_eq!(parsed(&less).to_json(), expected, "{}", less);
        }
    }

    #[test]
    fn a_text_before_and_behind_an_object_stays((text, _) in texts()) {
        let root = parsed(&text);
        let node = root.get("s").expect("a member");
        let more = appended(&text);
        prop_assert!(more.starts_with(&text[..node.span.start]) && more.ends_with(&text[node.span.end..]));
    }
}
