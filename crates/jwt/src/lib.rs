//! Signed tokens of authorization servers (JWT, RFC 7519, as access tokens are: RFC 9068): what a token says, and whether a key of its
//! issuer has signed it.
//!
//! Nothing here reads a clock, opens a connection or remembers anything. A token is in the hands of a stranger until
//! [`Jwt::verify`] says otherwise; which algorithms there are is decided here, never by the token ([`Algorithm`]).

mod claims;
mod key;
mod key_set;
mod token;

pub use claims::{ClaimError, Claims, MAX_AUDIENCES, MAX_SCOPES};
pub use key::Algorithm;
pub use key_set::{KeySet, KeySetError, MAX_KEY_SET, MAX_KEYS};
pub use token::{Jwt, JwtError, MAX_TOKEN, SignatureVerdict};
