use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Proxy, eventually, fixture, text};

#[tokio::test]
async fn a_result_passes_byte_for_byte() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a__structured","arguments":{"n":12345678901234567890.10}}}"#;
    let answer = session.post(body).await.body;
    for kept in [
        r#""structuredContent":{"big":9007199254740993123,"ratio":1.10,"#,
        // Half a surrogate pair is no character, and the one thing that is not kept (docs/decisions/0092).
        r#""lone":"\ufffd"}"#,
        r#""x-vendor":{"rank":9007199254740993123}"#,
        r#""vendorField":{"kept":true}"#,
        r#""vendor.example/cost":9007199254740993123"#,
    ] {
        assert!(answer.contains(kept), "{kept} in {answer}");
    }
}

#[tokio::test]
async fn a_big_result_arrives_whole_on_both_transports() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let mut legacy = proxy.legacy_session().await;
    let arguments = json!({"bytes": 1 << 20, "tag": "begin"});
    let said = session.say("a__echo_size", arguments.clone()).await;
    assert!(said.len() == 1 << 20 && said.starts_with("begin"));
    let result = legacy.call("a__echo_size", arguments).await;
    assert_eq!(text(&result).len(), 1 << 20);
}

#[tokio::test]
async fn big_arguments_and_any_character_arrive_as_they_were_sent() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let mut legacy = proxy.legacy_session().await;
    let big = "0123456789abcdef".repeat(256 * 1024);
    assert!(session.say("a__echo", json!({"text": big})).await == big);
    let odd = "\u{2028}\u{2029}\u{85}\r\n\t\u{0}\u{1b}[0m \u{1f600} data: x\n\nevent: y \u{202e}";
    assert_eq!(session.say("a__echo", json!({"text": odd})).await, odd);
    assert_eq!(text(&legacy.call("a__echo", json!({"text": odd})).await), odd);
}

#[tokio::test]
async fn an_error_passes_as_the_server_meant_it() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let failed = session.call("a__fail", json!({"text": "no luck"})).await;
    assert_eq!((failed["isError"].as_bool(), text(&failed)), (Some(true), "no luck"));
    let error = session.refuse("a__rpc_error", json!({"code": -32050, "message": "odd"})).await;
    assert_eq!(
        (&error["code"], &error["message"], &error["data"]),
        (&json!(-32050), &json!("odd"), &json!({"fixture": true}))
    );
    assert_eq!(session.failure("resources/read", json!({"uri": "a+fixture://nothing"})).await["code"], -32002);
}

#[tokio::test]
async fn t10_a_name_of_no_server_is_an_invalid_parameter_and_the_nearest_tool_is_named() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let error = session.refuse("a_ecko", json!({})).await;
    assert_eq!(error["code"], -32602);
    assert!(error["message"].as_str().is_some_and(|text| text.contains("a__echo")), "{error}");
    for name in ["nobody__echo", "echo", "", "__", "a__"] {
        assert_eq!(session.refuse(name, json!({})).await["code"], -32602, "{name}");
    }
    for params in [json!({}), json!({"name": 7}), json!({"name": null, "arguments": {}})] {
        assert_eq!(session.failure("tools/call", params.clone()).await["code"], -32602, "{params}");
    }
    assert_eq!(session.failure("prompts/get", json!({"name": "a__nothing"})).await["code"], -32602);
}

