//! Streams on which a server speaks: those of calls, its own, and that of HTTP+SSE.

use super::*;

#[tokio::test]
async fn a_stream_that_was_cut_is_taken_up_again_where_it_ended() {
    let server = Server::start(|request| match (request.method.as_str(), request.body.as_str()) {
        ("POST", INITIALIZE) => json(GREETING),
        ("POST", _) => events("id: e1\nretry: 100\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"a\"}\n\ndata: {\"json"),
        ("GET", _) if request.headers.get("last-event-id").is_some_and(|id| id == "e1") => {
            events("id: e2\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n\n")
        }
        _ => status("405 Method Not Allowed", "", ""),
    })
    .await;
    let mut run = Run::new(&spec(&format!("http://127.0.0.1:{}/mcp", server.port), &[]));
    run.send(INITIALIZE);
    run.hear(1).await;
    run.send(CALL);
    let expected = [r#"{"jsonrpc":"2.0","method":"a"}"#, r#"{"jsonrpc":"2.0","id":7,"result":{}}"#];
    assert_eq!(run.hear(2).await, expected);
}

#[tokio::test]
async fn a_server_of_http_and_sse_is_found_and_spoken_to() {
    // Its answers come on the stream, for which the handlers of POST have to find it.
    let (answers, stream) = tokio::sync::mpsc::unbounded_channel::<String>();
    let stream = Arc::new(std::sync::Mutex::new(Some(stream)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (answers, stream) = (answers.clone(), Arc::clone(&stream));
            tokio::spawn(async move {
                let mut read = Vec::new();
                while let Some(request) = next_request(&mut socket, &mut read).await {
                    if request.method == "GET" {
                        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: endpoint\ndata: /messages?session=1\n\n";
                        socket.write_all(head.as_bytes()).await.expect("written");
                        let mut answers = stream.lock().expect("no panic").take().expect("one stream");
                        while let Some(answer) = answers.recv().await {
                            socket.write_all(format!("data: {answer}\n\n").as_bytes()).await.expect("written");
                        }
                        return;
                    }
                    let reply = match request.body.as_str() {
                        _ if request.path == "/sse" => "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n",
                        INITIALIZE => {
                            answers.send(GREETING.to_owned()).expect("sent");
                            "HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\n\r\nAccepted"
                        }
                        CALL => {
                            answers.send(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#.to_owned()).expect("sent");
                            "HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\n\r\nAccepted"
                        }
                        _ => "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
                    };
                    socket.write_all(reply.as_bytes()).await.expect("written");
                }
            });
        }
    });
    let mut run = Run::new(&spec(&format!("http://127.0.0.1:{port}/sse"), &[]));
    run.send(INITIALIZE);
    assert_eq!(run.hear(1).await, [GREETING]);
    run.send(INITIALIZED);
    run.send(CALL);
    assert_eq!(run.hear(1).await, [r#"{"jsonrpc":"2.0","id":7,"result":{}}"#]);
}

#[tokio::test]
async fn an_endpoint_of_another_origin_gets_nothing() {
    let server = Server::start(|request| match request.method.as_str() {
        "GET" => events("event: endpoint\ndata: http://example.com/steal\n\n"),
        _ => status("405 Method Not Allowed", "", ""),
    })
    .await;
    let http = HttpSpec { dialect: HttpDialect::Sse, ..spec(&format!("http://127.0.0.1:{}/sse", server.port), &[]) };
    let mut run = Run::new(&http);
    let said = run.hear(1).await.remove(0);
    assert!(said.contains("named an endpoint of another origin, http://example.com"), "{said}");
}

#[tokio::test]
async fn a_stream_that_is_refused_does_not_end_the_run() {
    for refusal in [
        "405 Method Not Allowed",
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "500 Internal Server Error",
        "501 Not Implemented",
        "302 Found",
        "200 OK",
        "204 No Content",
    ] {
        let (asked, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let server = Server::start(move |request| match (request.method.as_str(), request.body.as_str()) {
            ("POST", INITIALIZE) => {
                status("200 OK", "Content-Type: application/json\r\nMcp-Session-Id: one\r\n", GREETING)
            }
            ("POST", INITIALIZED) => status("202 Accepted", "", ""),
            ("POST", _) => json(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#),
            _ => {
                let _ = asked.send(());
                status(refusal, "Content-Type: text/plain\r\n", "")
            }
        })
        .await;
        let mut run = Run::new(&spec(&format!("http://127.0.0.1:{}/mcp", server.port), &[]));
        run.send(INITIALIZE);
        assert_eq!(run.hear(1).await, [GREETING]);
        run.send(INITIALIZED);
        let all = Interest { messages: true, room: false, diagnostics: true, end: true };
        let refused = timeout(DEADLINE, async {
            tokio::select! {
                asked = seen.recv() => asked,
                event = run.transport.event(all) => panic!("{refusal}: {event:?}"),
            }
        });
        assert!(refused.await.expect("the stream is asked for").is_some());
        run.send(CALL);
        assert_eq!(run.hear(1).await, [r#"{"jsonrpc":"2.0","id":7,"result":{}}"#], "{refusal}");
    }
}

#[tokio::test]
async fn a_stream_for_which_the_server_is_too_busy_is_asked_for_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(move |request| match (request.method.as_str(), request.body.as_str()) {
        ("POST", INITIALIZE) => json(GREETING),
        ("POST", _) => status("202 Accepted", "", ""),
        _ => match count.fetch_add(1, Ordering::SeqCst) {
            0 => status("503 Service Unavailable", "Retry-After: 1\r\n", ""),
            1 => status("502 Bad Gateway", "", ""),
            _ => events("data: {\"jsonrpc\":\"2.0\",\"method\":\"m\"}\n\n"),
        },
    })
    .await;
    let mut run = Run::new(&spec(&format!("http://127.0.0.1:{}/mcp", server.port), &[]));
    run.send(INITIALIZE);
    assert_eq!(run.hear(1).await, [GREETING]);
    run.send(INITIALIZED);
    assert_eq!(run.hear(1).await, [r#"{"jsonrpc":"2.0","method":"m"}"#]);
    assert!(asked.load(Ordering::SeqCst) >= 3);
}

#[tokio::test]
async fn what_keeps_a_connection_alive_is_no_message() {
    let server = Server::start(|request| match (request.method.as_str(), request.body.as_str()) {
        ("POST", INITIALIZE) => json(GREETING),
        ("POST", CALL) => events(
            ": ping - 2026-01-01 00:00:00\r\n\r\n: keep-alive\n\nevent: ping\ndata: 1767225600\n\n:\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n\n",
        ),
        _ => status("405 Method Not Allowed", "", ""),
    })
    .await;
    let mut run = Run::new(&spec(&format!("http://127.0.0.1:{}/mcp", server.port), &[]));
    run.send(INITIALIZE);
    run.hear(1).await;
    run.send(CALL);
    assert_eq!(run.hear(1).await, [r#"{"jsonrpc":"2.0","id":7,"result":{}}"#]);
}
