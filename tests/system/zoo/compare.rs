//! Each server directly and through MCProxy, all started at once.

use std::{io::Write, path::Path, time::Duration};

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
        let verdict = verdict(&proxy, entry, status.server(&entry.name), there.path(), here.path()).await;
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
async fn verdict(proxy: &Proxy, entry: &Entry, seen: &ServerView, there: &Path, dir: &Path) -> Result<String, String> {
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
        let plain = pages(&mut direct, method, member, &mut plain).await;
        // A server that has no such list refuses the question; MCProxy's is empty then.
        let (through, plain) = (items(through, member, there), items(plain, member, dir));
        if through != plain {
            return Err(format!("{method}: {}", difference(&plain, &through)));
        }
        counts.push(plain.len());
    }
    let params = json!({"name": entry.call.name, "arguments": entry.call.arguments});
    let through = placeless(ask(proxy, entry, "tools/call", params.clone()).await, there);
    let plain = placeless(direct.ask("tools/call", params).await, dir);
    if through != plain {
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

/// The items of a list, with the one thing that every list of MCProxy has: the `type` of an `inputSchema`, which MCP requires
/// and for whose absence strict clients refuse the whole list.
fn items(mut answer: Value, member: &str, dir: &Path) -> Vec<Value> {
    let items = answer["result"][member].as_array_mut().map(std::mem::take).unwrap_or_default();
    let complete = |mut item: Value| {
        if let Some(schema) = item.get_mut("inputSchema").and_then(Value::as_object_mut) {
            schema.entry("type").or_insert_with(|| json!("object"));
        }
        placeless(item, dir)
    };
    items.into_iter().map(complete).collect()
}

/// A value without the name of the directory that the server works in, which differs; some write it in small letters.
fn placeless(value: Value, dir: &Path) -> Value {
    match value {
        Value::String(text) => {
            let dir = dir.display().to_string();
            json!(text.replace(&dir, "<dir>").replace(&dir.to_lowercase(), "<dir>"))
        }
        Value::Array(items) => items.into_iter().map(|item| placeless(item, dir)).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, placeless(value, dir))).collect(),
        other => other,
    }
}

/// The first item that is not the same in both.
fn difference(plain: &[Value], through: &[Value]) -> String {
    let pair = plain.iter().zip(through).find(|(plain, through)| plain != through);
    match pair {
        Some((plain, through)) => format!("{plain} but {through}"),
        None => format!("{} items but {}", plain.len(), through.len()),
    }
}
