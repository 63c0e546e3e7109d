//! The login at a server that is reached over the network: what a person does once (`flow`), what is kept of it (`store`), and how the
//! token that requests show is kept fresh (`credentials`). What is asked for and what answers mean is decided in `mcproxy-oauth`.
//!
//! All workers of a server share one login. Whoever renews it holds the lock of its file and looks there first, so that no refresh
//! token is shown twice; what was obtained is on the disk before it is used. (`docs/decisions/0175`)

mod credentials;
mod fetch;
mod flow;
mod process;
mod random;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    credentials::{CredentialFailure, Credentials},
    fetch::LoginFetch,
    process::run,
    store::{kept_place, kept_ports},
};
