//! Tokens of authorization servers (OAuth 2.1, RFC 9068, RFC 9728): what they are worth here, those that were verified, and how clients
//! are told where to get one. How keys are had is elsewhere (`upstream/authorities.rs`), and the wait for them (`http/bearer.rs`).

pub(crate) mod access_tokens;
pub(crate) mod resource;
pub(crate) mod scheme;
pub(crate) mod token_worth;
