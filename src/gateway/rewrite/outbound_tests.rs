//! Tests of results on their way to a client.

use proptest::prelude::*;

use super::*;

const NOW: ProtocolVersion = ProtocolVersion::V2025_11_25;
const Q: Naming = Naming::Qualified;

#[test]
fn links_and_embedded_resources_of_a_tool_stay_readable() {
    let raw = r#"{ "content":[{"type":"text","text":"resource"},{"n":1.50,"type":"resource_link","uri":"f:///a","name":"uri"},{"type":"resource","resource":{"uri":"ui://x/y","text":"uri"}}], "big":12345678901234567890123}"#;
    let expected = r#"{ "content":[{"type":"text","text":"resource"},{"n":1.50,"type":"resource_link","uri":"s+f:///a","name":"uri"},{"type":"resource","resource":{"uri":"ui://s+x/y","text":"uri"}}], "big":12345678901234567890123}"#;
    assert_eq!(call_result(Q, "s", raw, NOW), expected);
    assert!(matches!(call_result(Naming::Own, "s", raw, NOW), Cow::Borrowed(_)));
}

#[test]
fn references_to_user_interfaces_are_rewritten_wherever_they_stand() {
    let meta = r#""_meta":{"ui":{"resourceUri":"ui://w/1"},"openai/outputTemplate":"ui://w/2","ui/resourceUri":"ui://w/3","n":1.50}"#;
    let rewritten = meta.replace("ui://w", "ui://s+w");
    let block = format!(r#"{{"type":"text","text":"x",{meta}}}"#);
    let embedded = format!(r#"{{"type":"resource","resource":{{"uri":"a:b",{meta}}}}}"#);
    for (raw, rewrite) in [
        (format!(r#"{{"content":[],{meta}}}"#), call_result as ResultRewrite),
        (format!(r#"{{"content":[{block},{embedded}]}}"#), call_result),
        (format!(r#"{{"messages":[{{"role":"user","content":{block}}}],{meta}}}"#), prompt_result),
        (format!(r#"{{"contents":[{{"uri":"a:b",{meta}}}],{meta}}}"#), read_result),
        (format!(r#"{{"taskId":7,"result":{{"content":[{block}],{meta}}}}}"#), task_result),
    ] {
        let expected = raw.replace(meta, &rewritten).replace(r#""uri":"a:b""#, r#""uri":"s+a:b""#);
        assert_eq!(rewrite(Q, "s", &raw, NOW), expected);
        assert_eq!(rewrite(Naming::Own, "s", &raw, NOW), raw);
    }
}

#[test]
fn a_result_without_links_is_not_even_parsed() {
    let not_json = "{\"content\":[{\"type\":\"text\"";
    assert!(matches!(call_result(Q, "s", not_json, NOW), Cow::Borrowed(text) if text == not_json));
}

#[test]
fn prompts_and_reads_are_rewritten_in_their_own_places() {
    let prompt = r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"a:b"}}},{"content":[{"type":"resource_link","uri":"c:d"}]}]}"#;
    let expected = r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"s+a:b"}}},{"content":[{"type":"resource_link","uri":"s+c:d"}]}]}"#;
    assert_eq!(prompt_result(Q, "s", prompt, NOW), expected);
    let read = r#"{"contents":[{"uri":"a:b","text":"x"},{"uri":"a:c","blob":""},{"uri":7},3]}"#;
    assert_eq!(
        read_result(Q, "s", read, NOW),
        r#"{"contents":[{"uri":"s+a:b","text":"x"},{"uri":"s+a:c","blob":""},{"uri":7},3]}"#
    );
}

#[test]
fn tasks_of_sessions_are_known_by_their_server_too() {
    let created = r#"{"task":{"taskId":"7","status":"working","n":1.50}}"#;
    assert_eq!(created_task(Q, "s", created, NOW), created.replace(r#""7""#, r#""s+7""#));
    assert_eq!(created_task(Naming::Own, "s", created, NOW), created);
    let at_once = r#"{"content":[{"type":"resource_link","uri":"a:b"}]}"#;
    assert_eq!(created_task(Q, "s", at_once, NOW), call_result(Q, "s", at_once, NOW));
    let over = r#"{"content":[],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"7"}}}"#;
    assert_eq!(task_outcome(Q, "s", over, NOW), over.replace(r#""7""#, r#""s+7""#));
    assert_eq!(task_outcome(Q, "s", r#"{"content":[]}"#, NOW), r#"{"content":[]}"#);
}

#[test]
fn every_file_of_a_skill_can_be_read_where_it_is_listed() {
    let list = r#"{"skills":[{"uri":"skill://a/SKILL.md","frontmatter":{"uri":"x"},"resources":[{"uri":"skill://a/SKILL.md","size":1.50}]},{"uri":"x:y","resources":"dynamic"},7]}"#;
    let expected = list.replace("skill://", "s+skill://").replace("x:y", "s+x:y");
    assert_eq!(skill_result(Q, "s", list, NOW), expected);
    let one = r#"{"skill":{"uri":"a:b","resources":[{"uri":"a:c"}]},"ttlMs":1}"#;
    assert_eq!(skill_result(Q, "s", one, NOW), one.replace("a:", "s+a:"));
    let directory = r#"{"resources":[{"uri":"a:b","mimeType":"inode/directory"}]}"#;
    assert_eq!(skill_result(Q, "s", directory, NOW), directory.replace("a:", "s+a:"));
    assert_eq!(skill_result(Naming::Own, "s", list, NOW), list);
}

#[test]
fn tasks_are_known_by_their_server() {
    let now = ProtocolVersion::V2026_07_28;
    let begun = r#"{"resultType":"task","taskId":"7","status":"working"}"#;
    assert_eq!(call_result(Q, "s", begun, now), begun.replace(r#""7""#, r#""s+7""#));
    assert_eq!(call_result(Naming::Own, "s", begun, now), begun);
    let other = r#"{"resultType":"complete","taskId":"7"}"#;
    assert_eq!(call_result(Q, "s", other, now), other, "this is the server's own");
    let over = r#"{"resultType":"complete","taskId":"7","status":"completed","result":{"content":[{"type":"resource_link","uri":"a:b","name":"taskId"}]}}"#;
    let expected = over.replace(r#""7""#, r#""s+7""#).replace(r#""a:b""#, r#""s+a:b""#);
    assert_eq!(task_result(Q, "s", over, now), expected);
    assert_eq!(task_result(Naming::Own, "s", over, now), over);
}

#[test]
fn errors_and_updates_name_the_resource_as_the_client_knows_it() {
    let raw = r#"{"code":-32002,"message":"Not found: a:b","data":{"uri":"a:b"}}"#;
    assert_eq!(error(Q, "s", raw, NOW), raw.replace(r#":"a:b""#, r#":"s+a:b""#));
    assert_eq!(error(Naming::Own, "s", raw, NOW), raw);
    assert_eq!(error(Q, "s", r#"{"code":1,"data":[{"uri":"a"}]}"#, NOW), r#"{"code":1,"data":[{"uri":"a"}]}"#);
    assert_eq!(updated_params(Q, "s", r#"{"uri":"a:b","x":1}"#, NOW), r#"{"uri":"s+a:b","x":1}"#);
    assert_eq!(unchanged(Q, "s", raw, NOW), raw);
}

#[test]
fn older_clients_get_text_for_what_they_do_not_know() {
    let raw = r#"{"content":[{"type":"audio","data":"AAAA","mimeType":"audio/wav"},{"type":"resource_link","uri":"a:b","name":"n"}]}"#;
    let old = call_result(Q, "s", raw, ProtocolVersion::V2024_11_05);
    assert_eq!(
        old,
        r#"{"content":[{"type":"text","text":"[audio, audio/wav, about 3 bytes: this client's protocol version has no audio]"},{"type":"text","text":"[resource] s+a:b\nname: n"}]}"#
    );
    let middle = call_result(Naming::Own, "s", raw, ProtocolVersion::V2025_03_26);
    assert!(middle.contains(r#""type":"audio""#) && middle.contains("[resource] a:b"), "{middle}");
}

#[test]
fn structured_content_that_is_no_object_becomes_text() {
    assert_eq!(
        call_result(Q, "s", r#"{"structuredContent":[1]}"#, NOW),
        r#"{"content":[{"type":"text","text":"[1]"}]}"#
    );
    assert_eq!(
        call_result(Q, "s", r#"{"content":[],"structuredContent":3}"#, NOW),
        r#"{"content":[{"type":"text","text":"3"}]}"#
    );
    assert_eq!(
        call_result(Q, "s", r#"{"structuredContent":"x","isError":true}"#, NOW),
        r#"{"isError":true,"content":[{"type":"text","text":"\"x\""}]}"#
    );
    assert_eq!(
        call_result(Q, "s", r#"{"isError":true,"structuredContent":"x"}"#, NOW),
        r#"{"isError":true,"content":[{"type":"text","text":"\"x\""}]}"#
    );
    assert_eq!(
        call_result(Q, "s", r#"{"content":[{"type":"text"}],"structuredContent":null}"#, NOW),
        r#"{"content":[{"type":"text"}]}"#
    );
    let list = r#"{"content":[{"type":"text","text":"[1]"}],"structuredContent":[1]}"#;
    assert_eq!(call_result(Q, "s", list, ProtocolVersion::V2026_07_28), list, "any value may stand there");
    let fine = r#"{"content":[],"structuredContent":{"a":1}}"#;
    assert!(matches!(call_result(Q, "s", fine, NOW), Cow::Borrowed(_)));
}

#[test]
fn a_client_that_does_not_know_structured_content_gets_it_as_text() {
    let text = r#""content":[{"type":"text","text":"{\"a\":1}"}]"#;
    for version in [ProtocolVersion::V2024_11_05, ProtocolVersion::V2025_03_26] {
        for only in [r#"{"structuredContent":{"a":1}}"#, r#"{"content":[],"structuredContent":{"a":1}}"#] {
            let result = call_result(Q, "s", only, version);
            assert!(result.contains(text) && result.contains(r#""structuredContent":{"a":1}"#), "{result}");
            assert!(RawObject::from_text(&result).is_ok(), "{result}");
        }
        let both = r#"{"content":[{"type":"text","text":"one"}],"structuredContent":{"a":1}}"#;
        assert!(matches!(call_result(Q, "s", both, version), Cow::Borrowed(_)));
    }
    // The others know it, but `content` must be there all the same.
    let result = call_result(Q, "s", r#"{"structuredContent":{"a":1}}"#, NOW);
    assert_eq!(result, format!(r#"{{"structuredContent":{{"a":1}},{text}}}"#));
}

proptest! {
    #[test]
    fn any_text_passes_without_a_panic(parts in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"content\"", "\"resource\"", "\"resource_link\"", "\"type\"", "\"uri\"", "\"x\"", "1", "null",
        "\"structuredContent\"", "\"messages\"", "\"contents\"", " ", "\"audio\"",
    ]), 0..30)) {
        let text = parts.concat();
        for version in ProtocolVersion::ALL {
            let _ = call_result(Q, "s", &text, version);
            let _ = prompt_result(Q, "s", &text, version);
            let _ = task_result(Q, "s", &text, version);
            let _ = read_result(Q, "s", &text, version);
        }
    }

    #[test]
    fn near_results_stay_json(blocks in prop::collection::vec(prop::sample::select(vec![
        r#"{"type":"resource_link","uri":"a:b"}"#, r#"{"type":"resource","resource":{"uri":"a:\u00e9"}}"#, r#"{"type":"audio"}"#, "null",
        r#"{"type":"resource"}"#, r#"{"type":"resource_link","uri":3}"#, "[]", r#"{"uri":"x","uri":"y","type":"resource_link"}"#,
    ]), 0..6), structured in prop::sample::select(vec!["", r#","structuredContent":[1]"#, r#","structuredContent" : {} , "z":1"#])) {
        let text = format!("{{\"content\" : [{}]{structured}}}", blocks.join(","));
        for version in ProtocolVersion::ALL {
            let out = call_result(Q, "s", &text, version);
            prop_assert!(RawObject::from_text(&out).is_ok(), "{out}");
        }
    }
}
