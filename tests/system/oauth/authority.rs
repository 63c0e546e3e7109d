//! An authorization server in the test itself: its metadata and its keys over real HTTP, tokens as wrong as a test wants them, and counts
//! of what it was asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::PUBLIC;
use crate::support::{DEADLINE, eventually};

/// It ends with this.
pub(super) struct StandInAuthority {
    port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
    ed: Ed25519KeyPair,
    p256: EcdsaKeyPair,
}

#[derive(Default)]
struct State {
    keys: Value,
    /// How it calls itself, if that is not its name.
    calls_itself: Option<String>,
    /// What it says of tokens that it is asked about.
    active: BTreeMap<String, Value>,
    counts: BTreeMap<String, usize>,
}

impl StandInAuthority {
    pub(super) async fn start() -> Self {
        Self::at(0).await
    }

    /// The same, at this port, with keys of its own.
    pub(super) async fn at(port: u16) -> Self {
        let listener =
            eventually("the port is free", DEADLINE, async || TcpListener::bind(("127.0.0.1", port)).await.ok()).await;
        let port = listener.local_addr().expect("an address").port();
        let random = SystemRandom::new();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let state = Arc::new(Mutex::new(State::default()));
        let of_task = state.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, port, of_task.clone()));
            }
        });
        let authority = Self {
            port,
            state,
            task,
            ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).expect("its own"),
            p256: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, p256.as_ref(), &random).expect("its own"),
        };
        authority.publishes(&["ed", "ec"]);
        authority
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Publishes its keys under these ids: those that begin with `ed` are of Ed25519, others of P-256.
    pub(super) fn publishes(&self, ids: &[&str]) {
        let point = self.p256.public_key().as_ref();
        let key = |id: &&str| match id.starts_with("ed") {
            true => json!({"kty": "OKP", "crv": "Ed25519", "kid": id,
                "x": URL_SAFE_NO_PAD.encode(self.ed.public_key().as_ref())}),
            false => json!({"kty": "EC", "crv": "P-256", "kid": id, "alg": "ES256",
                "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..])}),
        };
        self.state().keys = json!({"keys": ids.iter().map(key).collect::<Vec<_>>()});
    }

    /// From now on its metadata has this name.
    pub(super) fn calls_itself(&self, name: &str) {
        self.state().calls_itself = Some(name.to_owned());
    }

    /// From now on it says this of a token; `None`: that it is not valid.
    pub(super) fn says(&self, token: &str, claims: Option<Value>) {
        match claims {
            Some(claims) => self.state().active.insert(token.to_owned(), claims),
            None => self.state().active.remove(token),
        };
    }

    /// How often something below this path was asked for.
    pub(super) fn count(&self, path: &str) -> usize {
        self.state().counts.get(path).copied().unwrap_or_default()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// A good token of `ann`, with these scopes.
    pub(super) fn token(&self, scope: &str) -> String {
        self.token_with(json!({"scope": scope}))
    }

    /// The same with other members, or without those that are null.
    pub(super) fn token_with(&self, members: Value) -> String {
        self.signed(json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "ed"}), self.claims(members))
    }

    pub(super) fn claims(&self, members: Value) -> Value {
        let mut claims =
            json!({"iss": self.issuer(), "aud": PUBLIC, "sub": "ann", "exp": now() + 600, "iat": now(), "scope": "a"});
        let all = claims.as_object_mut().expect("an object");
        all.extend(members.as_object().expect("an object").clone());
        all.retain(|_, value| !value.is_null());
        claims
    }

    /// A token with this header, signed as that says, with whatever key there is for it.
    pub(super) fn signed(&self, header: Value, claims: Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&header), part(&claims));
        let signature = match header["alg"].as_str().expect("an algorithm") {
            "none" => Vec::new(),
            "ES256" => self.p256.sign(&SystemRandom::new(), text.as_bytes()).expect("signed").as_ref().to_vec(),
            // The public key, taken for a secret.
            "HS256" => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.ed.public_key().as_ref());
                hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
            }
            _ => self.ed.sign(text.as_bytes()).as_ref().to_vec(),
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl Drop for StandInAuthority {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}

async fn serve(stream: TcpStream, port: u16, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if stream.read_line(&mut first).await.unwrap_or_default() == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or_default() == 0 {
                return;
            }
            match line.trim().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().expect("a number");
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let (status, answer) = respond(&path, &String::from_utf8_lossy(&body), port, &state);
        let text = answer.to_string();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", text.len());
        if stream.get_mut().write_all(format!("{head}{text}").as_bytes()).await.is_err() {
            return;
        }
    }
}

fn respond(path: &str, body: &str, port: u16, state: &Mutex<State>) -> (&'static str, Value) {
    let mut state = state.lock().expect("no panic");
    *state.counts.entry(path.to_owned()).or_default() += 1;
    let own = format!("http://127.0.0.1:{port}");
    match path {
        "/.well-known/openid-configuration" => {
            let issuer = state.calls_itself.clone().unwrap_or_else(|| own.clone());
            let metadata = json!({"issuer": issuer, "jwks_uri": format!("{own}/keys"),
                "introspection_endpoint": format!("{own}/introspect")});
            ("200 OK", metadata)
        }
        "/keys" => ("200 OK", state.keys.clone()),
        "/introspect" => {
            let token = body.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap_or_default();
            let mut claims = state.active.get(token).cloned().unwrap_or_else(|| json!({}));
            claims["active"] = json!(state.active.contains_key(token));
            ("200 OK", claims)
        }
        _ => ("404 Not Found", json!({})),
    }
}
