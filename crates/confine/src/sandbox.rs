//! What a server may do, as its entry says: the keys `sandbox` and `network`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What one server is allowed. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Whether files are restricted at all; `sandbox: "off"` turns it off for one server.
    pub files: bool,
    /// What may be read and executed beyond what may be written.
    pub reading: Reading,
    /// May be written, besides HOME, the working directory and the private TMPDIR.
    pub write: Vec<PathBuf>,
    /// May be neither read nor written, besides what is MCProxy's own.
    pub deny: Vec<PathBuf>,
    /// What may be reached over the network.
    pub network: Network,
    /// TCP ports that may be bound; `None`: any.
    pub bind: Option<Vec<u16>>,
    /// Whether new namespaces may be made (unshare(2)), which the sandbox of Chromium and bubblewrap need.
    pub namespaces: bool,
}

/// What a server may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading {
    /// All that its user may, except what is MCProxy's own and other servers' homes.
    Everything,
    /// System directories, the program's own tree, HOME, the working directory, and these (`sandbox: "strict"`, `sandbox.read`).
    Only(Vec<PathBuf>),
}

/// What a server may reach over the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// Whatever the machine can.
    Full,
    /// TCP to these ports only; UDP is not restricted (Landlock knows TCP only).
    Ports(Vec<u16>),
    /// Nothing but its own loopback.
    None,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            files: true,
            reading: Reading::Everything,
            write: Vec::new(),
            deny: Vec::new(),
            network: Network::Full,
            bind: None,
            namespaces: false,
        }
    }
}