#[tokio::test]
async fn progress_comes_before_the_answer_under_the_clients_own_token() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let mut legacy = proxy.legacy_session().await;
    for token in [json!("seven"), json!(7), json!("7")] {
        let params = json!({
            "name": "a__progress", "arguments": {"steps": 3, "interval_ms": 20}, "_meta": {"progressToken": token}
        });
        let check = |reports: &[Value]| {
            let reports: Vec<&Value> =
                reports.iter().filter(|message| message["method"] != "notifications/tools/list_changed").collect();
            let steps: Vec<f64> = reports.iter().filter_map(|report| report["params"]["progress"].as_f64()).collect();
            assert_eq!(steps, [1.0, 2.0, 3.0], "{reports:?}");
            for report in reports {
                assert_eq!(
                    (&report["method"], &report["params"]["progressToken"]),
                    (&json!("notifications/progress"), &token)
                );
                assert_eq!(report["params"]["total"], 3.0);
            }
        };
        let mut messages = session.request_as(json!(1), "tools/call", params.clone()).await;
        let response = messages.pop().expect("a response");
        assert_eq!(text(&response["result"]), "3 steps done");
        check(&messages);

        let result = legacy.request("tools/call", params).await;
        assert_eq!(text(&result), "3 steps done");
        check(&legacy.events.rest(Duration::from_millis(50)).await);
    }
}

#[tokio::test]
async fn a_client_that_asked_for_no_progress_gets_none() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let params = json!({"name": "a__progress", "arguments": {"steps": 3, "interval_ms": 10}});
    assert_eq!(session.request_as(json!(1), "tools/call", params).await.len(), 1);
}

#[tokio::test]
async fn meta_of_the_client_reaches_the_server_and_reserved_keys_do_not() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let params = json!({"name": "a__request", "arguments": {}, "_meta": {
        "progressToken": "mine",
        "vendor.example/trace": {"id": 5},
        "traceparent": "00-abc-def-01",
        "io.modelcontextprotocol/logLevel": "debug"
    }});
    let result = session.request("tools/call", params).await;
    let seen: Value = serde_json::from_str(text(&result)).expect("JSON");
    assert_eq!(seen["_meta"]["vendor.example/trace"], json!({"id": 5}));
    assert_eq!(seen["_meta"]["traceparent"], "00-abc-def-01");
    assert!(seen["_meta"].get("io.modelcontextprotocol/logLevel").is_none(), "{seen}");
    assert_ne!(seen["_meta"]["progressToken"], "mine", "the server sees a token of ours");
}

#[tokio::test]
async fn t08_a_pretty_printed_request_is_one_line_for_the_server() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let body = "{\r\n  \"jsonrpc\": \"2.0\",\n  \"id\": 1,\n  \"method\": \"tools/call\",\n  \"params\": {\n    \"name\": \"a__echo\",\r\n    \"arguments\": {\n      \"text\": \"line\\nbreak\"\n    }\n  }\n}\n";
    let answer = session.post(body).await;
    assert_eq!(text(&answer.messages().pop().expect("an answer")["result"]), "line\nbreak");
}

#[tokio::test]
async fn a_cancelled_call_reaches_the_server_and_is_not_answered() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let mut legacy = proxy.legacy_session().await;
    let body = json!({"jsonrpc": "2.0", "id": "gone", "method": "tools/call", "params": {"name": "a__slow", "arguments": {"ms": 600_000}}});
    let cancel = json!({"requestId": "gone", "reason": "enough"});
    let count = async || session.say("a__cancelled_count", json!({})).await;

    let text_of_call = body.to_string();
    let call = session.post(&text_of_call);
    let give_up = async {
        in_flight(&proxy, 1).await;
        session.notify("notifications/cancelled", cancel.clone()).await;
        eventually("the server saw it", Duration::from_secs(10), async || (count().await == "1").then_some(())).await;
    };
    let (answer, ()) = tokio::join!(call, give_up);
    assert!(!answer.body.contains("\"gone\""), "no answer to a cancelled request: {answer:?}");

    legacy.post(&body).await;
    in_flight(&proxy, 1).await;
    legacy.post(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel})).await;
    eventually("the server saw it", Duration::from_secs(10), async || (count().await == "2").then_some(())).await;
    let rest = legacy.events.rest(Duration::from_millis(200)).await;
    assert!(rest.iter().all(|message| message["id"] != "gone"), "{rest:?}");
}

