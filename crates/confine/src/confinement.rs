//! What a process of ours, and a server, are told of their own confinement.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Hardening, Identity, Sandbox};

/// How a worker confines itself when it begins: its sealed order. What its server may do comes with what the server is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// How much is wanted.
    pub hardening: Hardening,
    /// Whom it becomes; `None`: the user that it was started as.
    pub identity: Option<Identity>,
}

/// What the server of a worker may do, and the worker no more than that and what it needs itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerConfinement {
    /// How much of it is wanted. A worker puts in what its sealed order says.
    pub hardening: Hardening,
    /// What its entry says.
    pub sandbox: Sandbox,
    /// Its HOME, unless its entry sets another; `None`: that of MCProxy's user.
    pub home: Option<PathBuf>,
    /// Its TMPDIR, unless its entry sets another: a directory for nobody else, which the worker makes and empties when it begins;
    /// `None`: that of MCProxy.
    pub tmp: Option<PathBuf>,
    /// May be neither read nor written: the configuration, and the directories of MCProxy and of other servers. Those that
    /// its user cannot reach anyway need not be named.
    pub hidden: Vec<PathBuf>,
    /// Limits that a process has by itself.
    pub limits: ResourceLimits,
}

/// Limits of setrlimit(2). Nobody dumps core, whatever they say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// Open descriptors of each process.
    pub files: Option<u64>,
    /// Processes and threads of the user. For a server with a user of its own only: it counts all that the user has.
    pub processes: Option<u64>,
    /// Largest file that may be written, in bytes.
    pub file_bytes: Option<u64>,
}
