//! The OAuth client of workers, as far as it decides: where a server's authorization server is, what is asked of it, what its answers
//! mean, what is kept of a login and when a token is renewed.
//!
//! Nothing here opens a connection or a file, reads a clock or makes random numbers: requests go through [`OAuthFetch`], and all else
//! is an argument. (MCP 2026-07-28, Authorization; `docs/decisions/0174`)

mod answer;
mod authority;
mod authorization;
mod challenge;
mod client;
mod discovery;
mod error;
mod fetch;
mod kept;
mod metadata;
mod pkce;
mod schedule;
mod seal;
mod text;
mod token;

pub use authority::{Authority, IntrospectionClient, max_age};
pub use authorization::{AuthorizationRequest, PendingAuthorization, callback_query};
pub use challenge::AuthChallenge;
pub use client::{ClientAuth, ClientChoice, ClientIdentity, choose, register};
pub use discovery::{Discovered, discover};
pub use error::OAuthError;
pub use fetch::{FetchedAnswer, OAuthFetch, OAuthPost};
pub use kept::{KeptLogin, LoginGrant};
pub use metadata::{EndpointRule, IssuerMetadata};
pub use schedule::{TokenFreshness, due_after, retry_after};
pub use seal::{LOGIN_KEY_BYTES, LoginSeal, SealError};
pub use text::TokenText;
pub use token::{TokenRequest, TokenSet, revoke};
