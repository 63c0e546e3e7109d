//! The session with a legacy server, and calls that are given up.

use super::*;

#[tokio::test]
async fn a_session_is_opened_kept_listened_to_and_ended() {
    let (requests, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |request| {
        let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
        let id = header("mcp-session-id");
        let _ = requests.send(format!("{} {id} {}", request.method, header("mcp-protocol-version")));
        match (request.method.as_str(), request.body.as_str()) {
            ("POST", INITIALIZE) => {
                status("200 OK", "Content-Type: application/json\r\nMcp-Session-Id: one\r\n", GREETING)
            }
            ("POST", INITIALIZED) => status("202 Accepted", "", ""),
            // A server that changes its mind keeps the session that it opened.
            ("POST", _) => status(
                "200 OK",
                "Content-Type: application/json\r\nMcp-Session-Id: two\r\n",
                "{\"jsonrpc\":\"2.0\",\r\n \"id\":7,\"result\":{}}",
            ),
            ("GET", _) => Reply::Bytes(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"m\"}\n\n"
                    .to_owned(),
            ),
            _ => status("200 OK", "", ""),
        }
    })
    .await;
    let mut run = Run::new(&spec(&format!("http://127.0.0.1:{}/mcp", server.port), &[]));
    run.send(INITIALIZE);
    assert_eq!(run.hear(1).await, [GREETING]);
    run.send(INITIALIZED);
    let mut said = Vec::new();
    said.extend(run.hear(1).await);
    assert_eq!(said, [r#"{"jsonrpc":"2.0","method":"m"}"#], "what the server says unasked");
    for _ in 0..20 {
        run.send(CALL);
        assert_eq!(run.hear(1).await, [r#"{"jsonrpc":"2.0",   "id":7,"result":{}}"#], "in one line");
    }
    run.transport.stop(StopStep::CloseStdin);
    assert_eq!(run.hear(1).await, ["end: stopped"]);
    let mut seen: Vec<String> = std::iter::from_fn(|| seen.try_recv().ok()).collect();
    assert_eq!(seen.remove(0), "POST  ");
    assert_eq!(seen.pop().as_deref(), Some("DELETE one 2025-11-25"));
    assert!(seen.iter().all(|request| request.ends_with(" one 2025-11-25")), "{seen:?}");
    let connections = server.connections.load(Ordering::SeqCst);
    assert!(connections <= 4, "no connection for each call: {connections}");
}

#[tokio::test]
async fn a_lost_session_ends_the_run_and_no_call_is_sent_twice() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let server = Server::start(move |request| match request.body.as_str() {
        INITIALIZE => status("200 OK", "Content-Type: application/json\r\nMcp-Session-Id: one\r\n", GREETING),
        CALL => {
            count.fetch_add(1, Ordering::SeqCst);
            status("404 Not Found", "", "Session not found")
        }
        _ => status("405 Method Not Allowed", "", ""),
    })
    .await;
    let mut run = Run::new(&spec(&format!("http://127.0.0.1:{}/mcp", server.port), &[]));
    run.send(INITIALIZE);
    assert_eq!(run.hear(1).await, [GREETING]);
    run.send(CALL);
    assert_eq!(run.hear(1).await, ["end: the server does not know its session with MCProxy any more"]);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_call_that_is_given_up_is_cancelled_in_the_way_of_its_revision() {
    let (requests, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |request| {
        let _ = requests.send(request.body.clone());
        match request.body.as_str() {
            INITIALIZE => json(GREETING),
            CALL => Reply::Silence,
            _ => status("202 Accepted", "", ""),
        }
    })
    .await;
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    let url = format!("http://127.0.0.1:{}/mcp", server.port);
    let mut modern = Run::new(&spec(&url, &[]));
    modern.send(CALL);
    let all = Interest { messages: true, room: false, diagnostics: true, end: true };
    let drive = async |run: &mut Run, seen: &mut tokio::sync::mpsc::UnboundedReceiver<String>| {
        let next = timeout(DEADLINE, async {
            tokio::select! {
                next = seen.recv() => next,
                _ = run.transport.event(all) => None,
            }
        });
        next.await.expect("in time")
    };
    assert_eq!(drive(&mut modern, &mut seen).await.as_deref(), Some(CALL));
    modern.send(cancel);
    assert_eq!(modern.transport.flights.requests(), 0, "its connection is closed");
    let mut legacy = Run::new(&spec(&url, &[]));
    legacy.send(INITIALIZE);
    legacy.hear(1).await;
    assert_eq!(seen.recv().await.as_deref(), Some(INITIALIZE));
    legacy.send(CALL);
    assert_eq!(drive(&mut legacy, &mut seen).await.as_deref(), Some(CALL));
    legacy.send(cancel);
    assert_eq!(drive(&mut legacy, &mut seen).await.as_deref(), Some(cancel));
}
