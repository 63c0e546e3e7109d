//! What comes of the answers of a server, whatever they are.

use super::*;

#[tokio::test]
async fn whatever_a_server_answers_its_caller_hears_what_to_do() {
    let large = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"a":"{}"}}}}"#, "x".repeat(2 << 20));
    let event = format!("data: {large}\n\n");
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"jsonrpc\"";
    let table: Vec<(&str, Answering, &str)> = vec![
        ("a page", Box::new(|| of_type("text/html", "<html>hello</html>")), "answers with text/html instead of JSON"),
        ("nothing", Box::new(|| json("")), "with an empty body"),
        ("202", Box::new(|| status("202 Accepted", "", "")), "answers HTTP 202 Accepted with an empty body"),
        ("no JSON-RPC", Box::new(|| json(r#"{"detail":"hm"}"#)), "JSON that is no JSON-RPC response"),
        ("no JSON", Box::new(|| json("{\"a\":")), "JSON that is no JSON-RPC response"),
        (
            "a JSON-RPC error",
            Box::new(|| {
                status(
                    "400 Bad Request",
                    "",
                    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"no such tool"}}"#,
                )
            }),
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"no such tool"}}"#,
        ),
        (
            "500",
            Box::new(|| status("500 Oops", "Content-Type: text/plain\r\n", "it broke\nat line 3")),
            "answers HTTP 500 Internal Server Error: it broke\"",
        ),
        ("502", Box::new(|| status("502 Bad Gateway", "", "")), "the server behind it does not answer"),
        ("429", Box::new(|| status("429 Too Many", "Retry-After: 2\r\n", "")), "asks to wait 2 s"),
        ("413", Box::new(|| status("413 Too Large", "", "")), "the call is longer than the server takes"),
        ("a cut body", Box::new(move || Reply::Last(cut.to_owned())), "was lost before the answer"),
        ("a cut stream", Box::new(|| events("data: {\"jsonr")), "its stream ended"),
        (
            "another origin",
            Box::new(|| status("307 Temporary", "Location: http://example.com/\r\n", "")),
            "redirects to http://example.com/",
        ),
        (
            "a redirect of the method",
            Box::new(|| status("302 Found", "Location: /other\r\n", "")),
            "redirects to /other",
        ),
        ("endless redirects", Box::new(|| status("307 Temporary", "Location: /mcp\r\n", "")), "redirects to /mcp"),
        (
            "a large body",
            {
                let large = large.clone();
                Box::new(move || json(&large))
            },
            "over the limit (limits.maxLine",
        ),
        ("a large event", Box::new(move || events(&event)), "too long: 2097"),
        ("no HTTP", Box::new(|| Reply::Last("SSH-2.0-x\r\n".to_owned())), "was lost before the answer"),
        ("nothing at all", Box::new(|| Reply::Last(String::new())), "was lost before the answer"),
    ];
    for (name, reply, expected) in table {
        let said = outcome(CALL, move |_| reply()).await;
        assert!(said.contains(expected) && !said.starts_with("end:"), "{name}: {said}");
    }
}

#[tokio::test]
async fn a_start_that_cannot_succeed_ends_with_what_to_do() {
    for (name, reply, expected) in [
        ("401", status("401 Unauthorized", "", ""), "needs login: http://127.0.0.1:PORT/mcp wants credentials"),
        ("403", status("403 Forbidden", "", ""), "needs login"),
        (
            "404 and no stream",
            status("404 Not Found", "", ""),
            "there is no MCP server at this path; check `url` (it takes no Streamable HTTP either)",
        ),
        ("a page", of_type("text/html", "<html>"), "is it the address of an MCP server?"),
        ("nothing", json(""), "with an empty body"),
        ("503", status("503 Unavailable", "Retry-After: 100\r\n", ""), "asks to wait 100 s"),
        ("500", status("500 Oops", "", ""), "answers HTTP 500"),
    ] {
        let Reply::Bytes(bytes) = reply else { panic!("bytes") };
        let said = outcome(INITIALIZE, move |_| Reply::Bytes(bytes.clone())).await;
        assert!(said.starts_with("end: ") && said.contains(expected), "{name}: {said}");
    }
    let mut run = Run::new(&spec("http://127.0.0.1:1/mcp", &[]));
    run.send(INITIALIZE);
    let said = run.hear(1).await.remove(0);
    assert_eq!(said, "end: cannot reach http://127.0.0.1:1/mcp: connection refused; is the server running?");
    let mut run = Run::new(&spec("http://no-such-host.invalid/mcp", &[]));
    run.send(INITIALIZE);
    let said = run.hear(1).await.remove(0);
    assert!(said.contains("the name `no-such-host.invalid` has no address") && said.contains("check `url`"), "{said}");
}

