//! Requests that two readers would cut differently: what is hidden in one must never be answered (RFC 9112 §6, §11.2).

use std::time::Duration;

use super::{PING, proxy};
use crate::support::{End, Raw, ask};

/// What an attacker would like to have answered.
const HIDDEN: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The heads of a POST that are ambiguous or wrong, each with what follows it. A body that is only as long as one of two
/// readings has it would make the rest a request of its own.
fn ambiguous() -> Vec<(&'static str, String)> {
    let json = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
    let post =
        |framing: &str, body: &str| format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{json}{framing}\r\n{body}");
    let both = format!("0\r\n\r\n{HIDDEN}");
    let all = both.len();
    vec![
        ("length and chunks", post(&format!("Content-Length: {all}\r\nTransfer-Encoding: chunked\r\n"), &both)),
        ("chunks and length", post(&format!("Transfer-Encoding: chunked\r\nContent-Length: {all}\r\n"), &both)),
        ("two lengths", post(&format!("Content-Length: {all}\r\nContent-Length: 5\r\n"), &both)),
        ("a list of lengths", post(&format!("Content-Length: 5, {all}\r\n"), &both)),
        ("a signed length", post("Content-Length: +5\r\n", &both)),
        ("a negative length", post("Content-Length: -5\r\n", &both)),
        ("a hexadecimal length", post("Content-Length: 0x5\r\n", &both)),
        ("a length that overflows", post("Content-Length: 18446744073709551621\r\n", &both)),
        ("an unknown coding", post("Transfer-Encoding: xchunked\r\n", &both)),
        ("chunks not last", post("Transfer-Encoding: chunked, identity\r\n", &both)),
        ("two codings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", &both)),
        ("a blank before the colon", post("Transfer-Encoding : chunked\r\n", &both)),
        ("a folded line", post("X-A: b\r\n Transfer-Encoding: chunked\r\n", &both)),
        ("a lone CR", post("X-A: b\rTransfer-Encoding: chunked\r\n", &both)),
        ("a NUL", post("X-A: b\0c\r\nContent-Length: 0\r\n", &both)),
        ("a chunk that overflows", post("Transfer-Encoding: chunked\r\n", &format!("FFFFFFFFFFFFFFFFF\r\n{both}"))),
        ("a negative chunk", post("Transfer-Encoding: chunked\r\n", &format!("-1\r\n{both}"))),
        ("a chunk longer than it says", post("Transfer-Encoding: chunked\r\n", &format!("1\r\nab\r\n{both}"))),
        ("chunks in HTTP/1.0", post("Transfer-Encoding: chunked\r\n", &both).replacen("HTTP/1.1", "HTTP/1.0", 1)),
        ("another protocol", format!("GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n{HIDDEN}")),
    ]
}

#[tokio::test]
async fn what_is_hidden_in_an_ambiguous_request_is_never_answered() {
    let proxy = proxy().await;
    for (name, request) in ambiguous() {
        let mut raw = Raw::connect(&proxy).await;
        raw.send(request.as_bytes()).await;
        let (answer, _) = raw.rest(Duration::from_secs(1)).await;
        assert!(!answer.contains("HTTP/1.1 200"), "{name}: {answer}");
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4"),
            "{name}: {answer}"
        );
        assert!(answer.matches("HTTP/1.").count() <= 1, "{name}: {answer}");
    }
    let ping = ask(proxy.post("/mcp").body(PING)).await;
    assert_eq!(ping.status, 200, "the gateway goes on");
}

#[tokio::test]
async fn a_request_for_two_hosts_or_for_another_one_is_refused() {
    let proxy = proxy().await;
    for head in [
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
        "GET /healthz HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n",
        "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n",
        "GET http://localhost@evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost@evil.example\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost, evil.example\r\n",
        "GET /healthz HTTP/1.1\r\nX-Forwarded-Host: localhost\r\nHost: evil.example\r\n",
        "GET /healthz HTTP/1.1\r\n",
    ] {
        let mut raw = Raw::connect(&proxy).await;
        raw.send(format!("{head}Connection: close\r\n\r\n").as_bytes()).await;
        let (answer, end) = raw.rest(Duration::from_secs(10)).await;
        assert!(answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 400"), "{head}: {answer}");
        assert_eq!(end, End::Closed, "{head}");
    }
    let mut raw = Raw::connect(&proxy).await;
    raw.send(b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    let (answer, _) = raw.rest(Duration::from_secs(10)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
