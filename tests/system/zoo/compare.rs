//! Each server directly and through MCProxy, all started at once.

use std::{io::Write, time::Duration};

use serde_json::{Value, json};

use super::{
    direct::Direct,
    entry::{Entry, Era, entries},
};
use crate::support::{Modern, Proxy, ServerView, eventually};

/// Fifty servers at once on two cores.
const ALL_READY: Duration = Duration::from_secs(300);

/// The lists, and the member of their result that holds them.
const LISTS: [(&str, &str); 4] = [
    ("tools/list", "tools"),
    ("prompts/list", "prompts"),
    ("resources/list", "resources"),
    ("resources/templates/list", "resourceTemplates"),
];

#[tokio::test]
#[ignore = "needs fifty installed servers and minutes; tests/zoo/run runs it"]
async fn published_servers_are_through_the_proxy_what_they_are_directly() {
    let Some(entries) = entries() else { return };
    let (there, here) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let servers: Vec<Value> = entries.iter().map(|entry| entry.installed(&entry.prepare(there.path()))).collect();
    let proxy = Proxy::launch(json!({"servers": servers})).await;
    until_settled(&proxy, ALL_READY).await;
    let status = proxy.status().await;
    let mut table = Vec::new();
    for entry in &entries {
        let verdict = verdict(&proxy, entry, status.server(&entry.name), here.path()).await;
        let shown = verdict.as_ref().map_or_else(|why| format!("WRONG: {why}"), |said| said.clone());
        table.push(format!("{:18} {:42} {:24} {shown}", entry.name, entry.package(), entry.sdk));
    }
    let wrong = table.iter().filter(|line| line.contains("WRONG")).count();
    // Nobody may be reading.
    let _ = writeln!(std::io::stderr().lock(), "{}", table.join("\n"));
    assert_eq!(wrong, 0, "of {} servers", entries.len());
}

/// Waits until no server is on its way any more, or the time is over.
async fn until_settled(proxy: &Proxy, deadline: Duration) {
    let begun = std::time::Instant::now();
    eventually("all are ready, or never will be", deadline + Duration::from_secs(20), async || {
        let status = proxy.try_status().await?;
        (status.servers.iter().all(ServerView::is_ready) || begun.elapsed() > deadline).then_some(())
    })
    .await;
}

/// What is the same, in one line; or the first thing that is not.
async fn verdict(proxy: &Proxy, entry: &Entry, seen: &ServerView, dir: &std::path::Path) -> Result<String, String> {
    if !seen.is_ready() {
        return Err(format!("{}: {:?}", seen.state, seen.last_error));
    }
    let found = seen.server.as_ref().ok_or("nothing is known of it")?;
    if found["era"] != entry.era.name() {
        return Err(format!("spoken to as {}", found["era"]));
    }
    let mut direct = Direct::start(entry, &entry.prepare(dir)).await;
    let mut counts = Vec::new();
    for (method, member) in LISTS {
        let through = ask(proxy, entry, method, json!({})).await;
        let mut plain = direct.ask(method, json!({})).await;
        // A server that has no such list refuses the question; MCProxy's is empty then.
        let (through, plain) =
            (items(&through, member), items(&pages(&mut direct, method, member, &mut plain).await, member));
        if through != plain {
            return Err(format!("{method}: {}", difference(&plain, &through)));
        }
        counts.push(plain.len());
    }
    let params = json!({"name": entry.call.name, "arguments": entry.call.arguments});
    let through = ask(proxy, entry, "tools/call", params.clone()).await;
    let plain = direct.ask("tools/call", params).await;
    if comparable(&through, entry) != comparable(&plain, entry) {
        return Err(format!("{}: {plain} but {through}", entry.call.name));
    }
    let [tools, prompts, resources, templates] = counts[..] else { unreachable!("four lists") };
    Ok(format!(
        "{}, {} restarts, {tools} tools, {prompts} prompts, {resources} resources, {templates} templates",
        found["protocolVersion"], seen.restarts
    ))
}

/// The other pages of a list, added to the first.
async fn pages(direct: &mut Direct, method: &str, member: &str, first: &mut Value) -> Value {
    let mut all = first.take();
    while let Some(cursor) = all["result"]["nextCursor"].as_str().map(str::to_owned) {
        let mut next = direct.ask(method, json!({"cursor": cursor})).await;
        let more = next["result"][member].as_array_mut().map(std::mem::take).unwrap_or_default();
        all["result"][member].as_array_mut().expect("a list").extend(more);
        all["result"]["nextCursor"] = next["result"]["nextCursor"].take();
    }
    all
}

/// A request through MCProxy in the server's own era.
async fn ask(proxy: &Proxy, entry: &Entry, method: &str, params: Value) -> Value {
    let path = format!("/servers/{}/mcp", entry.name);
    let mut message = match entry.era {
        Era::Legacy => proxy.session_at(&path).await.respond(method, params).await,
        Era::Modern => {
            let answer = Modern::new(&proxy.http, &proxy.url(&path)).ask(method, params).await;
            answer.messages().pop().unwrap_or_else(|| panic!("no message in {answer:?}"))
        }
    };
    let which = if message.get("error").is_some() { "error" } else { "result" };
    json!({which: message[which].take()})
}

fn items(answer: &Value, member: &str) -> Vec<Value> {
    answer["result"][member].as_array().cloned().unwrap_or_default()
}

/// An answer without the name of the directory that the server works in, which differs.
fn comparable(answer: &Value, entry: &Entry) -> String {
    let text = answer.to_string();
    let mut out = String::new();
    for piece in text.split("/tmp/.tmp") {
        if out.is_empty() {
            out.push_str(piece);
        } else {
            out.push_str("<dir>");
            out.push_str(piece.split_once(&entry.name).map_or(piece, |(_, rest)| rest));
        }
    }
    out
}

/// The first item that is not the same in both.
fn difference(plain: &[Value], through: &[Value]) -> String {
    let pair = plain.iter().zip(through).find(|(plain, through)| plain != through);
    match pair {
        Some((plain, through)) => format!("{plain} but {through}"),
        None => format!("{} items but {}", plain.len(), through.len()),
    }
}