#[tokio::test]
async fn addresses_that_hand_out_credentials_are_not_connected_to() {
    let start = |url: &str, deny_private| {
        let http = HttpSpec { deny_private, ..spec(url, &[]) };
        let spec = WorkerSpec { reach: Reach::Http(Box::new(http.clone())), ..session::spec() };
        let log = Logger::root(slog::Discard, slog::o!());
        Http::start(&spec, &http, None, log).err().map(|reason| reason.to_string()).unwrap_or_default()
    };
    assert!(start("http://169.254.169.254/latest", false).contains("hand out credentials"));
    assert!(start("http://[fe80::1]/", false).contains("hand out credentials"));
    assert!(start("http://127.0.0.1/", true).contains("private address"));
    assert_eq!(start("http://127.0.0.1/", false), "");
    let mut run = Run::new(&HttpSpec { deny_private: true, ..spec("http://localhost:1/", &[]) });
    run.send(INITIALIZE);
    assert!(run.hear(1).await.remove(0).contains("private address"), "names are looked up and looked at");
}

#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_said() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => status("503 Unavailable", "Retry-After: 1\r\n", ""),
        _ => json(GREETING),
    })
    .await;
    let mut run = Run::new(&spec(&format!("http://127.0.0.1:{}/mcp", server.port), &[]));
    let began = std::time::Instant::now();
    run.send(INITIALIZE);
    assert_eq!(run.hear(1).await, [GREETING]);
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_busy_server_may_name_a_date_even_if_its_clock_is_wrong() {
    for answer in ["429 Too Many Requests", "503 Service Unavailable"] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let server = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            0 => {
                // Two seconds, by a clock of 2015.
                let headers = "Date: Wed, 21 Oct 2015 07:27:58 GMT\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n";
                status(answer, headers, "")
            }
            _ => json(GREETING),
        })
        .await;
        let mut run = Run::new(&spec(&format!("http://127.0.0.1:{}/mcp", server.port), &[]));
        let began = std::time::Instant::now();
        run.send(INITIALIZE);
        assert_eq!(run.hear(1).await, [GREETING], "{answer}");
        assert!(began.elapsed() >= Duration::from_secs(2) && asked.load(Ordering::SeqCst) == 2, "{answer}");
    }
}

#[tokio::test]
async fn calls_wait_while_a_server_wants_to_be_left_alone_and_those_on_behalf_of_one_client_only_cost_that_one() {
    let busy = "HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    for (header, least) in [(None, Duration::from_secs(1)), (Some("authorization"), Duration::ZERO)] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let server = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::Bytes(busy.to_owned()),
            _ => json(r#"{"jsonrpc":"2.0","id":8,"result":{}}"#),
        })
        .await;
        let mut http = spec(&format!("http://127.0.0.1:{}/mcp", server.port), &[]);
        http.forward_headers = vec!["authorization".to_owned()];
        let mut run = Run::new(&http);
        let headers: Vec<_> = header.iter().map(|name| ((*name).to_owned(), Secret::new("Bearer of one"))).collect();
        run.transport.send_along(7, headers);
        run.send(CALL);
        assert!(run.hear(1).await[0].contains("asks to wait 1 s"));
        let began = std::time::Instant::now();
        run.send(&CALL.replace("\"id\":7", "\"id\":8"));
        assert_eq!(run.hear(1).await, [r#"{"jsonrpc":"2.0","id":8,"result":{}}"#]);
        assert!(began.elapsed() >= least.mul_f64(0.8), "{header:?}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn headers_of_a_client_go_with_its_call_and_with_no_other() {
    let (requests, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |request| {
        let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
        let _ = requests.send(format!("{}|{}|{}", header("authorization"), header("x-tenant"), header("x-other")));
        match header("authorization").as_str() {
            "Bearer wrong" => status("401 Unauthorized", "", ""),
            _ => json(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#),
        }
    })
    .await;
    let url = format!("http://127.0.0.1:{}/mcp", server.port);
    let mut http = spec(&url, &[("Authorization", "Bearer entry")]);
    http.forward_headers = vec!["authorization".to_owned(), "x-tenant".to_owned()];
    let mut run = Run::new(&http);
    let header = |name: &str, value: &str| (name.to_owned(), Secret::new(value));
    let mut said = Vec::new();
    for headers in [
        vec![],
        vec![header("authorization", "Bearer one"), header("x-tenant", "1"), header("x-other", "no")],
        vec![header("authorization", "Bearer wrong")],
        vec![],
    ] {
        run.transport.send_along(7, headers);
        run.send(CALL);
        said.extend(run.hear(1).await);
    }
    assert!(said[2].contains("credentials that came with the call") && !said[2].contains("wrong"), "{}", said[2]);
    assert!(!said[3].contains("error"), "the run goes on: {}", said[3]);
    let seen: Vec<String> = std::iter::from_fn(|| seen.try_recv().ok()).collect();
    assert_eq!(seen, ["Bearer entry||", "Bearer one|1|", "Bearer wrong||", "Bearer entry||"]);
}
