//! The whole system: real supervisor, gateway, workers and servers, real clients over real HTTP.
//!
//! Each test starts its own proxy on a free port in a directory of its own ([`support::Proxy`]); dropped, it is stopped and must
//! leave no process behind. The binaries are those beside `mcproxy`: run `cargo build --workspace` first, or let
//! `cargo nextest run --workspace` do it.

mod support;

mod approvals;
mod chaos;
mod cli;
mod conformance;
mod connect;
mod documents;
mod edges;
mod faults;
mod files;
mod getting_in;
mod hardening;
mod http;
mod import;
mod instances;
mod large_results;
mod legacy;
mod limits;
mod modern_clients;
mod modern_servers;
mod oauth;
mod operating;
mod people;
mod real;
mod reliability;
mod remote;
mod tool_search;
mod zoo;
