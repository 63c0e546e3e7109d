//! Logins: `oidc-provider` gives tokens, and an MCP server takes nothing else (`tests/real/servers/login.mjs`).

use std::{process::Stdio, sync::Arc, time::Duration};

use reqwest::{Client, header, redirect::Policy};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::at;
use crate::support::{DEADLINE, Finished, Proxy, Real, ServerView, eventually, kill, within};

/// Node starts slowly on a busy machine.
const START: Duration = Duration::from_secs(60);
const LOGIN: &[&str] = &["login", "r", "--no-browser"];

/// An authorization server and an MCP server that wants its tokens. They end with the test.
struct Issuer {
    _child: Child,
    ports: [u16; 2],
    options: Value,
    http: Client,
}

impl Issuer {
    /// Starts both; `None`: they are not installed.
    async fn start(options: Value) -> Option<Self> {
        Real::with(&["node_modules/oidc-provider"])?;
        let listeners = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("a port"));
        let ports = listeners.map(|listener| listener.local_addr().expect("an address").port());
        mcproxy_http::share_provider();
        let http = Client::builder().no_proxy().redirect(Policy::none()).build().expect("a client");
        Some(Self { _child: Self::spawn(ports, &options).await, ports, options, http })
    }

    async fn spawn(ports: [u16; 2], options: &Value) -> Child {
        let mut command = Command::new("node");
        command.arg(Real::server("login.mjs")).args(ports.map(|port| port.to_string())).arg(options.to_string());
        let child = command.kill_on_drop(true).stdout(Stdio::null()).spawn().expect("it starts");
        for port in ports {
            eventually("it listens", START, async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        }
        child
    }

    /// Ends both and starts them again, without memory.
    async fn forget_all(&mut self) {
        self._child.kill().await.expect("killed");
        self._child = Self::spawn(self.ports, &self.options).await;
    }

    fn entry(&self, members: Value) -> Value {
        at("r", &format!("http://127.0.0.1:{}/mcp", self.ports[0]), members)
    }

    async fn proxy(&self, members: Value) -> Proxy {
        Proxy::launch(json!({"servers": [self.entry(members)]})).await
    }

    /// How often something happened there.
    async fn count(&self, what: &str) -> u64 {
        let url = format!("http://127.0.0.1:{}/counts", self.ports[0]);
        let counts: Value = self.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
        counts[what].as_u64().expect("a number")
    }

    /// Opens the page as this person; the address that it ends at.
    async fn browse(&self, page: &str, account: &str) -> String {
        let (mut url, mut cookies) = (page.to_owned(), Vec::<(String, String)>::new());
        for _ in 0..20 {
            if url.contains("/callback?") {
                return url;
            }
            let cookie = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
            let request = self.http.get(&url).header(header::COOKIE, cookie).header("x-account", account);
            let response = request.send().await.expect("an answer");
            for set in response.headers().get_all(header::SET_COOKIE) {
                let pair = set.to_str().expect("text").split(';').next().expect("a first part").to_owned();
                let (name, value) = pair.split_once('=').expect("a pair");
                cookies.retain(|(known, _)| known != name);
                cookies.push((name.to_owned(), value.to_owned()));
            }
            let location = response.headers().get(header::LOCATION).map(|to| to.to_str().expect("text").to_owned());
            let Some(location) = location else { panic!("{url}: {}", response.text().await.unwrap_or_default()) };
            url = reqwest::Url::parse(&url).expect("a URL").join(&location).expect("a URL").into();
        }
        panic!("it leads on and on: {url}")
    }

    /// Logs somebody in by `mcproxy login`, whose browser is here.
    async fn log_in(&self, proxy: &Proxy, account: &str) -> Finished {
        self.log_in_with(proxy, LOGIN, account, |_| None).await
    }

    /// The same. `pasted`: what is pasted in the place of the callback, made of its address.
    async fn log_in_with(
        &self,
        proxy: &Proxy,
        args: &[&str],
        account: &str,
        pasted: impl FnOnce(&str) -> Option<String>,
    ) -> Finished {
        let mut command = proxy.cli_command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let page = within("a page", START, async {
            while let Some(line) = lines.next_line().await.expect("text") {
                if line.trim().starts_with("http") {
                    return Some(line.trim().to_owned());
                }
            }
            None
        });
        let mut stdout = String::new();
        if let Some(page) = page.await {
            let callback = self.browse(&page, account).await;
            match pasted(&callback) {
                Some(text) => {
                    let stdin = child.stdin.as_mut().expect("piped");
                    stdin.write_all(text.as_bytes()).await.expect("written");
                }
                None => {
                    let answer = self.http.get(&callback).send().await.expect("an answer").text().await.expect("text");
                    assert!(answer.contains("can be closed"), "{answer}");
                }
            }
        }
        let rest = async {
            while let Some(line) = lines.next_line().await.expect("text") {
                stdout += &line;
                stdout.push('\n');
            }
        };
        within("the end of its output", START, rest).await;
        let output = within("its end", START, child.wait_with_output()).await.expect("its output");
        Finished { code: output.status.code(), stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
    }
}

async fn until_state(proxy: &Proxy, state: &str) -> ServerView {
    proxy.server_until(state, "r", |server| server.state == state).await
}

fn assert_logged_in(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{}{}", finished.stdout, finished.stderr);
    assert!(finished.stdout.contains("logged in to r at http://127.0.0.1"), "{}", finished.stdout);
}

/// Calls twenty times a second for so long; each must be answered with this.
async fn call_for(proxy: &Proxy, time: Duration, expected: &str) -> u32 {
    let session = proxy.session().await;
    let until = Instant::now() + time;
    let mut pace = interval(Duration::from_millis(50));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut calls = 0;
    while Instant::now() < until {
        pace.tick().await;
        assert_eq!(session.say("r__whoami", json!({})).await, expected, "after {calls} calls");
        calls += 1;
    }
    calls
}

#[tokio::test]
async fn a_person_logs_in_once_and_calls_go_on_when_tokens_end() {
    let Some(issuer) = Issuer::start(json!({"ttl": 4})).await else { return };
    let proxy = issuer.proxy(json!({})).await;
    let server = until_state(&proxy, "needs-login").await;
    let error = server.last_error.expect("why");
    assert!(
        error.starts_with("needs login: http://127.0.0.1") && error.ends_with("log in: `mcproxy login r`"),
        "{error}"
    );
    let metrics = proxy.get("/metrics").await.body;
    assert!(metrics.contains(r#"mcproxy_server_state{server="r",state="needs-login"} 1"#), "{metrics}");

    assert_logged_in(&issuer.log_in(&proxy, "alice").await);
    until_state(&proxy, "ready").await;
    let calls = call_for(&proxy, Duration::from_secs(13), "alice").await;
    let refreshes = issuer.count("refreshes").await;
    assert!(calls > 50 && (2..=8).contains(&refreshes), "{calls} calls, {refreshes} refreshes");
    assert_eq!(issuer.count("errors").await, 0);

    let gone = proxy.cli(&["logout", "r"]).await;
    assert_eq!(
        (gone.code, gone.stdout.as_str()),
        (Some(0), "logged out of r; the tokens were given back\n"),
        "{}",
        gone.stderr
    );
    until_state(&proxy, "needs-login").await;
}

#[tokio::test]
async fn a_login_outlives_everything_else() {
    let Some(issuer) = Issuer::start(json!({"ttl": 60})).await else { return };
    let mut proxy = issuer.proxy(json!({})).await;
    until_state(&proxy, "needs-login").await;
    assert_logged_in(&issuer.log_in(&proxy, "alice").await);
    until_state(&proxy, "ready").await;
    proxy.start_over().await;
    until_state(&proxy, "ready").await;
    assert_eq!(proxy.session().await.say("r__whoami", json!({})).await, "alice");
    assert_eq!(issuer.count("tokens").await, 1, "the token is good for a while");
}

#[tokio::test]
async fn over_a_remote_shell_the_address_is_pasted() {
    let Some(issuer) = Issuer::start(json!({})).await else { return };
    let proxy = issuer.proxy(json!({"oauth": {"clientId": "registered", "clientSecret": "by-hand"}})).await;
    until_state(&proxy, "needs-login").await;
    let paste = |callback: &str| Some(format!("yes?\nhttp://127.0.0.1:1/callback?code=x&state=other\n{callback}\n"));
    let finished = issuer.log_in_with(&proxy, &["login", "r", "--paste"], "bob", paste).await;
    assert_logged_in(&finished);
    assert_eq!(finished.stderr.matches("another login").count(), 2, "{}", finished.stderr);
    until_state(&proxy, "ready").await;
    assert_eq!(proxy.session().await.say("r__whoami", json!({})).await, "bob");
}

#[tokio::test]
async fn a_refresh_that_is_refused_leads_to_needs_login_and_to_no_loop() {
    let Some(mut issuer) = Issuer::start(json!({"ttl": 3})).await else { return };
    let proxy = issuer.proxy(json!({})).await;
    until_state(&proxy, "needs-login").await;
    assert_logged_in(&issuer.log_in(&proxy, "alice").await);
    until_state(&proxy, "ready").await;
    issuer.forget_all().await;
    let server = until_state(&proxy, "needs-login").await;
    let error = server.last_error.expect("why");
    assert!(
        error.contains("the authorization server says `invalid_") && error.ends_with("`mcproxy login r`"),
        "{error}"
    );
    let session = proxy.session().await;
    let refused = session.refuse("r__whoami", json!({})).await;
    assert!(refused.to_string().contains("mcproxy login r"), "{refused}");
    assert_eq!(proxy.cli(&["restart", "r"]).await.code, Some(0));
    until_state(&proxy, "needs-login").await;
    assert_eq!(issuer.count("errors").await, 1, "it is asked once");
    assert_logged_in(&issuer.log_in(&proxy, "alice").await);
    until_state(&proxy, "ready").await;
}

#[tokio::test]
async fn a_machine_logs_in_by_itself() {
    let Some(issuer) = Issuer::start(json!({"ttl": 4})).await else { return };
    let oauth = json!({"grant": "client_credentials", "clientId": "machine", "clientSecret": "of-the-machine"});
    let proxy = issuer.proxy(json!({"oauth": oauth})).await;
    until_state(&proxy, "ready").await;
    let calls = call_for(&proxy, Duration::from_secs(9), "machine").await;
    let tokens = issuer.count("tokens").await;
    assert!(calls > 30 && (2..=6).contains(&tokens), "{calls} calls, {tokens} tokens");
    let refused = issuer.log_in(&proxy, "alice").await;
    assert!(refused.code == Some(1) && refused.stderr.contains("MCProxy logs in by itself"), "{}", refused.stderr);
    let wrong = json!({"grant": "client_credentials", "clientId": "machine", "clientSecret": "wrong"});
    let proxy = issuer.proxy(json!({"oauth": wrong})).await;
    let error = until_state(&proxy, "needs-login").await.last_error.expect("why");
    assert!(error.contains("`invalid_client`") && error.contains("check `oauth` in the entry of `r`"), "{error}");
}

#[tokio::test]
async fn a_tool_that_wants_more_says_how_to_give_it() {
    let Some(issuer) = Issuer::start(json!({})).await else { return };
    let proxy = issuer.proxy(json!({})).await;
    until_state(&proxy, "needs-login").await;
    assert_logged_in(&issuer.log_in(&proxy, "alice").await);
    until_state(&proxy, "ready").await;
    let session = proxy.session().await;
    let refused = session.refuse("r__more", json!({})).await.to_string();
    assert!(refused.contains("mcproxy login r --scope 'tools more'"), "{refused}");
    let args = [LOGIN, &["--scope", "tools more"]].concat();
    assert_logged_in(&issuer.log_in_with(&proxy, &args, "alice", |_| None).await);
    until_state(&proxy, "ready").await;
    eventually("it may", DEADLINE, async || {
        let result = proxy.session().await.call("r__more", json!({})).await;
        (result["content"][0]["text"] == "alice").then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "takes two minutes; by hand"]
async fn tokens_of_five_seconds_fail_no_call_of_fifty_a_second() {
    let Some(issuer) = Issuer::start(json!({"ttl": 5})).await else { return };
    let proxy = issuer.proxy(json!({})).await;
    until_state(&proxy, "needs-login").await;
    assert_logged_in(&issuer.log_in(&proxy, "alice").await);
    until_state(&proxy, "ready").await;
    let session = Arc::new(proxy.session().await);
    let mut calls = JoinSet::new();
    let mut pace = interval(Duration::from_millis(20));
    for _ in 0..50 * 120 {
        pace.tick().await;
        let session = Arc::clone(&session);
        calls.spawn(async move { assert_eq!(session.say("r__whoami", json!({})).await, "alice") });
        while let Some(done) = calls.try_join_next() {
            done.expect("answered");
        }
    }
    within("the last answers", DEADLINE, calls.join_all()).await;
    let refreshes = issuer.count("refreshes").await;
    assert!((20..=40).contains(&refreshes) && issuer.count("errors").await == 0, "{refreshes} refreshes");
    assert_eq!(issuer.count("calls").await, 6000);
}

/// Kills the worker so often, each time when the next refresh has just reached the authorization server.
async fn killed_in_refreshes(times: u32) {
    let Some(issuer) = Issuer::start(json!({"ttl": 2, "grace": 30})).await else { return };
    let proxy = issuer.proxy(json!({"restart": {"initialDelay": 0.1, "maxDelay": 0.1}})).await;
    until_state(&proxy, "needs-login").await;
    assert_logged_in(&issuer.log_in(&proxy, "alice").await);
    for time in 0..times {
        let worker = until_state(&proxy, "ready").await.worker_pid.expect("a worker");
        let before = issuer.count("refreshes").await;
        eventually("a refresh", DEADLINE, async || (issuer.count("refreshes").await > before).then_some(())).await;
        kill(worker);
        let server = proxy
            .server_until("another worker", "r", |server| server.worker_pid.is_some_and(|pid| pid != worker))
            .await;
        assert_ne!(server.state, "needs-login", "after {time} kills: {:?}", server.last_error);
    }
    until_state(&proxy, "ready").await;
    assert_eq!(proxy.session().await.say("r__whoami", json!({})).await, "alice");
    let log = proxy.log();
    assert!(!log.contains("invalid_grant"), "{log}");
}

#[tokio::test]
async fn a_worker_that_is_killed_in_refreshes_logs_nobody_out() {
    killed_in_refreshes(5).await;
}

#[tokio::test]
#[ignore = "takes minutes; fifty kills, by hand"]
async fn a_worker_that_is_killed_in_fifty_refreshes_logs_nobody_out() {
    killed_in_refreshes(50).await;
}