#[tokio::test]
async fn nobody_can_cancel_the_call_of_another_session() {
    let proxy = Proxy::of(&["a"]).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    let call = one.request_as(json!(1), "tools/call", json!({"name": "a__slow", "arguments": {"ms": 400}}));
    let meddle = async {
        in_flight(&proxy, 1).await;
        two.notify("notifications/cancelled", json!({"requestId": 1})).await;
    };
    let (messages, ()) = tokio::join!(call, meddle);
    assert_eq!(text(&messages[0]["result"]), "slept 400 ms");
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_cancel_its_call() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a__slow", "arguments": {"ms": 800}}});
    let text_of_call = body.to_string();
    let left = tokio::select! {
        _ = session.post(&text_of_call) => false,
        () = in_flight(&proxy, 1) => true,
    };
    assert!(left, "the client left before the answer");
    in_flight(&proxy, 0).await;
    assert_eq!(session.say("a__cancelled_count", json!({})).await, "0");
}

#[tokio::test]
async fn a_call_without_a_sign_of_life_times_out_and_the_server_is_told() {
    let mut server = fixture("a", &[]);
    server["timeout"] = json!(0.6);
    let proxy = Proxy::start(json!({"servers": [server]})).await;
    let session = proxy.session().await;
    let begun = Instant::now();
    let error = session.refuse("a__slow", json!({"ms": 60_000})).await;
    assert_eq!((&error["code"], &error["data"]["server"]), (&json!(31001), &json!("a")), "{error}");
    assert!((0.5..5.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    eventually("the server was told", Duration::from_secs(10), async || {
        (session.say("a__cancelled_count", json!({})).await == "1").then_some(())
    })
    .await;
    assert_eq!(session.refuse("a__hang", json!({})).await["code"], 31001);
    assert_eq!(proxy.server("a").await.restarts, 0, "a slow call is no reason to restart");
}

#[tokio::test]
async fn t07_progress_resets_the_timeout_even_when_the_client_asked_for_none_but_not_the_total() {
    let mut patient = fixture("a", &[]);
    patient["timeout"] = json!(0.8);
    let mut strict = fixture("b", &[]);
    (strict["timeout"], strict["maxTimeout"]) = (json!(0.8), json!(1.5));
    let proxy = Proxy::start(json!({"servers": [patient, strict]})).await;
    let session = proxy.session().await;
    let steps = json!({"steps": 10, "interval_ms": 250});
    assert_eq!(session.say("a__progress", steps.clone()).await, "10 steps done");
    assert_eq!(session.refuse("b__progress", steps).await["code"], 31001);
}

#[tokio::test]
async fn prompts_are_got_and_their_arguments_completed() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let session = proxy.session().await;
    let prompt = session
        .request("prompts/get", json!({"name": "b__greet", "arguments": {"name": "Ann", "style": "terse"}}))
        .await;
    assert_eq!(prompt["messages"][0]["content"]["text"], "Greet Ann in terse style.");
    let complete = async |reference: Value, argument: Value| {
        let result = session.request("completion/complete", json!({"ref": reference, "argument": argument})).await;
        result["completion"]["values"].clone()
    };
    let prompt =
        complete(json!({"type": "ref/prompt", "name": "b__greet"}), json!({"name": "style", "value": "f"})).await;
    assert_eq!(prompt, json!(["formal", "friendly"]));
    let template = json!({"type": "ref/resource", "uri": "b+fixture://item/{id}"});
    assert_eq!(complete(template, json!({"name": "id", "value": "39"})).await, json!(["39"]));
    let unknown = json!({"ref": {"type": "ref/prompt", "name": "nobody__x"}, "argument": {"name": "a", "value": ""}});
    assert_eq!(session.failure("completion/complete", unknown).await["code"], -32602);
}

#[tokio::test]
async fn a_server_sees_what_its_entry_lists_and_no_other_secret() {
    let mut server = fixture("a", &[]);
    server["env"] = json!({"OWN": "own-${OUTSIDE}"});
    let proxy = Proxy::launch_with(json!({"servers": [server]}), |command| {
        command.env("OUTSIDE", "value").env("UNRELATED_SECRET", "do-not-leak");
        command.env("UV_PYTHON_PREFERENCE", "system").env("npm_config_@corp:registry", "http://127.0.0.1:1/");
        command.env("UV_INDEX_CORP_PASSWORD", "do-not-leak").env("npm_config_//127.0.0.1/:_authToken", "do-not-leak");
    })
    .await;
    proxy.until_ready().await;
    let session = proxy.session().await;
    assert_eq!(session.say("a__env", json!({"name": "OWN"})).await, "own-value");
    let names = session.say("a__env_names", json!({})).await;
    for hidden in ["UNRELATED_SECRET", "OUTSIDE", "CARGO", "PASSWORD", "authToken"] {
        assert!(!names.contains(hidden), "{hidden} in {names}");
    }
    for passed_on in ["PATH", "UV_PYTHON_PREFERENCE", "npm_config_@corp:registry"] {
        assert!(names.lines().any(|name| name == passed_on), "{passed_on} in {names}");
    }
}

#[tokio::test]
async fn an_sse_client_that_leaves_cancels_its_calls() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let legacy = proxy.legacy_session().await;
    let params = json!({"name": "a__slow", "arguments": {"ms": 600_000}});
    legacy.post(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})).await;
    in_flight(&proxy, 1).await;
    drop(legacy);
    eventually("the server saw it", Duration::from_secs(10), async || {
        (session.say("a__cancelled_count", json!({})).await == "1").then_some(())
    })
    .await;
}

