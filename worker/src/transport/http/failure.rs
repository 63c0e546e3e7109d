//! What an answer that is none means: for the message, and for the run. Pure.

use std::time::Duration;

use mcproxy_http::{RequestFault, StatusCode};
use mcproxy_ipc::{EndReason, ServerName};
use mcproxy_mcp::{ErrorCode, RawObject};
use mcproxy_oauth::AuthChallenge;

use super::{message::OutgoingKind, wire::SendFailure};
use crate::{lines::printable, login::CredentialFailure};

/// How much of what a server says is repeated.
const QUOTED: usize = 300;
/// A server that asks for a longer wait before it is asked what it speaks is left, and started again later.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What is done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ExchangeFailure {
    /// The run ends: nothing more can be said to this server.
    Ends(EndReason),
    /// The message fails, and others go on.
    Fails { code: ErrorCode, text: String, reason: &'static str },
    /// Nothing: it was a question whether the server lives, which this does not answer.
    Unanswered,
    /// The same message once more after that time; only of those that ask what the server speaks.
    Later(Duration),
    /// The server may be one of HTTP+SSE.
    FallBack,
}

/// An answer with a status that says no, or one that is no MCP.
#[derive(Debug, Clone)]
pub(super) struct HttpRefusal<'a> {
    pub(super) status: StatusCode,
    pub(super) content_type: &'a str,
    /// The beginning of the body.
    pub(super) body: &'a [u8],
    pub(super) retry_after: Option<Duration>,
    pub(super) location: Option<&'a str>,
    /// The token that it wants.
    pub(super) challenge: Option<&'a AuthChallenge>,
}

/// What was known when the message was sent.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    /// The address, for people.
    pub(super) url: String,
    /// The proxy through which it is reached, if the entry names one.
    pub(super) proxy: Option<String>,
    pub(super) has_credentials: bool,
    /// People can log in there, by this name.
    pub(super) login: Option<ServerName>,
    /// The server gave the session an id.
    pub(super) has_session: bool,
    /// Without an answer to `initialize` HTTP+SSE is tried.
    pub(super) may_fall_back: bool,
    /// The message carries headers of a client: what is wrong with those concerns nobody else.
    pub(super) is_on_behalf: bool,
}

impl Standing {
    /// There is no connection, for this reason.
    pub(super) fn cannot_reach(&self, why: &str) -> String {
        let through = self.proxy.as_ref().map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        format!("cannot reach {}{through}: {why}", self.url)
    }
}

/// There was no answer.
pub(super) fn of_send(failure: &SendFailure, standing: &Standing, kind: &OutgoingKind) -> ExchangeFailure {
    match failure {
        SendFailure::Request(fault) => of_fault(fault, standing, kind),
        // There will be one: what is known to wait until then waits, and all else is told.
        SendFailure::Login(CredentialFailure::Unavailable(why)) if !kind.is_opening() => match kind.is_ping() {
            true => ExchangeFailure::Unanswered,
            false => ExchangeFailure::Fails {
                code: ErrorCode::SERVER_UNAVAILABLE,
                text: format!("there is no token for {} at present: {why}", standing.url),
                reason: "no_token",
            },
        },
        SendFailure::Login(failure) => ExchangeFailure::Ends(of_login(failure.clone())),
    }
}

/// The end of a run for want of a token.
pub(super) fn of_login(failure: CredentialFailure) -> EndReason {
    match failure {
        CredentialFailure::NeedsLogin(why) => EndReason::NeedsLogin(why),
        CredentialFailure::Unavailable(why) => EndReason::Unreachable(why),
    }
}

/// There was no answer, or not all of it.
pub(super) fn of_fault(fault: &RequestFault, standing: &Standing, kind: &OutgoingKind) -> ExchangeFailure {
    let (url, why) = (&standing.url, &fault.text);
    if fault.is_unsent || kind.is_opening() {
        return ExchangeFailure::Ends(EndReason::Unreachable(standing.cannot_reach(why)));
    }
    if kind.is_ping() {
        return ExchangeFailure::Unanswered;
    }
    ExchangeFailure::Fails {
        code: ErrorCode::SERVER_ENDED,
        text: format!("the connection to {url} was lost before the answer ({why}); the call may have been carried out"),
        reason: "connection_lost",
    }
}

