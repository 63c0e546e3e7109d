//! Which tokens are accepted, and what is asked for the sake of those that are not.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{StandInAuthority, auth, authority::now, config, hello, until_accepted};
use crate::{
    http::scopes::sees_and_calls_a_alone,
    support::{DEADLINE, Modern, Proxy, Session, ask, eventually, http_client, kill, within},
};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const STATIC: &str = "the-secret-of-all-0";
const WORKER: &str = "mcproxy-authority-1";

/// One scope for `a` and the built-in server, as far as these tests need any.
fn scopes() -> Value {
    json!({"a": {"servers": ["a", "mcproxy"]}})
}

async fn start(authority: &StandInAuthority) -> Proxy {
    let mut auth = auth(authority, scopes());
    auth["tokens"] = json!([{"name": "all", "token": STATIC}]);
    let proxy = Proxy::launch(config(auth)).await;
    proxy.until_ready().await;
    until_accepted(&proxy, &authority.token("a")).await;
    proxy
}

fn challenge(answer: &crate::support::Answer) -> String {
    answer.header("www-authenticate").unwrap_or_default().to_owned()
}

#[tokio::test]
async fn each_wrong_token_is_refused_with_its_reason_and_nothing_is_asked_for_its_sake() {
    let authority = StandInAuthority::start().await;
    let proxy = start(&authority).await;
    let asked = authority.count("/keys");
    let metadata = r#"resource_metadata="https://tools.example/.well-known/oauth-protected-resource/mcp", scope="a""#;
    let none = hello(&proxy, "/mcp", None).await;
    assert_eq!((none.status.as_u16(), challenge(&none)), (401, format!("Bearer {metadata}")));
    let good = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "ed"});
    let with = |header: Value| {
        let mut all = good.clone();
        all.as_object_mut().expect("one").extend(header.as_object().expect("one").clone());
        authority.signed(all, authority.claims(json!({})))
    };
    let other = StandInAuthority::start().await;
    let posing = other.signed(good.clone(), authority.claims(json!({})));
    let mut damaged = authority.token("a");
    damaged.replace_range(damaged.len() - 12.., "AAAAAAAAAAAA");
    for (token, status, said) in [
        ("x".to_owned(), 401, "was not accepted"),
        ("a.b.c".to_owned(), 401, "was not accepted"),
        (authority.token_with(json!({"exp": now() - 1})), 401, "has expired"),
        (authority.token_with(json!({"exp": null})), 401, "does not say when it expires"),
        (authority.token_with(json!({"nbf": now() + 300})), 401, "not valid yet"),
        (authority.token_with(json!({"aud": "https://other.example"})), 401, "another audience"),
        (authority.token_with(json!({"aud": null})), 401, "another audience"),
        (authority.token_with(json!({"iss": "https://other.example"})), 401, "issuer that is not accepted"),
        (other.token("a"), 401, "issuer that is not accepted"),
        (authority.token_with(json!({"sub": null})), 401, "whose it is"),
        (authority.token_with(json!({"cnf": {"jkt": "x"}})), 401, "bound to a key"),
        (posing, 401, "signature"),
        (damaged, 401, "signature"),
        (with(json!({"alg": "none"})), 401, "not signed with"),
        (with(json!({"alg": "HS256"})), 401, "not signed with"),
        (with(json!({"alg": "ES256"})), 401, "a key that its issuer does not have"),
        (with(json!({"typ": "logout+jwt"})), 401, "no access token"),
        (with(json!({"crit": ["x"]})), 401, "crit"),
        (authority.token("b c"), 403, "none of the scopes"),
    ] {
        let answer = hello(&proxy, "/mcp", Some(&token)).await;
        let told = challenge(&answer);
        assert_eq!(answer.status, status, "{said}: {answer:?}");
        let error = if status == 403 { "insufficient_scope" } else { "invalid_token" };
        assert!(told.starts_with(&format!("Bearer error=\"{error}\"")) && told.ends_with(metadata), "{said}: {told}");
        assert!(told.contains(said) || answer.body.contains(said), "{said}: {told} {}", answer.body);
    }
    // The one key that there is not was asked for once, when the gateway connected to its worker a moment ago or now.
    assert!(authority.count("/keys") <= asked + 1, "{} after {asked}", authority.count("/keys"));
    let log = proxy.log();
    assert!(!log.contains(&authority.token("a")[..20]), "a token is in the log");
}