#[tokio::test]
async fn tasks_are_refused_and_not_half_done() {
    let proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let params = json!({"name": "a__echo", "arguments": {"text": "x"}, "task": {"ttl": 1000}});
    assert_eq!(session.failure("tools/call", params).await["code"], -32602);
    assert!(session.hello["capabilities"].get("tasks").is_none(), "{}", session.hello);
}

#[tokio::test]
async fn a_secret_of_a_server_is_nowhere_to_be_seen() {
    let mut server = fixture("a", &[]);
    server["env"] = json!({"API_KEY": "${THE_KEY}", "PLAIN": "written-out-secret"});
    let mut dying = fixture("dying", &["--exit-before-init", "1"]);
    dying["env"] = json!({"API_KEY": "${THE_KEY}"});
    let proxy = Proxy::launch_with(json!({"servers": [server, dying]}), |command| {
        command.env("THE_KEY", "interpolated-secret");
    })
    .await;
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
    proxy.server_until("failed once", "dying", |server| server.last_error.is_some()).await;
    let session = proxy.session().await;
    assert_eq!(session.say("a__env", json!({"name": "API_KEY"})).await, "interpolated-secret");
    let mut seen = vec![proxy.log(), proxy.get("/health").await.body, proxy.get("/metrics").await.body];
    seen.push(session.say("mcproxy__status", json!({})).await);
    seen.push(session.say("mcproxy__logs", json!({"server": "dying"})).await);
    for args in [&["status"][..], &["status", "a"], &["status", "--json"], &["logs"]] {
        seen.push(proxy.cli(args).await.stdout);
    }
    for (pid, _) in proxy.processes() {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        seen.push(String::from_utf8_lossy(&line).into_owned());
    }
    for text in seen {
        assert!(!text.contains("interpolated-secret") && !text.contains("written-out-secret"), "{text}");
    }
}

/// Waits until the gateway has so many calls under way at server `a`.
async fn in_flight(proxy: &Proxy, calls: u64) {
    let line = format!("mcproxy_calls_in_flight{{server=\"a\"}} {calls}");
    eventually(&line, Duration::from_secs(10), async || {
        let metrics = proxy.get("/metrics").await.body;
        // A server without calls may have no line at all.
        let none = calls == 0 && !metrics.contains("mcproxy_calls_in_flight{server=\"a\"}");
        (none || metrics.lines().any(|found| found == line)).then_some(())
    })
    .await;
}
