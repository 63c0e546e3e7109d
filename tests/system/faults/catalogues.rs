//! Catalogues that are absurd, or made to deceive.

use serde_json::{Value, json};

use crate::support::{Proxy, fixture, peak_kib};

#[tokio::test]
async fn a_million_tools_are_cut_at_the_limit_and_cost_a_bounded_amount() {
    let flags = ["--profile", "bare", "--tools", "1000000", "--page-size", "3000"];
    let mut absurd = fixture("absurd", &flags);
    absurd["startTimeout"] = json!(120);
    let proxy = Proxy::start(json!({"servers": [absurd, fixture("b", &[])]})).await;
    let session = proxy.session().await;
    let tools = session.tools().await;
    let of_absurd = tools.iter().filter(|name| name.starts_with("absurd__")).count();
    assert_eq!(of_absurd, 2000, "limits.maxTools");
    assert!(tools.contains(&"b__echo".to_owned()));
    proxy.logged(&["list is not complete", "limits.maxTools"]).await;
    assert_eq!(session.say("absurd__echo", json!({"text": "fine"})).await, "fine");
    let worker = proxy.server("absurd").await.worker_pid.expect("a worker");
    for (whose, pid) in [("the worker", worker), ("the gateway", proxy.status().await.gateway_pid())] {
        let peak = peak_kib(pid) / 1024;
        assert!(peak < 96, "{whose} held {peak} MiB");
    }
}

#[tokio::test]
async fn how_many_pages_of_a_list_are_read_is_a_setting() {
    let mut endless = fixture("endless", &["--endless-pages"]);
    endless["limits"] = json!({"maxPages": 3});
    let proxy = Proxy::start(json!({"servers": [endless]})).await;
    proxy.logged(&["list is not complete", "limits.maxPages"]).await;
    assert_eq!(proxy.session().await.say("endless__echo", json!({"text": "fine"})).await, "fine");
}

#[tokio::test]
async fn no_name_that_hides_or_reorders_anything_reaches_a_client() {
    let long = "x".repeat(10_000);
    let hostile = [
        "esc\u{1b}[2Jape",
        "new\nline",
        "nul\0l",
        "right\u{202e}left",
        "isolate\u{2066}d",
        "zero\u{200b}width",
        "tag\u{e0041}ged",
        "soft\u{ad}hyphen",
        "bom\u{feff}",
        &long,
    ];
    let odd = ["with/slash", "with__separator", "with space", "caf\u{e9}", "\u{430}dmin"];
    let mut flags = Vec::new();
    for name in hostile.iter().chain(&odd).filter(|name| !name.contains('\0')).chain(&["twice", "twice"]) {
        flags.extend(["--tool-name", *name]);
    }
    let proxy = Proxy::start(json!({"servers": [fixture("a", &flags)]})).await;
    let session = proxy.session().await;
    let list = session.list("tools/list", "tools").await;
    let names: Vec<&str> = list.as_array().expect("a list").iter().filter_map(|tool| tool["name"].as_str()).collect();
    for name in hostile {
        assert!(!names.contains(&format!("a__{name}").as_str()), "{name:?}");
        let refused = session.refuse(&format!("a__{name}"), json!({})).await;
        assert_eq!(refused["code"], -32602, "{name:?}: {refused}");
    }
    for name in odd {
        assert!(names.contains(&format!("a__{name}").as_str()), "{name:?} in {names:?}");
    }
    assert_eq!(names.iter().filter(|name| **name == "a__twice").count(), 1, "{names:?}");
    let hidden =
        |c: char| c.is_control() || ('\u{200b}'..='\u{200f}').contains(&c) || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!names.iter().any(|name| name.chars().any(hidden)), "{names:?}");
    let text = |value: &Value| value.to_string();
    assert!(!text(&list).contains(&long));
    proxy.logged(&["catalogue", "left out", "control or invisible"]).await;
    proxy.logged(&["catalogue", "twice"]).await;
    assert!(!proxy.log().contains('\u{202e}') && !proxy.log().contains("\u{1b}[2J"), "the log is clean");
}
