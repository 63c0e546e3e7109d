//! A server that is reached over the network, as people write it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RawOauth;

/// How a server is reached that is not started.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawRemote {
    /// The address of a server that is reached over the network instead of started: `http://` or `https://`. Without `type` Streamable HTTP is tried, then HTTP+SSE.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) url: Option<String>,
    /// Headers of every request to `url`. Their values are masked in logs.
    pub(crate) headers: BTreeMap<String, String>,
    /// Names of headers that a client's call brings to `url` with it, such as `Authorization` for servers that want to know who calls. None are passed on unless they are named here. The client's value takes the place of the one in `headers`; requests that MCProxy makes itself, for lists above all, have those of `headers`. A token that let the client in here is not passed on.
    pub(crate) forward_headers: Vec<String>,
    /// The token for `url`: the same as the header `Authorization` with `Bearer` before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) bearer_token: Option<String>,
    /// How MCProxy logs in at `url`, where that wants a login by OAuth. Nothing has to be written for most servers: `mcproxy login NAME`.
    pub(crate) oauth: RawOauth,
    /// What is trusted of `url` over TLS, and how MCProxy shows who it is. Each is a PEM file, relative to this file and readable for the user that the server's worker runs as, or its text.
    pub(crate) tls: RawTls,
    /// The proxy through which `url` is reached: its URL, or `none`. Without it: what `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say in the environment of MCProxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) proxy: Option<String>,
    /// Seconds until there must be a connection to `url`.
    #[schemars(range(min = 0.1, max = 600))]
    pub(crate) connect_timeout: f64,
    /// Whether `url` may lead to public addresses only. (Link-local addresses and those where clouds hand out credentials are never connected to.)
    pub(crate) deny_private: bool,
}

impl Default for RawRemote {
    fn default() -> Self {
        Self {
            url: None,
            headers: BTreeMap::new(),
            forward_headers: Vec::new(),
            bearer_token: None,
            oauth: RawOauth::default(),
            tls: RawTls::default(),
            proxy: None,
            connect_timeout: 10.0,
            deny_private: false,
        }
    }
}

/// Certificates and keys.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawTls {
    /// The authorities that are trusted instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) ca: Option<String>,
    /// MCProxy's own certificate, for servers that ask for one. Needs `clientKey`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) client_cert: Option<String>,
    /// The key of `clientCert`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) client_key: Option<String>,
}
