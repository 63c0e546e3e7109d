//! The command line `mcproxy`, for people.
//!
//! `status`, `logs`, `restart`, `reload` and `stop` ask the supervisor over its control socket; `tools`, `call` and
//! `connect` are ordinary MCP clients of the gateway over HTTP; `check` and `schema` need no other process; `completions` makes shells ask all of them for names.
//! There is one file per command in `commands`; data goes to stdout, everything else to stderr.

mod args;
mod clients;
mod commands;
mod completion;
mod config_place;
mod console;
mod conversation;
mod diff;
mod edited_file;
mod endpoint;
mod error;
mod exit;
mod human;
mod live;
mod modern;
#[cfg(test)]
mod modern_server;
mod names;
mod pretty;
mod run;
mod session;
mod style;
mod supervisor;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod user_dirs;

pub use console::Console;
pub use exit::Exit;
pub use run::run;
