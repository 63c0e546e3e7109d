//! Methods that no revision knows.

use serde_json::{Value, json};

use crate::support::{Modern, Proxy, fixture};

const MAPS: [&str; 2] = ["--extension", "com.example/maps"];

fn with_maps(name: &str, era: &str) -> Value {
    fixture(name, &[&MAPS[..], &["--era", era]].concat())
}

#[tokio::test]
async fn a_method_of_an_extension_goes_to_the_only_server_that_declares_it() {
    for era in ["legacy", "modern"] {
        let proxy = Proxy::start(json!({"servers": [with_maps("a", era), fixture("b", &[])]})).await;
        let (b, c) = (proxy.session().await, Modern::new(&proxy.http, &proxy.url("/mcp")));
        let params = json!({"where": {"n": 1.5}});
        for result in [b.request("maps/find", params.clone()).await, c.result("maps/find", params.clone()).await] {
            assert!(result["method"] == "maps/find" && result["params"]["where"]["n"] == 1.5, "{era}: {result}");
        }
        assert!(
            c.result("server/discover", json!({})).await["capabilities"]["extensions"]["com.example/maps"].is_object()
        );
        let error = b.failure("chess/move", json!({})).await;
        assert_eq!(error["code"], -32601, "{era}: {error}");
        let answer = c.ask("chess/move", json!({})).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (404, -32601), "{era}: {answer:?}");
        // What the server has no such method for, it says itself.
        let error = b.failure("com.example/maps/unknown", json!({})).await;
        assert_eq!(error["code"], -32601, "{era}: {error}");
    }
}

#[tokio::test]
async fn with_two_such_servers_each_endpoint_knows_its_own() {
    let proxy = Proxy::start(json!({"servers": [with_maps("a", "legacy"), with_maps("b", "modern")]})).await;
    let error = proxy.session().await.failure("maps/find", json!({})).await;
    assert_eq!(error["code"], -32601, "{error}");
    for name in ["a", "b"] {
        let result = proxy.session_at(&format!("/servers/{name}/mcp")).await.request("maps/find", json!({})).await;
        assert_eq!(result["method"], "maps/find");
    }
}
