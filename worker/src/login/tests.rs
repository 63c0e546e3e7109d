//! Credentials against an authorization server whose answers are written out by hand.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mcproxy_http::{HeaderValue, Url};
use mcproxy_ipc::{HttpSpec, LoginKey, LoginPlace, OAuthSpec, ServerName};
use mcproxy_oauth::{
    AuthChallenge, ClientAuth, ClientIdentity, Discovered, IssuerMetadata, KeptLogin, LoginGrant, TokenSet, TokenText,
};
use slog::{Discard, Logger, o};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::{interval, timeout},
};

use super::{CredentialFailure, Credentials, credentials::seconds_since_1970, store::LoginStore};

const DEADLINE: Duration = Duration::from_secs(20);

/// Answers each request for a token with the next of these (status, body); the last one goes on.
struct TokenEndpoint {
    port: u16,
    asked: Arc<AtomicUsize>,
    forms: Arc<Mutex<Vec<String>>>,
}

impl TokenEndpoint {
    async fn start(answers: Vec<(u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("an address").port();
        let (asked, forms) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, seen) = (Arc::clone(&asked), Arc::clone(&forms));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut read = Vec::new();
                let form = loop {
                    let text = String::from_utf8_lossy(&read).into_owned();
                    let length = text.lines().find_map(|line| {
                        let (name, value) = line.split_once(": ")?;
                        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
                    });
                    if let (Some((_, body)), Some(length)) = (text.split_once("\r\n\r\n"), length)
                        && body.len() >= length
                    {
                        break body.to_owned();
                    }
                    assert_ne!(socket.read_buf(&mut read).await.expect("read"), 0, "{text}");
                };
                seen.lock().expect("no panic").push(form);
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (status, body) = &answers[number.min(answers.len() - 1)];
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n");
                let answer = format!("{head}Content-Length: {length}\r\n\r\n{body}");
                socket.write_all(answer.as_bytes()).await.expect("written");
            }
        });
        Self { port, asked, forms }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn token(access: &str, refresh: &str) -> (u16, String) {
    (
        200,
        format!(r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":3600,"refresh_token":"{refresh}"}}"#),
    )
}

fn server() -> ServerName {
    ServerName::try_from("a").expect("a name")
}

fn url() -> Url {
    Url::parse("http://127.0.0.1:1/mcp").expect("a URL")
}

fn spec(dir: &Path) -> HttpSpec {
    let place = LoginPlace { dir: dir.to_owned(), key: LoginKey::new([7; 32]) };
    let oauth = OAuthSpec { place: Some(place), ..OAuthSpec::default() };
    HttpSpec { oauth: Some(oauth), ..crate::transport::http_spec(url().as_str(), &[]) }
}

/// A login whose token was good for `lifetime` seconds, ten seconds ago.
async fn logged_in(dir: &Path, port: u16, lifetime: u64) -> LoginStore {
    let issuer =
        IssuerMetadata { token_endpoint: format!("http://127.0.0.1:{port}/token"), ..IssuerMetadata::default() };
    let discovered = Discovered { resource: url().to_string(), issuer, scope: None };
    let client = ClientIdentity { id: "c".into(), secret: None, auth: ClientAuth::None };
    let mut login = KeptLogin::begun(&url(), &discovered, (client, LoginGrant::Person), None);
    login.tokens = TokenSet {
        access: TokenText::new("old"),
        refresh: Some(TokenText::new("first")),
        obtained_at: seconds_since_1970() - 10,
        lifetime: Some(lifetime),
        scope: None,
    };
    let oauth = spec(dir).oauth.expect("one");
    let store = LoginStore::new(&oauth.place.expect("one"), &server());
    let lock = store.lock().await.expect("free");
    store.write(&login, &lock).await.expect("written");
    store
}

fn credentials(dir: &Path) -> Credentials {
    Credentials::of(&spec(dir), &url(), &server(), &Logger::root(Discard, o!())).expect("there is a place")
}

fn shown(access: &str) -> Option<HeaderValue> {
    Some(HeaderValue::from_str(&format!("Bearer {access}")).expect("a header"))
}

async fn until_shown(credentials: &Credentials, access: &str) {
    let wait = async {
        let mut look = interval(Duration::from_millis(10));
        while credentials.header().await != Ok(shown(access)) {
            look.tick().await;
        }
    };
    timeout(DEADLINE, wait).await.expect("in time");
}

#[tokio::test]
async fn workers_that_find_a_token_expired_at_once_ask_for_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let endpoint = TokenEndpoint::start(vec![token("new", "second")]).await;
    let store = logged_in(dir.path(), endpoint.port, 5).await;
    let (one, other) = (credentials(dir.path()), credentials(dir.path()));
    let all = timeout(DEADLINE, async { tokio::join!(one.header(), one.header(), other.header(), other.header()) });
    let (a, b, c, d) = all.await.expect("in time");
    for header in [a, b, c, d] {
        assert_eq!(header, Ok(shown("new")));
    }
    assert_eq!(endpoint.asked(), 1);
    let form = endpoint.forms.lock().expect("no panic")[0].clone();
    assert!(form.contains("grant_type=refresh_token&refresh_token=first&resource=http"), "{form}");
    let kept = store.read().expect("read").expect("there");
    assert_eq!(kept.tokens.refresh, Some(TokenText::new("second")), "on the disk before it is shown");
}

