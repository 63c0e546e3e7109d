//! The promises of JSON that every reader takes.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn repaired(json: &str) -> String {
    let mut edits = repairs(json).edits;
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let (mut out, mut at) = (String::new(), 0);
    for (range, with) in edits {
        if let Some(between) = json.get(at..range.start) {
            out.push_str(between);
            out.push_str(with);
            at = range.end;
        }
    }
    out + &json[at..]
}

fn nested(levels: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

#[test]
fn what_every_reader_takes_is_left_alone() {
    for json in [
        r#"{"a":1.50e+3,"b":[-0,12345678901234567890123],"c":"\ud83d\ude00\"\\","A":{"a":null}}"#,
        "{}",
        &nested(MAX_LEVELS),
    ] {
        assert_eq!(repairs(json), Repairs::default());
        assert!(matches!(readable(json), Ok(Cow::Borrowed(_))));
    }
}

#[test]
fn the_nearest_member_goes_and_the_rest_keeps_its_bytes() {
    let digits = "9".repeat(5000);
    for (json, expected, pointer) in [
        (format!(r#"{{ "a":1, "b":{{"max":{digits},"x":1}} }}"#), r#"{ "a":1, "b":{"x":1} }"#, "/b/max"),
        (format!(r#"{{"a":[1,[{digits}]], "b" : 2}}"#), r#"{ "b" : 2}"#, "/a/1/0"),
        (r#"{"b":2 ,"a":-1e999}"#.to_owned(), r#"{"b":2 }"#, "/a"),
        (r#"{"a":1e400}"#.to_owned(), "{}", "/a"),
        (r#"{"a":1,"b":2,"\u0061":3}"#.to_owned(), r#"{"b":2,"\u0061":3}"#, "/a"),
        (r#"{"x~/":{"k":"\ud800\u0041"}}"#.to_owned(), r#"{"x~/":{"k":"\ufffd\u0041"}}"#, "/x~0~1/k"),
        (r#"{"\udc00":1}"#.to_owned(), r#"{"\ufffd":1}"#, "/\u{fffd}"),
    ] {
        assert_eq!(repaired(&json), expected);
        assert_eq!(repairs(&json).told[0].0, pointer);
    }
}

#[test]
fn a_result_is_repaired_or_refused_with_the_place() {
    assert_eq!(readable(r#"{"a":"\ud83d\ud83d\ude00"}"#).as_deref(), Ok(r#"{"a":"\ufffd\ud83d\ude00"}"#));
    assert_eq!(readable(r#"{"a":1e999}"#), Err(Fault { kind: FaultKind::Number, at: 5 }));
    assert_eq!(readable(&nested(MAX_LEVELS + 1)), Err(Fault { kind: FaultKind::Deep, at: MAX_LEVELS * 5 }));
    assert!(readable(&format!("\"{}\"", nested(500).replace('"', "\\\""))).is_ok());
}

#[test]
fn many_faults_cost_time_in_proportion() {
    let pairs = "\"a\":1e999,".repeat(200_000);
    let json = format!("{{{pairs}\"a\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(repaired(&json), "{}");
    assert_eq!(repairs(&json).told.len(), MAX_TOLD);
}

proptest! {
    #[test]
    fn what_is_repaired_is_read_by_the_strictest(
        parts in prop::collection::vec(prop::sample::select(vec![
            r#""a":1"#, r#""a":{"b":[1e999,2]}"#, r#""c":"\ud800""#, r#""\ud800":{"x":1,"x":{"y":2,"y":3}}"#, r#" "d" : [ {"e":1e999} , 2 ] "#,
            r#""f":"\"\\\ud800\udc00""#, r#""g":[[1e999]]"#, r#""h":{"i":1e999}"#,
        ]), 0..8),
        deep in 0..140usize,
    ) {
        let json = format!("{{{}}}", parts.iter().map(|part| (*part).to_owned()).chain([format!("\"deep\":{}", nested(deep))]).collect::<Vec<_>>().join(","));
        let out = repaired(&json);
        let value: Value = serde_json::from_str(&out).expect("the strictest reader");
        prop_assert_eq!(repairs(&out), Repairs::default());
        prop_assert!(readable(&out).is_ok());
        prop_assert_eq!(value.get("deep").is_some(), deep > 0 || value["deep"] == 1);
    }

    #[test]
    fn any_bytes_get_an_answer(text in "[\\[\\]{}\",:\\\\ua-fd8e0-9. -]{0,80}") {
        let _ = readable(&text);
        let _ = repairs(&text);
    }
}