/// The answer is one, but none that helps.
pub(super) fn of_refusal(refusal: &HttpRefusal<'_>, standing: &Standing, kind: &OutgoingKind) -> ExchangeFailure {
    let HttpRefusal { status, retry_after, .. } = *refusal;
    let says_no = of_status(refusal, standing);
    match status {
        StatusCode::UNAUTHORIZED if standing.is_on_behalf => {
            let text = format!(
                "{} does not accept the credentials that came with the call (HTTP {status}{}); these are the headers of your client that `forwardHeaders` passes on",
                standing.url,
                quoted(refusal)
            );
            return ExchangeFailure::Fails { code: ErrorCode::SERVER_UNAVAILABLE, text, reason: "credentials" };
        }
        StatusCode::UNAUTHORIZED => return ExchangeFailure::Ends(EndReason::NeedsLogin(login(refusal, standing))),
        StatusCode::FORBIDDEN if kind.is_opening() => {
            return ExchangeFailure::Ends(EndReason::NeedsLogin(login(refusal, standing)));
        }
        // Which of the two it is, the entry's own credentials find out.
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST if may_be_of_session(refusal, standing) => {
            let text = format!(
                "{} does not know its session with MCProxy for the headers that came with the call (HTTP {status}{}); its sessions may belong to whoever opened them",
                standing.url,
                quoted(refusal)
            );
            return ExchangeFailure::Fails { code: ErrorCode::SERVER_UNAVAILABLE, text, reason: "credentials" };
        }
        StatusCode::FORBIDDEN if let Some(text) = wants_more(refusal, standing) => {
            return ExchangeFailure::Fails { code: ErrorCode::INTERNAL_ERROR, text, reason: "insufficient_scope" };
        }
        StatusCode::NOT_FOUND if standing.has_session => return ExchangeFailure::Ends(EndReason::SessionLost),
        // The TypeScript SDK's examples.
        StatusCode::BAD_REQUEST if standing.has_session && speaks_of_session(refusal.body) => {
            return ExchangeFailure::Ends(EndReason::SessionLost);
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            return match retry_after {
                _ if kind.is_ping() => ExchangeFailure::Unanswered,
                Some(wait) if kind.is_opening() && wait <= LONGEST_WAIT => ExchangeFailure::Later(wait),
                _ if kind.is_opening() => ExchangeFailure::Ends(EndReason::Unreachable(says_no)),
                _ => ExchangeFailure::Fails { code: ErrorCode::SERVER_UNAVAILABLE, text: says_no, reason: "busy" },
            };
        }
        _ => {}
    }
    if kind.is_probe() {
        // A server that knows nothing of the question may answer anything.
        return ExchangeFailure::Fails { code: ErrorCode::METHOD_NOT_FOUND, text: says_no, reason: "http_status" };
    }
    let unknown = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
    if kind.is_initialize() && standing.may_fall_back && unknown.contains(&status) {
        return ExchangeFailure::FallBack;
    }
    if kind.is_opening() {
        return ExchangeFailure::Ends(EndReason::Unreachable(says_no));
    }
    if kind.is_ping() && status.is_server_error() {
        return ExchangeFailure::Unanswered;
    }
    ExchangeFailure::Fails { code: ErrorCode::INTERNAL_ERROR, text: says_no, reason: "http_status" }
}

