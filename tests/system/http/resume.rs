//! Streams that break off and are taken up again (MCP 2025-11-25, transports, resumability; SEP-1699).

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{PING, proxy, refused};
use crate::support::{Events, Proxy, Session, ask, eventually, fixture, kill, signal};

const QUIET: Duration = Duration::from_millis(400);
const WATCHED: &str = "a+fixture://watched";

fn slow(ms: u64) -> Value {
    json!({"name": "a__slow", "arguments": {"ms": ms}})
}

fn steps(steps: u64, interval_ms: u64) -> Value {
    let arguments = json!({"steps": steps, "interval_ms": interval_ms});
    json!({"name": "a__progress", "arguments": arguments, "_meta": {"progressToken": "t"}})
}

/// All messages up to the end of the stream, with their ids.
async fn rest(mut events: Events) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    while let Some(raw) = events.raw_message().await {
        all.push((raw.id.clone().expect("every message has an id"), raw.message()));
    }
    all
}

#[tokio::test]
async fn t06_the_result_of_a_call_whose_connection_dropped_is_replayed_once() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let mut stream = session.streamed(json!("late"), "tools/call", slow(2500)).await;
    let begin = stream.prime().await;
    drop(stream);
    let resumed = rest(Events::open(session.after(&begin)).await).await;
    let [(last, answer)] = &resumed[..] else { panic!("one message: {resumed:?}") };
    assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!("late"), &json!("slept 2500 ms")));
    assert_eq!(rest(Events::open(session.after(last)).await).await, [], "nothing comes after the answer");
    assert_eq!(session.say("a__cancelled_count", json!({})).await, "0", "a dropped connection cancels nothing");
    // The answer may be under way when the connection breaks, so whoever does not have it may ask again.
    assert_eq!(rest(Events::open(session.after(&begin)).await).await, resumed);
}

#[tokio::test]
async fn the_first_event_of_a_stream_is_an_id_and_says_when_to_come_back() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    for mut stream in [session.stream().await, session.streamed(json!(1), "tools/call", slow(600)).await] {
        let first = stream.raw().await.expect("an event");
        let retry = first.retry.expect("how long to wait");
        assert!(retry.parse::<u64>().is_ok_and(|ms| (100..=5000).contains(&ms)), "{retry}");
        assert!(stream.prime().await.ends_with(".0"));
    }
    // Those who do not know of empty events get none.
    for version in ["2025-03-26", "2025-06-18"] {
        let older = Session::of_version(&proxy.http, &proxy.url("/mcp"), version).await;
        let mut stream = older.streamed(json!(1), "tools/call", slow(600)).await;
        let first = stream.raw().await.expect("an event");
        assert!(first.retry.is_none() && first.id.is_some(), "{first:?}");
        assert_eq!(first.message()["result"]["content"][0]["text"], "slept 600 ms");
    }
}

#[tokio::test]
async fn an_answer_that_is_there_at_once_is_plain_json_without_any_of_this() {
    let proxy = proxy().await;
    let answer = proxy.session().await.post(PING).await;
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    assert_eq!(answer.body, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
}

#[tokio::test]
async fn each_stream_is_replayed_by_itself_and_each_event_is_on_one_stream() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let (mut one, mut two) = (
        session.streamed(json!("one"), "tools/call", steps(20, 60)).await,
        session.streamed(json!("two"), "tools/call", steps(20, 60)).await,
    );
    let mut begun = Vec::new();
    for stream in [&mut one, &mut two] {
        stream.prime().await;
        let first = stream.raw_message().await.expect("progress");
        assert_eq!(first.message()["params"]["progress"], json!(1.0));
        begun.push(first.id.expect("an id"));
    }
    drop((one, two));
    session.say("a__add_tool", json!({"name": "later"})).await;
    for (name, after) in [("one", &begun[0]), ("two", &begun[1])] {
        let all = rest(Events::open(session.after(after)).await).await;
        let progress: Vec<f64> = all.iter().filter_map(|(_, message)| message["params"]["progress"].as_f64()).collect();
        assert_eq!(progress, (2..=20).map(f64::from).collect::<Vec<_>>(), "{name}: all of it, in order, nothing else");
        assert_eq!(all.len(), 20);
        assert_eq!(all[19].1["id"], name);
        let stream = after.split_once('.').expect("a stream and a number").0;
        assert!(all.iter().all(|(id, _)| id.split_once('.').is_some_and(|(of, _)| of == stream)), "{name}: {all:?}");
    }
}

#[tokio::test]
async fn who_resumes_a_stream_takes_it_over() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let mut first = session.streamed(json!(1), "tools/call", slow(3000)).await;
    let begin = first.prime().await;
    let second = Events::open(session.after(&begin)).await;
    assert!(first.raw_message().await.is_none(), "the first reader is cut off");
    assert_eq!(rest(second).await.len(), 1);
}

