//! Answers of a server that are no JSON-RPC, or that no client could read.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Proxy, fixture, within};

const TOOLS: &str = r#"{"jsonrpc":"2.0","id":$ID,"result":{"tools":[{"name":"t"}]}}"#;

/// A server whose tool `t` answers with such a line.
async fn answering(line: &[u8]) -> (Proxy, tempfile::TempDir) {
    let answers = tempfile::tempdir().expect("a directory");
    std::fs::write(answers.path().join("tools.list"), TOOLS).expect("an answer");
    std::fs::write(answers.path().join("tools.call.t"), line).expect("an answer");
    let path = answers.path().to_str().expect("UTF-8");
    let proxy = Proxy::start(json!({"servers": [fixture("s", &["--profile", "verbatim", "--answers", path])]})).await;
    (proxy, answers)
}

#[tokio::test]
async fn an_answer_that_no_client_can_read_fails_its_call_at_once_and_says_what_is_wrong_where() {
    let (proxy, answers) = answering(b"").await;
    let session = proxy.session().await;
    let digits =
        [&br#"{"jsonrpc":"2.0","id":$ID,"result":{"content":[],"n":"#[..], "9".repeat(5000).as_bytes(), b"}}"].concat();
    let deep = format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{{"x":{}1{}}}}}"#, "[".repeat(200), "]".repeat(200));
    let cases: [(&[u8], &str); 13] = [
        (br#"{"jsonrpc":"2.0","id":$ID,"error":{"message":"x"}}"#, "`error.code` is not an integer; its message: x"),
        (br#"{"jsonrpc":"2.0","id":$ID,"error":{"code":"E1","message":"x"}}"#, "`error.code` is not an integer"),
        (br#"{"jsonrpc":"2.0","id":$ID,"error":{"code":-32000}}"#, "`error.message` is not a string"),
        (br#"{"jsonrpc":"2.0","id":$ID,"error":"boom"}"#, "`error` is not an object"),
        (br#"{"jsonrpc":"2.0","id":$ID,"result":null}"#, "`result` is not an object"),
        (br#"{"jsonrpc":"2.0","id":$ID,"result":"hi"}"#, "`result` is not an object"),
        (br#"{"jsonrpc":"2.0","id":$ID,"result":{},"error":{"code":1,"message":"x"}}"#, "both `result` and `error`"),
        (br#"{"jsonrpc":"2.0","id":$ID,"result":{"content":[],"n":NaN}}"#, "column 5"),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"caf\xe9\"}]}}",
            "is not UTF-8",
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"a\x01b\"}]}}",
            "control character",
        ),
        (br#"{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"te"#, "EOF"),
        (&digits, "too large for a double"),
        (deep.as_bytes(), "more than 120 levels"),
    ];
    for (line, why) in cases {
        std::fs::write(answers.path().join("tools.call.t"), line).expect("an answer");
        let error = within(why, Duration::from_secs(5), session.refuse("s__t", json!({}))).await;
        assert_eq!(error["code"], -32603, "{error}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(why)), "{why}: {error}");
    }
    assert_eq!(proxy.server("s").await.restarts, 0, "the server lives on");
}

#[tokio::test]
async fn what_is_clear_in_an_odd_answer_reaches_its_client() {
    let (proxy, answers) = answering(b"").await;
    let session = proxy.session().await;
    let content = r#"{"type":"text","text":"x"}"#;
    for (line, expected) in [
        (format!(r#"{{"jsonrpc":"2.0","id":$ID,"error":null,"result":{{"content":[{content}]}}}}"#), json!("x")),
        (format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{{"content":[{content}],"_meta":null}}}}"#), json!("x")),
        (
            r#"{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"x\ud83d"}]}}"#.to_owned(),
            json!("x\u{fffd}"),
        ),
    ] {
        std::fs::write(answers.path().join("tools.call.t"), line).expect("an answer");
        let result = session.call("s__t", json!({})).await;
        assert_eq!(result["content"][0]["text"], expected, "{result}");
        assert_eq!(result.get("_meta"), None::<&Value>);
    }
}
