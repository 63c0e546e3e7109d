//! The HTTP client of worker and command line: which addresses it connects to, what it trusts, and how it reads event streams.
//!
//! What it carries, and what an answer means, is its callers'. `reqwest` and `rustls` are named in this crate alone.

mod address;
mod both_ends;
mod client;
mod fault;
mod sse;
mod tls;

pub use address::{AddressRule, ForbiddenAddress};
pub use both_ends::BothEnds;
pub use client::{ClientError, ClientSettings, ProxyRule, http_client};
pub use fault::{RequestFault, fault};
pub use reqwest::{
    Client, Error, Method, RequestBuilder, Response, StatusCode, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
pub use sse::{ReceivedEvent, SseItem, SseParser};
pub use tls::{TlsError, TlsSettings, share_provider};