#[tokio::test]
async fn a_listener_that_was_cut_off_goes_on_where_it_was() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    session.request("resources/subscribe", json!({"uri": WATCHED})).await;
    let mut stream = session.stream().await;
    stream.prime().await;
    session.say("a__touch_resource", json!({})).await;
    let heard = stream.raw_message().await.expect("an update");
    drop(stream);
    for _ in 0..3 {
        session.say("a__touch_resource", json!({})).await;
    }
    let mut again = Events::open(session.after(heard.id.as_deref().expect("an id"))).await;
    for _ in 0..3 {
        let update = again.raw_message().await.expect("an update");
        assert_eq!(update.message()["method"], "notifications/resources/updated");
    }
    session.say("a__touch_resource", json!({})).await;
    let more = again.rest(QUIET).await;
    assert_eq!(more.len(), 1, "nothing twice, and the stream goes on: {more:?}");
}

#[tokio::test]
async fn what_cannot_be_resumed_is_refused_without_ending_the_session() {
    let proxy = proxy().await;
    let (session, other) = (proxy.session().await, proxy.session().await);
    let mut stream = session.streamed(json!(1), "tools/call", slow(1000)).await;
    let begin = stream.prime().await;
    let name = begin.split_once('.').expect("a stream and a number").0;
    let beyond = format!("{name}.99");
    for id in ["7", "x.y", "p1-99999.0", beyond.as_str(), "p99-1.0"] {
        refused(&ask(session.after(id)).await, 400, -32600);
    }
    refused(&ask(other.after(&begin)).await, 400, -32600);
    assert_eq!(stream.raw_message().await.expect("the answer").message()["id"], 1, "it was not disturbed");
    // A stream that is not known any more begins anew; its client is asked to look at what it may have missed.
    let mut anew = Events::open(session.after("g77-1.5")).await;
    anew.notification("notifications/tools/list_changed").await;
}

#[tokio::test]
async fn after_the_end_of_the_gateway_a_listener_is_heard_again_and_a_lost_call_is_said_to_be_lost() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let (mut listening, mut call) =
        (session.stream().await, session.streamed(json!(1), "tools/call", slow(60_000)).await);
    let (listened, called) = (listening.prime().await, call.prime().await);
    let before = proxy.status().await.gateway_pid();
    kill(before);
    assert!(call.raw_message().await.is_none());
    let answer = eventually("the next gateway answers", Duration::from_secs(20), async || {
        let response = session.after(&called).send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    })
    .await;
    assert_eq!(answer.0, 400, "{answer:?}");
    assert!(answer.1.contains("earlier gateway"), "{answer:?}");
    let mut again = Events::open(session.after(&listened)).await;
    again.notification("notifications/tools/list_changed").await;
    assert_eq!(session.say("a__echo", json!({"text": "here"})).await, "here");
}

#[tokio::test]
async fn what_is_kept_for_a_client_that_is_away_is_bounded_and_the_answer_is_kept_longest() {
    let limits = json!({"replayEvents": 8, "replayBytes": 4096});
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])], "limits": limits})).await;
    let session = proxy.session().await;
    let mut stream = session.streamed(json!("many"), "tools/call", steps(10_000, 0)).await;
    let begin = stream.prime().await;
    drop(stream);
    let all = rest(Events::open(session.after(&begin)).await).await;
    assert_eq!(all.last().expect("an answer").1["id"], "many");
    // An answer over the bound is kept for a client that is there, not for one that is away.
    let big = json!({"name": "a__echo_size", "arguments": {"bytes": 10_000}});
    let pid = proxy.server("a").await.pid();
    signal(pid, rustix::process::Signal::STOP);
    let (mut there, mut away) = (
        session.streamed(json!("there"), "tools/call", big.clone()).await,
        session.streamed(json!("away"), "tools/call", big).await,
    );
    there.prime().await;
    let begin = away.prime().await;
    drop(away);
    eventually("the gateway knows that its client is away", Duration::from_secs(20), async || {
        proxy.get("/metrics").await.body.contains("mcproxy_streams 1\n").then_some(())
    })
    .await;
    signal(pid, rustix::process::Signal::CONT);
    assert_eq!(there.raw_message().await.expect("the answer").message()["id"], "there");
    let gone = eventually("the other answer is there and gone", Duration::from_secs(20), async || {
        let response = session.after(&begin).send().await.expect("the gateway answers");
        if response.status() == 200 {
            return None;
        }
        Some(response.text().await.expect("a body"))
    })
    .await;
    assert!(gone.contains("limits.replayBytes"), "{gone}");
}

