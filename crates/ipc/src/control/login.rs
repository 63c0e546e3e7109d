//! Control messages between supervisor and a worker that only logs in or out.

use mcproxy_confine::Degradation;
use serde::{Deserialize, Serialize};

use crate::WorkerSpec;

/// Longest query of a callback, in bytes: a browser sends no longer one.
pub const MAX_CALLBACK: usize = 16 * 1024;

/// What is to be done at a server's authorization server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoginTask {
    /// A person logs in.
    LogIn {
        /// Where the page leads back to.
        redirect: String,
        /// What is asked for, if the person says so.
        scope: Option<String>,
    },
    /// Tokens are given back, and what is kept is removed.
    LogOut,
}

/// A message of the supervisor to a worker that logs in or out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SupervisorToLogin {
    /// First message: at which server, and what.
    Begin(Box<WorkerSpec>, LoginTask),
    /// The query of the callback that the person's browser made.
    Callback(String),
}

/// A message of such a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoginToSupervisor {
    /// Protections that are wanted and cannot be had.
    Degraded(Vec<Degradation>),
    /// The page that the person is to open.
    Page(String),
    /// The callback was another login's, or none: why. The right one is still waited for.
    NotOurs(String),
    /// It is done: a sentence for the person. The last message.
    Done(String),
    /// It is not done, and why. The last message.
    Failed(String),
}
