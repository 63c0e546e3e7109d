//! A client for one URL.

use std::{net::IpAddr, sync::Arc, time::Duration};

use reqwest::{Client, Proxy, StatusCode, Url, redirect};

use crate::{
    address::{AddressRule, CheckedResolver, ForbiddenAddress},
    tls::{self, TlsError, TlsSettings},
};

/// Below what servers commonly wait before they close an idle connection (5 s), so that a request seldom meets one that is just
/// being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// A connection on which nothing comes is asked so often whether it lives.
const PROBE_INTERVAL: Duration = Duration::from_secs(20);
/// How long it has for the answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// Redirects that are followed in a row.
const MAX_REDIRECTS: usize = 5;
const USER_AGENT: &str = concat!("mcproxy/", env!("CARGO_PKG_VERSION"));

/// Which proxy is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ProxyRule {
    /// The one that the environment names, if any: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`.
    #[default]
    System,
    /// None.
    Direct,
    /// This one.
    Url(String),
}

/// How a URL is reached.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The URL; redirects lead to no other origin.
    pub url: Url,
    /// What is trusted.
    pub tls: TlsSettings,
    /// The proxy.
    pub proxy: ProxyRule,
    /// From the look-up of the name to the end of the TLS handshake.
    pub connect_timeout: Duration,
    /// Which addresses the URL may have; `None`: any.
    pub addresses: Option<AddressRule>,
}

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Its address is one that is not connected to.
    #[error(transparent)]
    Address(#[from] ForbiddenAddress),
    /// Certificates and keys.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The proxy's URL.
    #[error("the proxy's URL cannot be used")]
    Proxy(#[source] reqwest::Error),
    /// Anything else.
    #[error("no HTTP client can be made")]
    Build(#[source] reqwest::Error),
}

/// Makes a client with a pool of connections of its own.
///
/// # Errors
/// The settings cannot be used.
pub fn http_client(settings: &ClientSettings) -> Result<Client, ClientError> {
    let url = &settings.url;
    if let (Some(rule), Some(address)) = (settings.addresses, literal(url)) {
        rule.check(address)?;
    }
    let tls = tls::config(&settings.tls, is_tls_used(url, &settings.proxy))?;
    let (proxy, exempt) = match &settings.proxy {
        ProxyRule::System | ProxyRule::Direct => (None, None),
        ProxyRule::Url(proxy) => {
            let host = Url::parse(proxy).ok().and_then(|url| url.host_str().map(str::to_owned));
            (Some(Proxy::all(proxy.as_str()).map_err(ClientError::Proxy)?), host)
        }
    };
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(CheckedResolver { rule: settings.addresses, exempt }))
        .redirect(redirect::Policy::custom(same_origin))
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(KEEP_ALIVE)
        .tcp_nodelay(true)
        .tcp_keepalive(PROBE_INTERVAL)
        .tcp_keepalive_interval(PROBE_TIMEOUT)
        .tcp_keepalive_retries(2)
        .http2_keep_alive_interval(PROBE_INTERVAL)
        .http2_keep_alive_timeout(PROBE_TIMEOUT)
        .referer(false)
        .user_agent(USER_AGENT);
    let builder = match (proxy, &settings.proxy) {
        (Some(proxy), _) => builder.proxy(proxy),
        (None, ProxyRule::Direct) => builder.no_proxy(),
        (None, _) => builder,
    };
    builder.build().map_err(ClientError::Build)
}

/// The address in a URL that has one instead of a name: no name is looked up then.
fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn is_tls_used(url: &Url, proxy: &ProxyRule) -> bool {
    let is_https = |text: &str| text.trim_start().to_ascii_lowercase().starts_with("https:");
    let names = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    url.scheme() == "https"
        || match proxy {
            ProxyRule::Url(proxy) => is_https(proxy),
            ProxyRule::System => names.iter().any(|name| std::env::var(name).is_ok_and(|value| is_https(&value))),
            ProxyRule::Direct => false,
        }
}

/// A redirect that keeps method and body, to the same origin, is followed: servers send `/mcp` to `/mcp/`. Any other is left to the
/// caller as the answer that it is: it could carry credentials to another host, or turn a POST into a GET.
fn same_origin(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let keeps_method = matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    let is_same = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
    if keeps_method && is_same && attempt.previous().len() <= MAX_REDIRECTS { attempt.follow() } else { attempt.stop() }
}