#[tokio::test]
async fn storms_of_keys_that_there_are_not_ask_for_keys_once_a_minute() {
    let authority = StandInAuthority::start().await;
    let proxy = start(&authority).await;
    let before = authority.count("/keys");
    let mut storm = JoinSet::new();
    for number in 0..200 {
        let header = json!({"alg": "EdDSA", "kid": format!("key-{number}")});
        let token = authority.signed(header, authority.claims(json!({"jti": number})));
        let request = proxy.post("/mcp").bearer_auth(token).body(PING);
        storm.spawn(async move { ask(request).await.status.as_u16() });
    }
    let statuses = within("all are answered", DEADLINE, storm.join_all()).await;
    assert!(statuses.iter().all(|status| [401, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&401), "{statuses:?}");
    assert!(authority.count("/keys") <= before + 1, "{} after {before}", authority.count("/keys"));
    // Nobody else notices.
    assert_eq!(hello(&proxy, "/mcp", Some(&authority.token("a"))).await.status, 200);
}

#[tokio::test]
async fn a_token_is_worth_its_scopes_through_every_door_beside_tokens_of_the_configuration() {
    let authority = StandInAuthority::start().await;
    let proxy = start(&authority).await;
    sees_and_calls_a_alone(&proxy, &authority.token("a")).await;
    let all = Session::open(&http_client(Some(STATIC)), &proxy.url("/mcp")).await;
    assert_eq!(all.say("b__echo", json!({"text": "all"})).await, "all");
    // Each by its header: a key is no token of OAuth, and both may stand beside each other.
    let both = proxy.post("/mcp").bearer_auth(authority.token("a")).header("x-api-key", STATIC).body(PING);
    assert_eq!(ask(both).await.status, 200);
    let key = proxy.post("/mcp").header("x-api-key", authority.token("a")).body(PING);
    assert_eq!(ask(key).await.status, 401);
}

#[tokio::test]
async fn a_session_is_its_persons_and_the_next_token_goes_on_with_it() {
    let authority = StandInAuthority::start().await;
    let proxy = start(&authority).await;
    let (first, next) = (authority.token("a"), authority.token_with(json!({"jti": "next"})));
    let ann = Session::open(&http_client(Some(&first)), &proxy.url("/mcp")).await;
    // A gateway that has just been killed answers nothing.
    let with = async |token: &str| {
        let request = proxy.post("/mcp").header("mcp-session-id", &ann.id).bearer_auth(token);
        let answer = request.header("mcp-protocol-version", "2025-11-25").body(PING).send().await;
        answer.map_or(0, |answer| answer.status().as_u16())
    };
    assert_eq!(with(&next).await, 200, "a token that was renewed");
    let bob = authority.token_with(json!({"sub": "bob"}));
    assert_eq!(with(&bob).await, 404, "another person");
    assert_eq!(with(STATIC).await, 404, "a token of the configuration");
    // A gateway that takes over knows whose it is, too.
    let before = proxy.status().await.gateway_pid();
    kill(before);
    eventually("the session goes on", DEADLINE, async || (with(&next).await == 200).then_some(())).await;
    assert_eq!(with(&bob).await, 404);
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_the_session_goes_on_with_the_next() {
    let authority = StandInAuthority::start().await;
    let proxy = start(&authority).await;
    let short = authority.token_with(json!({"exp": now() + 5}));
    let ann = Session::open(&http_client(Some(&short)), &proxy.url("/mcp")).await;
    let mut stream = ann.stream().await;
    let modern = Modern::new(&proxy.http, &proxy.url("/mcp")).with_token(&short);
    let mut listener =
        modern.stream("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}})).await;
    within("its stream ends", DEADLINE, async { while stream.event().await.is_some() {} }).await;
    within("its listener ends", DEADLINE, async { while listener.event().await.is_some() {} }).await;
    let over = ann.post(PING).await;
    assert_eq!(over.status, 401);
    assert!(challenge(&over).contains("has expired"), "{over:?}");
    let request = proxy.post("/mcp").header("mcp-session-id", &ann.id).bearer_auth(authority.token("a")).body(PING);
    assert_eq!(ask(request).await.status, 200);
}

#[tokio::test]
async fn a_change_of_the_configuration_revokes_at_once() {
    let authority = StandInAuthority::start().await;
    let proxy = start(&authority).await;
    let token = authority.token("a");
    let ann = Session::open(&http_client(Some(&token)), &proxy.url("/mcp")).await;
    let mut stream = ann.stream().await;
    proxy.write_config(&config(auth(&authority, json!({"a": {"servers": ["a"]}}))).to_string());
    within("its stream ends", DEADLINE, async { while stream.event().await.is_some() {} }).await;
    assert_eq!(ann.post(PING).await.status, 404, "the session was for more");
    let again = Session::open(&http_client(Some(&token)), &proxy.url("/mcp")).await;
    assert!(again.tools().await.iter().all(|name| name.starts_with("a__")));
    proxy.write_config(&config(json!({"tokens": [{"name": "all", "token": STATIC}]})).to_string());
    eventually("no token of it is accepted", DEADLINE, async || (again.post(PING).await.status == 401).then_some(()))
        .await;
}

#[tokio::test]
async fn a_token_for_one_endpoint_is_good_there_and_nowhere_else() {
    let authority = StandInAuthority::start().await;
    let proxy = start(&authority).await;
    let own = authority.token_with(json!({"aud": ["https://tools.example/servers/a/mcp"]}));
    assert_eq!(hello(&proxy, "/servers/a/mcp", Some(&own)).await.status, 200);
    for path in ["/mcp", "/groups/home/mcp", "/search/mcp"] {
        let answer = hello(&proxy, path, Some(&own)).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(challenge(&answer).contains("another endpoint"), "{answer:?}");
    }
    let health = ask(proxy.http.get(proxy.url("/health")).bearer_auth(&own)).await;
    assert_eq!(health.status, 401);
}

#[tokio::test]
async fn keys_that_are_new_are_found_and_kept_while_their_issuer_is_away() {
    let authority = StandInAuthority::start().await;
    let proxy = start(&authority).await;
    let port = authority.port();
    let good = authority.token("a");
    drop(authority);
    // Nothing is asked for a key that is known.
    assert_eq!(hello(&proxy, "/mcp", Some(&good)).await.status, 200);
    // Another one at the same place has other keys; the worker that is started anew fetches them.
    let authority = StandInAuthority::at(port).await;
    let new = authority.signed(json!({"alg": "ES256", "kid": "ec-2"}), authority.claims(json!({})));
    authority.publishes(&["ec-2"]);
    assert_eq!(proxy.cli(&["restart", WORKER]).await.code, Some(0));
    until_accepted(&proxy, &new).await;
}

#[tokio::test]
async fn without_its_issuer_a_token_is_not_called_wrong_and_the_status_says_why() {
    let authority = StandInAuthority::start().await;
    let (port, issuer, token) = (authority.port(), authority.issuer(), authority.token("a"));
    let settings = config(auth(&authority, scopes()));
    drop(authority);
    let proxy = Proxy::launch(settings).await;
    let answer = hello(&proxy, "/mcp", Some(&token)).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("retry-after").is_some() && answer.body.contains("authorization server"), "{answer:?}");
    let server = proxy.server_until("it says why", WORKER, |server| server.last_error.is_some()).await;
    let error = server.last_error.expect("why");
    assert!(error.contains("cannot reach") && error.contains(&issuer), "{error}");
    let doctor = proxy.cli(&["doctor"]).await;
    assert!(doctor.stdout.contains(WORKER) && doctor.stdout.contains("cannot reach"), "{}", doctor.stdout);
    // One that calls itself by another name is none.
    let authority = StandInAuthority::at(port).await;
    authority.calls_itself("https://evil.example");
    proxy.cli(&["restart", WORKER]).await;
    let server = proxy
        .server_until("it says what to write", WORKER, |server| {
            server.last_error.as_deref().is_some_and(|error| error.contains("calls itself"))
        })
        .await;
    assert!(server.last_error.expect("why").contains("write that as `issuer`"));
}

#[tokio::test]
async fn a_token_that_only_its_issuer_can_read_is_asked_about_once_in_a_while() {
    let authority = StandInAuthority::start().await;
    let mut auth = auth(&authority, scopes());
    auth["oauth"]["issuers"][0]["introspection"] =
        json!({"clientId": "mcproxy", "clientSecret": "of-the-proxy-itself"});
    authority.says("opaque-1", Some(authority.claims(json!({"iss": null}))));
    let proxy = Proxy::launch(config(auth)).await;
    proxy.until_ready().await;
    until_accepted(&proxy, "opaque-1").await;
    let asked = authority.count("/introspect");
    let ann = Session::open(&http_client(Some("opaque-1")), &proxy.url("/mcp")).await;
    assert_eq!(ann.say("a__echo", json!({"text": "hi"})).await, "hi");
    assert_eq!(authority.count("/introspect"), asked, "it is remembered");
    for _ in 0..5 {
        let answer = hello(&proxy, "/mcp", Some("opaque-2")).await;
        assert_eq!(answer.status, 401);
    }
    assert_eq!(authority.count("/introspect"), asked + 1, "so is a no");
    authority.says("for-others", Some(authority.claims(json!({"aud": "https://other.example"}))));
    assert_eq!(hello(&proxy, "/mcp", Some("for-others")).await.status, 401);
    // Signed ones are read here all the same.
    assert_eq!(hello(&proxy, "/mcp", Some(&authority.token("a"))).await.status, 200);
    assert!(!proxy.log().contains("of-the-proxy-itself"));
}

#[tokio::test]
async fn nothing_is_said_of_authorization_servers_while_there_are_none() {
    for auth in [json!("none"), json!({"tokens": [{"name": "all", "token": STATIC}]})] {
        let proxy = Proxy::launch(config(auth)).await;
        for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
            let answer = ask(proxy.http.get(proxy.url(path)).timeout(Duration::from_secs(10))).await;
            assert!([401, 404].contains(&answer.status.as_u16()), "{path}: {answer:?}");
            assert!(!challenge(&answer).contains("resource_metadata"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn every_endpoint_says_where_tokens_are_to_be_had() {
    let authority = StandInAuthority::start().await;
    let mut settings = config(auth(&authority, scopes()));
    settings["groups"]["home"]["paths"] = json!(["/metamcp/home"]);
    settings["allowedOrigins"] = json!(["https://app.example"]);
    let proxy = Proxy::launch(settings).await;
    let at = |path: &str| proxy.http.get(proxy.url(&format!("/.well-known/oauth-protected-resource{path}")));
    for path in [
        "/mcp",
        "/sse",
        "/servers/a/mcp",
        "/servers/nobody/mcp",
        "/groups/home/sse",
        "/search/mcp",
        "/groups/home/search/mcp",
        "/metamcp/home/mcp",
        "",
    ] {
        let answer = ask(at(path)).await;
        assert_eq!(answer.status, 200, "{path}");
        let said = answer.json();
        assert_eq!(said["resource"], format!("https://tools.example{path}"));
        assert_eq!(said["authorization_servers"], json!([authority.issuer()]));
        assert_eq!(said["scopes_supported"], json!(["a"]));
        assert_eq!(said["bearer_methods_supported"], json!(["header"]));
    }
    for path in ["/health", "/mcp/x", "/metamcp/other/mcp"] {
        assert_eq!(ask(at(path)).await.status, 404, "{path}");
    }
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        assert_eq!(proxy.get(path).await.status, 404, "{path}: there is none of our own");
    }
    // By its public name, without it among `allowedHosts`; and for pages that may call.
    assert_eq!(ask(at("/mcp").header("host", "tools.example")).await.status, 200);
    assert_eq!(ask(at("/mcp").header("host", "evil.example")).await.status, 403);
    let page = ask(at("/mcp").header("origin", "https://app.example")).await;
    assert_eq!(page.header("access-control-allow-origin"), Some("https://app.example"));
    let refused = proxy.post("/metamcp/home/mcp").header("origin", "https://app.example").body(PING);
    let refused = ask(refused).await;
    assert_eq!(refused.status, 401);
    assert!(challenge(&refused).contains("/.well-known/oauth-protected-resource/metamcp/home/mcp\""), "{refused:?}");
    assert!(refused.header("access-control-expose-headers").is_some_and(|names| names.contains("WWW-Authenticate")));
}