/// The answer's status and what is wrong with it, in words that say what to do.
pub(super) fn of_status(refusal: &HttpRefusal<'_>, standing: &Standing) -> String {
    let HttpRefusal { status, content_type, location, retry_after, .. } = *refusal;
    let url = &standing.url;
    let said = quoted(refusal);
    let answers = format!("{url} answers HTTP {status}{said}");
    if status.is_redirection() {
        let to = location.map_or_else(|| "elsewhere".to_owned(), |to| printable(to.as_bytes(), QUOTED));
        return format!(
            "{url} redirects to {to}; MCProxy follows redirects to the same origin that keep the method; if that address is right, write it as `url`"
        );
    }
    if status.is_success() {
        return match (content_type, refusal.body.is_empty()) {
            (_, true) => format!("{url} answers HTTP {status} with an empty body instead of a JSON-RPC response"),
            ("", _) => format!(
                "{url} answers without a content type, and not with JSON{said}; is it the address of an MCP server?"
            ),
            (kind, _) => {
                let kind = printable(kind.as_bytes(), 80);
                format!(
                    "{url} answers with {kind} instead of JSON or an event stream; is it the address of an MCP server?"
                )
            }
        };
    }
    match status {
        StatusCode::NOT_FOUND => format!("{answers}: there is no MCP server at this path; check `url`"),
        StatusCode::METHOD_NOT_ALLOWED => format!("{answers}: the path takes no POST; check `url`, and `type`"),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            format!("{answers}: the proxy wants a password; write it into `proxy`, http://USER:PASSWORD@HOST:PORT")
        }
        StatusCode::PAYLOAD_TOO_LARGE => format!("{answers}: the call is longer than the server takes"),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => match retry_after {
            Some(wait) => format!("{answers}; it asks to wait {} s", wait.as_secs()),
            None => format!("{answers}; try again later"),
        },
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            format!("{answers}: the server behind it does not answer (in time)")
        }
        _ => answers,
    }
}

fn login(refusal: &HttpRefusal<'_>, standing: &Standing) -> String {
    let (url, status) = (&standing.url, refusal.status);
    let said = quoted(refusal);
    // Some say `Bearer` and mean a token that somebody made.
    let names_issuer = refusal.challenge.is_some_and(|challenge| challenge.resource_metadata.is_some());
    match (&standing.login, names_issuer, standing.has_credentials) {
        (_, _, true) => format!(
            "{url} does not accept the credentials of its entry (HTTP {status}{said}); renew `bearerToken`, `headers` or `oauth`"
        ),
        (Some(name), true, false) => {
            format!("{url} wants a login (HTTP {status}{said}); log in: `mcproxy login {name}`")
        }
        (Some(name), false, false) => format!(
            "{url} wants credentials (HTTP {status}{said}); write them as `bearerToken` or `headers`, or try `mcproxy login {name}`"
        ),
        (None, _, false) => {
            format!("{url} wants credentials (HTTP {status}{said}); write them as `bearerToken` or `headers`")
        }
    }
}

/// The token is good, and does not allow this: how to get one that does.
fn wants_more(refusal: &HttpRefusal<'_>, standing: &Standing) -> Option<String> {
    let challenge = refusal.challenge.filter(|challenge| challenge.wants_more_scope())?;
    let name = standing.login.as_ref()?;
    let url = &standing.url;
    // The text is made to be pasted into a shell.
    let is_harmless = |char: char| char.is_ascii_alphanumeric() || " _.:/-+".contains(char);
    Some(match challenge.scope.as_deref().filter(|scope| scope.chars().all(is_harmless)) {
        Some(scope) => {
            format!("{url} wants more for this than the login allows: `mcproxy login {name} --scope '{scope}'`")
        }
        None => format!("{url} wants more for this than the login allows, and does not say what"),
    })
}

/// What the body says, for people.
fn quoted(refusal: &HttpRefusal<'_>) -> String {
    let object = RawObject::from_slice(refusal.body).ok();
    let inner = object.as_ref().and_then(|object| object.get_object("error"));
    let text = |object: &RawObject<'_>, key| object.get_string(key).map(std::borrow::Cow::into_owned);
    let message = inner.as_ref().and_then(|error| text(error, "message")).or_else(|| {
        let object = object.as_ref()?;
        ["error_description", "message", "detail", "error"].iter().find_map(|key| text(object, key))
    });
    let body = refusal.body.trim_ascii();
    match message {
        Some(message) => format!(": {}", printable(message.as_bytes(), QUOTED)),
        // A page for a browser is of no help here.
        None if body.is_empty() || body.starts_with(b"<") || body.starts_with(b"{") => String::new(),
        None if refusal.content_type.contains("html") => String::new(),
        None => {
            let line = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
            format!(": {}", printable(line.trim_ascii(), QUOTED))
        }
    }
}

