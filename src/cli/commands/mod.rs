//! One file per command. Those that only send one request to the supervisor need none.

pub(super) mod approvals;
pub(super) mod audit;
pub(super) mod call;
pub(super) mod check;
pub(super) mod connect;
mod content;
pub(super) mod doctor;
pub(super) mod edit;
pub(super) mod health;
pub(super) mod import;
pub(super) mod init;
pub(super) mod link;
pub(super) mod login;
pub(super) mod logs;
pub(super) mod man;
pub(super) mod paths;
pub(super) mod pins;
pub(super) mod schema;
pub(super) mod service;
pub(super) mod status;
pub(super) mod stop;
pub(super) mod token;
pub(super) mod tools;
pub(super) mod watch;
