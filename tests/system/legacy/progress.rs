//! Progress of calls whose server is not there yet.

use serde_json::json;

use crate::support::{Proxy, fixture};

/// Longer than a client waits for the first sign of life.
const SLOW_START: [&str; 2] = ["--start-delay-ms", "6000"];

#[tokio::test]
async fn progress_never_goes_back_when_a_server_or_an_instance_had_to_start_first() {
    let (mut lazy, mut own) = (fixture("lazy", &SLOW_START), fixture("own", &SLOW_START));
    lazy["start"] = json!("lazy");
    lazy["idleTimeout"] = json!(1);
    own["instances"] = json!("per-session");
    own["limits"] = json!({"maxConcurrent": 4});
    let proxy = Proxy::start(json!({"servers": [lazy, own]})).await;
    proxy.until_ready().await;
    proxy.server_until("at rest", "lazy", |server| server.state == "idle").await;
    let session = proxy.session().await;
    // The first instance goes to another session.
    proxy.session().await.say("own__echo", json!({"text": "x"})).await;
    let progress = async |id: u64, tool: &str| {
        let meta = json!({"progressToken": "t"});
        let params = json!({"name": tool, "arguments": {"steps": 3, "interval_ms": 1}, "_meta": meta});
        let messages = session.request_as(json!(id), "tools/call", params).await;
        let reports = messages.iter().filter(|message| message["method"] == "notifications/progress");
        let values = reports.map(|report| report["params"]["progress"].as_f64().expect("a number"));
        (tool.to_owned(), values.collect::<Vec<f64>>())
    };
    let (one, two) = tokio::join!(progress(5, "lazy__progress"), progress(6, "own__progress"));
    for (tool, values) in [one, two] {
        assert!(values.len() > 3 && values[0] < 0.0, "{tool}: we said that it starts: {values:?}");
        assert!(values.is_sorted_by(|one, next| one < next), "{tool}: {values:?}");
    }
}