/// Whether a message that carries headers of a client was refused as one of an unknown session: it may be unknown to that client only.
pub(super) fn may_be_of_session(refusal: &HttpRefusal<'_>, standing: &Standing) -> bool {
    let says_so = refusal.status == StatusCode::NOT_FOUND
        || refusal.status == StatusCode::BAD_REQUEST && speaks_of_session(refusal.body);
    standing.is_on_behalf && standing.has_session && says_so
}

fn speaks_of_session(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).to_ascii_lowercase().contains("session")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing() -> Standing {
        Standing {
            url: "http://x/mcp".into(),
            proxy: None,
            has_credentials: false,
            login: None,
            has_session: false,
            may_fall_back: true,
            is_on_behalf: false,
        }
    }

    fn request(method: &str) -> OutgoingKind {
        OutgoingKind::Request { id: 7.into(), method: method.to_owned() }
    }

    fn refusal(status: u16, body: &'static str) -> HttpRefusal<'static> {
        HttpRefusal {
            status: StatusCode::from_u16(status).expect("a status"),
            content_type: "text/plain",
            body: body.as_bytes(),
            retry_after: None,
            location: None,
            challenge: None,
        }
    }

    fn of(status: u16, body: &'static str, kind: &OutgoingKind) -> ExchangeFailure {
        of_refusal(&refusal(status, body), &standing(), kind)
    }

    fn ends(failure: ExchangeFailure) -> String {
        match failure {
            ExchangeFailure::Ends(reason) => reason.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_login_that_is_missing_says_what_to_write() {
        let initialize = request("initialize");
        assert_eq!(
            ends(of(401, "", &initialize)),
            "needs login: http://x/mcp wants credentials (HTTP 401 Unauthorized); write them as `bearerToken` or `headers`"
        );
        let login = Standing { login: Some(ServerName::try_from("x").expect("a name")), ..standing() };
        let challenge = AuthChallenge::parse("Bearer resource_metadata=\"https://x/y\"").expect("one");
        let oauth = HttpRefusal { challenge: Some(&challenge), ..refusal(401, "") };
        assert!(ends(of_refusal(&oauth, &login, &initialize)).ends_with("log in: `mcproxy login x`"));
        let unclear = ends(of_refusal(&refusal(401, ""), &login, &initialize));
        assert!(unclear.contains("`bearerToken`") && unclear.ends_with("try `mcproxy login x`"), "{unclear}");
        let with = Standing { has_credentials: true, ..standing() };
        let of_one = Standing { is_on_behalf: true, ..standing() };
        let of_one = of_refusal(&refusal(401, ""), &of_one, &request("tools/call"));
        assert!(matches!(of_one, ExchangeFailure::Fails { .. }), "others go on: {of_one:?}");
        let said = r#"{"error":"invalid_token","error_description":"expired"}"#;
        let text = ends(of_refusal(&refusal(401, said), &with, &request("tools/call")));
        assert!(text.contains("Unauthorized: expired); renew"), "{text}");
        assert!(ends(of(403, "", &initialize)).starts_with("needs login"));
        assert!(matches!(of(403, "", &request("tools/call")), ExchangeFailure::Fails { .. }), "one tool may want more");
    }

    #[test]
    fn a_token_that_does_not_allow_something_costs_that_call_only() {
        let login = Standing { login: Some(ServerName::try_from("x").expect("a name")), ..standing() };
        let of = |scope: &str| {
            let header = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
            let challenge = AuthChallenge::parse(&header).expect("one");
            let refused = HttpRefusal { challenge: Some(&challenge), ..refusal(403, "") };
            match of_refusal(&refused, &login, &request("tools/call")) {
                ExchangeFailure::Fails { text, reason: "insufficient_scope", .. } => text,
                other => panic!("{other:?}"),
            }
        };
        assert!(of("a b:c").ends_with("`mcproxy login x --scope 'a b:c'`"));
        assert!(of("a';rm").ends_with("does not say what"), "nobody pastes that");
    }

    #[test]
    fn a_session_that_the_server_forgot_ends_the_run_and_so_a_new_one_begins() {
        let with = Standing { has_session: true, ..standing() };
        let of = |status, body| of_refusal(&refusal(status, body), &with, &request("tools/call"));
        let old = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}"#;
        assert_eq!(of(404, ""), ExchangeFailure::Ends(EndReason::SessionLost));
        assert_eq!(of(400, old), ExchangeFailure::Ends(EndReason::SessionLost));
        assert!(matches!(of(400, "bad arguments"), ExchangeFailure::Fails { .. }));
    }

    #[test]
    fn an_old_server_is_asked_in_the_old_way() {
        let initialize = request("initialize");
        assert_eq!(of(405, "", &initialize), ExchangeFailure::FallBack);
        assert_eq!(of(404, "Cannot POST /sse", &initialize), ExchangeFailure::FallBack);
        let known = Standing { may_fall_back: false, ..standing() };
        let text = ends(of_refusal(&refusal(404, "<html>"), &known, &initialize));
        assert_eq!(text, "http://x/mcp answers HTTP 404 Not Found: there is no MCP server at this path; check `url`");
        let probe = OutgoingKind::Request {
            id: mcproxy_mcp::RequestId::from_raw(&mcproxy_mcp::json_string("p")).expect("one"),
            method: "server/discover".into(),
        };
        assert!(matches!(of(405, "", &probe), ExchangeFailure::Fails { code: ErrorCode::METHOD_NOT_FOUND, .. }));
        assert!(matches!(of(500, "", &probe), ExchangeFailure::Fails { .. }), "old servers break of the question");
    }

    #[test]
    fn a_busy_server_is_left_alone_for_a_while() {
        let busy = HttpRefusal { retry_after: Some(Duration::from_secs(3)), ..refusal(429, "") };
        let of = |kind: &OutgoingKind| of_refusal(&busy, &standing(), kind);
        assert_eq!(of(&request("initialize")), ExchangeFailure::Later(Duration::from_secs(3)));
        let ExchangeFailure::Fails { code, text, .. } = of(&request("tools/call")) else { panic!("fails") };
        assert_eq!(
            (code, text.as_str()),
            (ErrorCode::SERVER_UNAVAILABLE, "http://x/mcp answers HTTP 429 Too Many Requests; it asks to wait 3 s")
        );
        assert_eq!(of(&request("ping")), ExchangeFailure::Unanswered);
        let long = HttpRefusal { retry_after: Some(Duration::from_secs(3600)), ..refusal(503, "") };
        assert!(ends(of_refusal(&long, &standing(), &request("initialize"))).contains("asks to wait 3600 s"));
    }

    #[test]
    fn pages_redirects_and_empty_answers_are_named() {
        let initialize = request("initialize");
        let page = HttpRefusal { content_type: "text/html; charset=utf-8", ..refusal(200, "<!doctype html>") };
        assert!(
            ends(of_refusal(&page, &standing(), &initialize))
                .contains("answers with text/html; charset=utf-8 instead of")
        );
        assert!(ends(of(200, "", &initialize)).contains("with an empty body"));
        let moved = HttpRefusal { location: Some("https://y/\u{1b}[31m"), ..refusal(302, "") };
        let text = ends(of_refusal(&moved, &standing(), &initialize));
        assert!(text.contains("redirects to https://y/\\u{1b}[31m;"), "{text}");
        let ExchangeFailure::Fails { text, .. } = of(502, "", &request("tools/call")) else { panic!("fails") };
        assert!(text.contains("the server behind it does not answer"));
    }

    #[test]
    fn what_was_not_sent_ends_the_run_and_what_was_costs_one_call() {
        let fault = |is_unsent| RequestFault { is_unsent, text: "connection refused".into() };
        let call = request("tools/call");
        assert_eq!(ends(of_fault(&fault(true), &standing(), &call)), "cannot reach http://x/mcp: connection refused");
        let through = Standing { proxy: Some("http://p:3128".into()), ..standing() };
        let text = ends(of_fault(&fault(true), &through, &call));
        assert_eq!(text, "cannot reach http://x/mcp through the proxy http://p:3128: connection refused");
        assert!(matches!(
            of_fault(&fault(false), &standing(), &call),
            ExchangeFailure::Fails { code: ErrorCode::SERVER_ENDED, .. }
        ));
        assert_eq!(of_fault(&fault(false), &standing(), &request("ping")), ExchangeFailure::Unanswered);
        assert!(matches!(of_fault(&fault(false), &standing(), &request("initialize")), ExchangeFailure::Ends(_)));
    }
}
