//! The configuration file: from raw text to checked types, with every problem located.
//!
//! The way of a file:
//!
//! 1. `text`: bounded, UTF-8, not nested absurdly; positions as people count them.
//! 2. `tree`: JSON, with comments and trailing commas, in which every key and value knows where it was
//!    written; `interpolate` replaces `${VAR}`.
//! 3. `dialect`: what other programs write, in our words; the servers are taken out of the file, each with a report of its
//!    own.
//! 4. `shape`: compared with the JSON Schema that is generated from the types in `raw`. What does not fit is reported
//!    and left out, so that the rest is still checked and all problems appear at once.
//! 5. `servers`, `server`, `gateway`, `auth`, `listen`: what the schema cannot say; the results are the checked types.
//!
//! A mistake in one server's entry blocks that server. A mistyped key, and whatever is wrong elsewhere, refuses the file.
//!
//! Nothing here reads the environment or a clock; only [`Config::load`] reads a file. Messages never repeat a value of
//! the file, because a token in the wrong place must not reach a log.
//!
//! To add a key: add it to its struct in `raw` with a doc comment (it appears in the schema) and a default, and use it
//! where the checked type is built.

mod approvals;
mod audit;
mod auth;
mod client_features;
mod config;
mod dialect;
mod diff;
mod edit;
mod embeddings;
mod foreign;
mod gateway;
mod groups;
mod hidden_server;
mod instant;
mod interpolate;
mod isolation;
mod json_text;
mod listen;
mod masked;
mod nearest;
mod places;
mod problem;
mod rate;
mod raw;
mod report;
mod resource_server;
mod schema;
mod secret_file;
mod server;
mod servers;
mod shape;
mod size;
mod splice;
mod text;
mod tool_rules;
mod tree;

pub use audit::AuditConfig;
pub use config::{Config, Exposed, LoadError};
pub use dialect::{RESERVED_NAME, safe_name};
pub use diff::{ConfigDiff, ServerChange, diff};
pub use edit::{EditError, EditableConfig, EditableToken, TokenEditError};
pub use foreign::{ForeignEntry, OurEntry};
pub use isolation::{IsolationConfig, UidRange, Uids};
pub use json_text::Json;
pub use listen::{ListenError, parse_host};
pub use masked::masked;
pub use nearest::nearest;
pub use places::Places;
pub use problem::{Problem, Problems, Severity};
pub use schema::schema;
pub use server::{Blocked, Era, OnChange, RestartPolicy, ServerConfig, Start};
pub use size::{MAX_GATEWAY_BYTES, MAX_RULES_BYTES, MAX_SERVER_BYTES, MAX_SERVERS};
pub use text::MAX_FILE;