#[tokio::test]
async fn a_client_that_never_reads_costs_no_more_than_the_bound() {
    let limits = json!({"replayEvents": 100});
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])], "limits": limits})).await;
    let session = proxy.session().await;
    let body = json!({"jsonrpc": "2.0", "id": "mute", "method": "tools/call", "params": steps(10_000, 0)}).to_string();
    let host = proxy.base.trim_start_matches("http://").to_owned();
    let mut socket = TcpStream::connect(&host).await.expect("connects");
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\nmcp-session-id: {}\r\ncontent-length: {}\r\n\r\n",
        session.id,
        body.len()
    );
    socket.write_all((head + &body).as_bytes()).await.expect("sent");
    let begin = first_id(&mut socket).await;
    eventually("all is said", Duration::from_secs(60), async || {
        proxy.get("/metrics").await.body.contains("mcproxy_calls_in_flight{server=\"a\"} 0").then_some(())
    })
    .await;
    let all = rest(Events::open(session.after(&begin)).await).await;
    assert!(all.len() <= 100, "{} events were kept", all.len());
    assert_eq!(all.last().expect("an answer").1["id"], "mute");
    assert_eq!(session.say("a__echo", json!({"text": "fine"})).await, "fine");
}

#[tokio::test]
async fn with_a_stream_time_a_client_that_knows_how_comes_back_for_its_answer() {
    let limits = json!({"streamTime": 0.3});
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])], "limits": limits})).await;
    let session = proxy.session().await;
    let mut stream = session.streamed(json!("polled"), "tools/call", slow(2000)).await;
    let begin = stream.prime().await;
    let mut rounds = 0;
    let answer = loop {
        match stream.raw_message().await {
            Some(message) => break message.message(),
            None => rounds += 1,
        }
        stream = Events::open(session.after(&begin)).await;
    };
    assert_eq!(answer["id"], "polled");
    assert!(rounds >= 1, "the stream was closed before the answer");
    let older = Session::of_version(&proxy.http, &proxy.url("/mcp"), "2025-06-18").await;
    let messages = older.request_as(json!("older"), "tools/call", slow(1000)).await;
    assert_eq!(messages.len(), 1, "older clients wait on one stream");
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_streams() {
    let proxy = proxy().await;
    let session = proxy.session().await;
    let mut listening = session.stream().await;
    let mut call = session.streamed(json!(1), "tools/call", slow(60_000)).await;
    let begin = call.prime().await;
    assert_eq!(session.http(Method::DELETE).send().await.expect("an answer").status(), 204);
    assert!(listening.raw_message().await.is_none() && call.raw_message().await.is_none());
    assert_eq!(ask(session.after(&begin)).await.status, 404);
}

#[tokio::test]
async fn a_listener_that_never_reads_costs_no_more_than_the_bound_and_is_told_that_it_missed_something() {
    const BYTES: usize = 65_536;
    let limits = json!({"replayBytes": BYTES});
    let proxy = Proxy::start(json!({"servers": [fixture("a", &[])], "limits": limits})).await;
    let session = proxy.session().await;
    for number in 0..200 {
        session.request("resources/subscribe", json!({"uri": format!("a+fixture://item/{number}")})).await;
    }
    let host = proxy.base.trim_start_matches("http://").to_owned();
    let mut socket = TcpStream::connect(&host).await.expect("connects");
    let head = format!(
        "GET /mcp HTTP/1.1\r\nhost: {host}\r\naccept: text/event-stream\r\nmcp-session-id: {}\r\n\r\n",
        session.id
    );
    socket.write_all(head.as_bytes()).await.expect("sent");
    let begin = first_id(&mut socket).await;
    for _ in 0..50 {
        session.say("a__touch_resource", json!({})).await;
    }
    let page = proxy.get("/metrics").await.body;
    let kept = page.lines().find_map(|line| line.strip_prefix("mcproxy_streams_kept_bytes "));
    let kept: usize = kept.and_then(|text| text.parse().ok()).expect("a number");
    assert!(kept > 0 && kept <= BYTES, "{kept} bytes are kept");
    let mut again = Events::open(session.after(&begin)).await;
    again.notification("notifications/tools/list_changed").await;
    let messages = again.rest(QUIET).await;
    assert!(messages.len() < 5_000 && messages.len() > 10, "{} messages were kept", messages.len());
}

/// Reads, without more than is needed, up to the first event id.
async fn first_id(socket: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut some = [0; 256];
        let read = socket.read(&mut some).await.expect("readable");
        text.push_str(std::str::from_utf8(&some[..read]).expect("text"));
        if let Some((id, _)) = text.split_once("id: ").and_then(|(_, rest)| rest.split_once('\n')) {
            return id.to_owned();
        }
        assert!(read > 0, "the stream ended: {text}");
    }
}
