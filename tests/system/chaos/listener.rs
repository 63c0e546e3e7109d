use std::time::Instant;

use reqwest::StatusCode;
use serde_json::Value;

use super::{
    call::Call,
    ledger::Ledger,
    streamable::{AGAIN, Streamable},
};
use crate::support::Events;

/// A client that only listens: no answer to anybody's call may come to it.
pub(super) async fn listen(mut client: Streamable, ledger: &Ledger) {
    while !ledger.over.get() {
        let Some(session) = client.session(ledger).await else { continue };
        let begun = Instant::now();
        let request = client.http.get(&client.url).header("accept", "text/event-stream");
        match request.header("mcp-session-id", session).send().await {
            Ok(response) if response.status() == StatusCode::OK => {
                read(&client, Events::of(response), ledger).await;
            }
            Ok(response) => {
                let what = format!("listener {}: HTTP {}", client.number, response.status());
                ledger.violated("a session outlives the gateway", what);
                client.leave().await;
            }
            Err(error) if error.is_connect() => ledger.violated("no connection is refused", format!("{error:?}")),
            Err(error) => ledger.broke(begun, || format!("listener {}: {error:?}", client.number)),
        }
        tokio::time::sleep(AGAIN).await;
    }
    client.leave().await;
}

async fn read(client: &Streamable, mut events: Events, ledger: &Ledger) {
    let opened = Instant::now();
    while !ledger.over.get() {
        // Woken now and then to see whether it is over.
        match tokio::time::timeout(AGAIN, events.event()).await {
            Ok(Some((_, data))) => match serde_json::from_str::<Value>(&data) {
                Ok(message) => {
                    Call::check_other(ledger, client.number, &message);
                    if message["method"] == "notifications/tools/list_changed" {
                        ledger.note("list_changed heard");
                    }
                }
                Err(error) => ledger.violated("every answer is the caller's own", format!("{error}: {data:.300}")),
            },
            Ok(None) => return ledger.broke(opened, || format!("listener {}: the stream ended", client.number)),
            Err(_) => (),
        }
    }
}
