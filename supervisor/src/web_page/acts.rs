//! Acts of people on the web page: who may, and how they are done. The gateway has checked where the request comes from; here it is
//! checked again, by what only the supervisor can know.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use mcproxy_ipc::{
    ServerName, TokenBucket,
    control::{Act, ActOutcome, ActingCaller, GatewaySettings},
};
use slog::{info, warn};
use tokio::sync::mpsc;

use super::socket_owner;
use crate::{
    ask::ask,
    children::Children,
    context::Context,
    operator::{self, OperatorRequest},
};

/// Acts a second, and at once: a person does not act faster.
const RATE: f64 = 2.0;
const BURST: f64 = 20.0;
/// The page is told by then; what takes longer goes on.
const LIMIT: Duration = Duration::from_secs(8);

/// How many acts there may be.
pub(crate) struct ActRequests(TokenBucket);

impl ActRequests {
    /// None yet.
    pub(crate) fn new(now: Instant) -> Self {
        Self(TokenBucket::full(RATE, BURST, now))
    }

    /// Whether one more is looked at.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        self.0.try_spend(1.0, now)
    }
}

/// Who acts, and what is known of that here.
pub(crate) struct Asker {
    by: ActingCaller,
    grounds: Grounds,
}

/// What decides whether somebody may act.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Grounds {
    /// Their token says so.
    Token,
    /// There is no authentication: the process at the other end of this connection.
    Process(SocketAddr),
    /// Nothing.
    None(&'static str),
}

impl Asker {
    /// By the settings in force.
    pub(crate) fn of(by: ActingCaller, settings: &GatewaySettings) -> Self {
        let grounds = grounds(&by, settings);
        Self { by, grounds }
    }

    /// Does it, or says why not; the log says who did what.
    pub(crate) async fn act(self, act: Act, context: &Context, requests: &mpsc::Sender<OperatorRequest>) -> ActOutcome {
        let (principal, server) = (self.by.principal.clone(), act.server().map(ToString::to_string));
        let peer = self.by.peer.map_or_else(String::new, |peer| peer.ip().to_string());
        let detail = match &act {
            Act::EndSession { session } => Some(session.chars().take(16).collect::<String>()),
            Act::Decide { held, .. } => Some(held.chars().take(16).collect()),
            Act::Capture { seconds } => Some(format!("{seconds} s")),
            Act::Restart(_) | Act::Enable(_) | Act::Disable(_) | Act::Approve(_) | Act::Reload => None,
        };
        if let Err(why) = self.check(&context.children).await {
            warn!(context.log, "act on the web page refused"; "act" => act.as_str(), "server" => server,
                "principal" => principal, "peer" => peer, "reason" => &why);
            return ActOutcome::Refused(why);
        }
        info!(context.log, "act on the web page"; "act" => act.as_str(), "server" => server, "detail" => detail,
            "principal" => principal, "peer" => peer);
        match perform(act, context, requests).await {
            Ok(done) => ActOutcome::Done(done),
            Err(why) => ActOutcome::Failed(why),
        }
    }

    /// Whether they may, or why not.
    pub(crate) async fn check(&self, children: &Children) -> Result<(), String> {
        match self.grounds {
            Grounds::Token => Ok(()),
            Grounds::None(why) => Err(why.to_owned()),
            Grounds::Process(peer) => {
                let children = children.clone();
                let checked = tokio::task::spawn_blocking(move || socket_owner::check(peer, &children)).await;
                // A panic ends the process before this is seen.
                let outcome = checked.unwrap_or(Err(socket_owner::NoOperator::Unclear));
                outcome.map_err(|error| format!("{error}; without `auth` only programs of MCProxy's own user on this machine may act; elsewhere use a token with `\"admin\": true`"))
            }
        }
    }
}

fn grounds(by: &ActingCaller, settings: &GatewaySettings) -> Grounds {
    match (&settings.tokens, &by.principal) {
        _ if !settings.ui => Grounds::None("the web page is switched off (`ui`)"),
        (Some(tokens), Some(name)) if tokens.iter().any(|token| token.name == *name && token.may_administer) => {
            Grounds::Token
        }
        (Some(_), _) => Grounds::None("this needs a token with `\"admin\": true`"),
        // Of settings that have changed since.
        (None, Some(_)) => Grounds::None("there are no tokens any more; try again"),
        (None, None) => by.peer.map_or(Grounds::None("it is not known where the request comes from"), Grounds::Process),
    }
}

async fn perform(act: Act, context: &Context, requests: &mpsc::Sender<OperatorRequest>) -> Result<String, String> {
    match act {
        Act::Restart(server) => operator::restart(context, &server).await,
        Act::Enable(server) => switch(context, requests, server, true).await,
        Act::Disable(server) => switch(context, requests, server, false).await,
        // The task that asked tells the gateway.
        Act::Approve(server) => operator::approve(context, &server).await,
        Act::Reload => ask(requests, LIMIT, OperatorRequest::Reload).await.unwrap_or_else(|| {
            Ok("the configuration is being put in force; the servers that change take their time".to_owned())
        }),
        // The gateway does it.
        Act::EndSession { .. } | Act::Decide { .. } | Act::Capture { .. } => Ok(String::new()),
    }
}

async fn switch(
    context: &Context,
    requests: &mpsc::Sender<OperatorRequest>,
    server: ServerName,
    enabled: bool,
) -> Result<String, String> {
    operator::find(context, &server)?;
    let request = |reply| OperatorRequest::Switch { server, enabled, reply };
    ask(requests, LIMIT, request).await.unwrap_or_else(|| Err("MCProxy is busy; try again".to_owned()))
}

#[cfg(test)]
mod tests {
    use mcproxy_config::Config;

    use super::*;

    fn of(text: &str, principal: Option<&str>, peer: Option<&str>) -> Grounds {
        let settings = Config::parse(text, &|_| None).expect("a configuration").gateway;
        let peer = peer.map(|peer| peer.parse().expect("an address"));
        grounds(&ActingCaller { principal: principal.map(str::to_owned), peer }, &settings)
    }

    #[test]
    fn with_tokens_one_that_may_administer_acts_and_nothing_else_does() {
        let text = r#"{"auth": {"tokens": [{"name": "ann", "token": "0123456789abcdef", "admin": true},
            {"name": "bob", "token": "fedcba9876543210"}]}}"#;
        let local = Some("127.0.0.1:5");
        assert_eq!(of(text, Some("ann"), None), Grounds::Token);
        for other in [Some("bob"), Some("eve"), None] {
            assert!(matches!(of(text, other, local), Grounds::None(_)), "{other:?}");
        }
    }

    #[test]
    fn without_tokens_the_process_decides_and_without_a_page_nobody_acts() {
        let peer = "127.0.0.1:5".parse().expect("an address");
        assert_eq!(of("{}", None, Some("127.0.0.1:5")), Grounds::Process(peer));
        assert!(matches!(of("{}", None, None), Grounds::None(_)));
        assert!(matches!(of("{}", Some("ann"), Some("127.0.0.1:5")), Grounds::None(_)));
        assert!(matches!(of(r#"{"ui": false}"#, None, Some("127.0.0.1:5")), Grounds::None(_)));
    }

    #[test]
    fn a_page_that_acts_without_end_is_not_followed() {
        let now = Instant::now();
        let mut requests = ActRequests::new(now);
        assert_eq!((0..100).filter(|_| requests.admit(now)).count(), 20);
        assert!(requests.admit(now + Duration::from_secs(1)));
    }
}
