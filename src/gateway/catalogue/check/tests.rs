use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn mended(kind: ListKind, json: &str) -> Result<(String, Vec<String>), String> {
    let (json, repaired) = as_i_json(json);
    let (out, mended) = entry(kind, &json).map_err(|fatal| fatal.to_string())?;
    Ok((out.into_owned(), repaired.iter().chain(&mended).map(ToString::to_string).collect()))
}

#[test]
fn a_tool_as_servers_write_it_keeps_its_bytes() {
    let tool = r#"{ "name":"t","title":"T","inputSchema" : {"type":"object","$schema":"x","properties":{"a":{"type":"string","x":1.50}},"required":["a"],"additionalProperties":false},
        "outputSchema":{"type":"object","properties":{}},"annotations":{"readOnlyHint":true,"title":"x","z":null},"execution":{"taskSupport":"optional"},
        "icons":[{"src":"data:,","sizes":["48x48"],"theme":"dark"}],"_meta":{"any":[null]},"unknown":null}"#;
    assert_eq!(mended(ListKind::Tools, tool), Ok((tool.to_owned(), Vec::new())));
}

#[test]
fn what_is_wrong_within_a_tool_goes_or_gets_its_right_form() {
    let cases = [
        (r#""inputSchema":{"type":"object","properties":[]}"#, r#""inputSchema":{"type":"object","properties":{}}"#),
        (r#""inputSchema":{"type":"object","properties":null,"a":1}"#, r#""inputSchema":{"type":"object","a":1}"#),
        (r#""inputSchema":{"properties":null}"#, r#""inputSchema":{"type":"object"}"#),
        (r#""inputSchema":{"type":"object","required":null}"#, r#""inputSchema":{"type":"object"}"#),
        (
            r#""inputSchema":{"type":"object","required":[1,"a",null]}"#,
            r#""inputSchema":{"type":"object","required":["a"]}"#,
        ),
        (
            r#""inputSchema":{"type":"object","properties":{"a":true,"b":false,"c":"string","d":[]}}"#,
            r#""inputSchema":{"type":"object","properties":{"a":{},"b":{"not":{}},"c":{},"d":{}}}"#,
        ),
        (r#""inputSchema":{"type":["object","null"]}"#, r#""inputSchema":{"type":"object"}"#),
        (r#""inputSchema":[]"#, r#""inputSchema":{"type":"object"}"#),
        (
            r#""inputSchema":{},"annotations":{"title":null,"readOnlyHint":"yes","z":1}"#,
            r#""inputSchema":{"type":"object"},"annotations":{"z":1}"#,
        ),
        (
            r#""inputSchema":{"type":"object"},"annotations":[],"_meta":[]"#,
            r#""inputSchema":{"type":"object"},"annotations":{},"_meta":{}"#,
        ),
        (
            r#""inputSchema":{"type":"object"},"icons":["x",{"src":"y","sizes":"48x48","theme":"blue"},{"mimeType":"z"}]"#,
            r#""inputSchema":{"type":"object"},"icons":[{"src":"y","sizes":["48x48"]}]"#,
        ),
        (
            r#""inputSchema":{"type":"object"},"execution":{"taskSupport":"maybe"}"#,
            r#""inputSchema":{"type":"object"},"execution":{}"#,
        ),
    ];
    for (tool, expected) in cases {
        let (out, told) = mended(ListKind::Tools, &format!(r#"{{"name":"t",{tool}}}"#)).expect("stays");
        assert_eq!(out, format!(r#"{{"name":"t",{expected}}}"#));
        assert!(
            tool.contains(r#""inputSchema":{"properties"#)
                || tool.starts_with(r#""inputSchema":{}"#)
                || !told.is_empty(),
            "{tool}"
        );
    }
    let (_, told) = mended(ListKind::Tools, r#"{"name":"t","outputSchema":{"properties":{"a/b":1}}}"#).expect("stays");
    assert!(told[0].starts_with("`/outputSchema/properties/a~1b` "), "{told:?}");
    assert!(
        mended(ListKind::Tools, r#"{"name":"t","inputSchema":{"type":"array"}}"#)
            .is_err_and(|why| why.starts_with("`/inputSchema/type`"))
    );
}

#[test]
fn prompts_and_resources_are_mended_too() {
    let prompt =
        r#"{"name":"p","arguments":[{"name":"a","required":null,"description":3},{"description":"nameless"},"b"]}"#;
    assert_eq!(mended(ListKind::Prompts, prompt).expect("stays").0, r#"{"name":"p","arguments":[{"name":"a"}]}"#);
    let resource = r#"{"uri":"a:b","size":-1,"annotations":{"audience":["user","robot"],"priority":2,"lastModified":"yesterday"},"mimeType":7}"#;
    assert_eq!(
        mended(ListKind::Resources, resource).expect("stays").0,
        r#"{"uri":"a:b","annotations":{"audience":["user"]}}"#
    );
    let fine =
        r#"{"uri":"a:b","size":0,"annotations":{"audience":[],"priority":0.5,"lastModified":"2025-01-12T15:00:58Z"}}"#;
    assert_eq!(mended(ListKind::Resources, fine), Ok((fine.to_owned(), Vec::new())));
}

/// The entries that the strictest client takes, said in another way than the tables do.
fn strict(kind: ListKind, entry: &Value) -> Result<(), String> {
    let want = |ok: bool, what: &str| if ok { Ok(()) } else { Err(format!("{what}: {entry}")) };
    let text = |of: &Value, key: &str| of.get(key).is_none_or(Value::is_string);
    for key in ["title", "description"] {
        want(text(entry, key), key)?;
    }
    want(entry.get("_meta").is_none_or(Value::is_object), "_meta")?;
    for icon in entry.get("icons").map_or(Ok(&Vec::new()), |icons| icons.as_array().ok_or("icons"))? {
        want(icon["src"].is_string() && text(icon, "mimeType"), "icon")?;
        want(
            icon.get("sizes")
                .is_none_or(|sizes| sizes.as_array().is_some_and(|sizes| sizes.iter().all(Value::is_string))),
            "sizes",
        )?;
        want(icon.get("theme").is_none_or(|theme| theme == "light" || theme == "dark"), "theme")?;
    }
    match kind {
        ListKind::Tools => {
            want(entry["inputSchema"]["type"] == "object", "type")?;
            for schema in ["inputSchema", "outputSchema"].iter().filter_map(|key| entry.get(key)) {
                want(schema.is_object() && text(schema, "$schema"), "schema")?;
                want(
                    schema
                        .get("properties")
                        .is_none_or(|all| all.as_object().is_some_and(|all| all.values().all(Value::is_object))),
                    "properties",
                )?;
                want(
                    schema
                        .get("required")
                        .is_none_or(|all| all.as_array().is_some_and(|all| all.iter().all(Value::is_string))),
                    "required",
                )?;
            }
            if let Some(hints) = entry.get("annotations") {
                want(hints.is_object() && text(hints, "title"), "annotations")?;
                let flag = |key: &&str| hints.get(key).is_none_or(Value::is_boolean);
                want(["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"].iter().all(flag), "hints")?;
            }
            want(
                entry.get("execution").is_none_or(|e| {
                    e.is_object()
                        && e.get("taskSupport")
                            .is_none_or(|t| ["optional", "forbidden", "required"].iter().any(|s| t == s))
                }),
                "execution",
            )
        }
        ListKind::Prompts => {
            for argument in entry.get("arguments").map_or(Ok(&Vec::new()), |all| all.as_array().ok_or("arguments"))? {
                want(
                    argument["name"].is_string() && text(argument, "description") && text(argument, "title"),
                    "argument",
                )?;
                want(argument.get("required").is_none_or(Value::is_boolean), "required")?;
            }
            Ok(())
        }
        ListKind::Resources | ListKind::Templates => {
            want(text(entry, "mimeType") && text(entry, "name"), "texts")?;
            want(kind == ListKind::Templates || entry.get("size").is_none_or(Value::is_u64), "size")?;
            if let Some(notes) = entry.get("annotations") {
                want(notes.is_object() && text(notes, "lastModified"), "annotations")?;
                want(
                    notes.get("audience").is_none_or(|all| {
                        all.as_array().is_some_and(|all| all.iter().all(|who| who == "user" || who == "assistant"))
                    }),
                    "audience",
                )?;
                want(
                    notes.get("priority").is_none_or(|p| p.as_f64().is_some_and(|p| (0.0..=1.0).contains(&p))),
                    "priority",
                )?;
            }
            Ok(())
        }
    }
}

/// Values of all types, and objects and arrays that are nearly right.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(0.5),
        json!(1e300),
        json!(""),
        json!("object"),
        json!("user"),
        json!("dark"),
        json!("optional"),
        json!("2025-01-12T15:00:58Z"),
        json!([]),
        json!({}),
        json!(["object"]),
    ]);
    let key = prop::sample::select(vec![
        "name",
        "title",
        "description",
        "type",
        "properties",
        "required",
        "$schema",
        "src",
        "sizes",
        "theme",
        "mimeType",
        "readOnlyHint",
        "taskSupport",
        "audience",
        "priority",
        "lastModified",
        "x",
    ]);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..4)
                .prop_map(|all| Value::Object(all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_a_server_lists_the_strictest_client_takes_it_or_it_is_left_out(
        members in prop::collection::btree_map(prop::sample::select(vec![
            "title", "description", "inputSchema", "outputSchema", "annotations", "icons", "execution", "_meta", "arguments", "size", "mimeType", "x",
        ]), anything(), 0..6),
        pretty in any::<bool>(),
    ) {
        let mut value = json!({"name": "n", "uri": "a:b", "uriTemplate": "a:{b}"});
        for (key, member) in members {
            value[key] = member;
        }
        let json = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.expect("JSON");
        for kind in ListKind::ALL {
            if let Ok((out, _)) = mended(kind, &json) {
                let out: Value = serde_json::from_str(&out).expect("JSON");
                prop_assert_eq!(strict(kind, &out), Ok(()));
                prop_assert_eq!(&out["x"], &value["x"]);
                let again = out.to_string();
                prop_assert_eq!(mended(kind, &again), Ok((again.clone(), Vec::new())), "mended once is mended for good");
            }
        }
        let (capabilities, _) = capabilities(&json);
        prop_assert!(serde_json::from_str::<Value>(&capabilities).is_ok());
    }
}