#[tokio::test]
async fn a_token_that_a_server_refuses_is_renewed_once_for_all_requests() {
    let dir = tempfile::tempdir().expect("a directory");
    let endpoint = TokenEndpoint::start(vec![token("new", "second")]).await;
    logged_in(dir.path(), endpoint.port, 3600).await;
    let credentials = credentials(dir.path());
    let challenge = AuthChallenge::default();
    let old = shown("old");
    assert_eq!(credentials.header().await, Ok(old.clone()));
    assert_eq!(&credentials.masked("old is too old".into())[..], b"*** is too ***");
    assert_eq!(&credentials.masked("nothing".into())[..], b"nothing");
    let both = async {
        tokio::join!(credentials.refused(old.as_ref(), &challenge), credentials.refused(old.as_ref(), &challenge))
    };
    assert_eq!(timeout(DEADLINE, both).await.expect("in time"), (Ok(true), Ok(true)));
    assert_eq!((credentials.header().await, endpoint.asked()), (Ok(shown("new")), 1));
}

#[tokio::test]
async fn an_authorization_server_that_is_away_costs_no_login() {
    let dir = tempfile::tempdir().expect("a directory");
    let away = (503, "<html>".to_owned());
    let page = (200, "<html>log in to the hotel's network</html>".to_owned());
    let endpoint = TokenEndpoint::start(vec![away, page, token("new", "second")]).await;
    let store = logged_in(dir.path(), endpoint.port, 5).await;
    let credentials = credentials(dir.path());
    let Err(CredentialFailure::Unavailable(why)) = credentials.header().await else { panic!("it is away") };
    assert!(why.contains("HTTP 503") && why.contains("the login is kept"), "{why}");
    until_shown(&credentials, "new").await;
    assert_eq!(endpoint.asked(), 3, "asked again after a pause, and not by each request");
    assert_eq!(store.read().expect("read").expect("there").refused, None);
}

#[tokio::test]
async fn a_refresh_token_that_is_refused_is_never_shown_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let no = (400, r#"{"error":"invalid_grant","error_description":"revoked"}"#.to_owned());
    let endpoint = TokenEndpoint::start(vec![no]).await;
    logged_in(dir.path(), endpoint.port, 5).await;
    let first = credentials(dir.path());
    let Err(CredentialFailure::NeedsLogin(why)) = first.header().await else { panic!("it is refused") };
    assert_eq!(why, "the authorization server says `invalid_grant`: revoked; log in again: `mcproxy login a`");
    let second = credentials(dir.path());
    assert_eq!(second.header().await, Ok(None), "nothing is shown that is known to be of no use");
    let again = second.refused(None, &AuthChallenge::default()).await;
    assert_eq!(again, Err(CredentialFailure::NeedsLogin(why)));
    assert_eq!(endpoint.asked(), 1);
}

#[tokio::test]
async fn a_login_that_is_made_while_a_worker_runs_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let credentials = credentials(dir.path());
    assert_eq!(credentials.header().await, Ok(None));
    assert_eq!(credentials.refused(None, &AuthChallenge::default()).await, Ok(false));
    logged_in(dir.path(), 1, 3600).await;
    assert_eq!(credentials.refused(None, &AuthChallenge::default()).await, Ok(true));
    assert_eq!(credentials.header().await, Ok(shown("old")));
}

#[tokio::test]
async fn a_token_is_kept_fresh_without_a_request() {
    let dir = tempfile::tempdir().expect("a directory");
    let endpoint = TokenEndpoint::start(vec![token("new", "second")]).await;
    logged_in(dir.path(), endpoint.port, 11).await;
    let credentials = credentials(dir.path());
    let keeper = tokio::spawn(credentials.clone().keep_fresh());
    until_shown(&credentials, "new").await;
    assert_eq!(endpoint.asked(), 1);
    keeper.abort();
}
