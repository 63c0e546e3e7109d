//! The gateway and the command line of MCProxy.
//!
//! - [`gateway`]: the HTTP front, run as `mcproxy-gateway` by the supervisor;
//! - [`cli`]: `mcproxy`, for people.

pub mod cli;
pub mod gateway;
mod status_view;
