//! What was wanted and cannot be had on this machine.

use serde::{Deserialize, Serialize};

/// One kind of protection. The names are what users see in `degraded`, metrics and `mcproxy doctor security`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// A user of its own for the gateway and each server.
    Users,
    /// No capabilities beyond those that are needed.
    Capabilities,
    /// Landlock on files.
    Files,
    /// The configuration and MCProxy's own directories are out of reach of servers.
    OwnFiles,
    /// Landlock on TCP ports (ABI 4).
    Ports,
    /// Signals and abstract sockets stay within a server (Landlock ABI 6).
    Scopes,
    /// Which system calls may be made (seccomp).
    SystemCalls,
    /// A network of its own for a server with `network: none`.
    Network,
    /// Memory, processes and processor time bounded by cgroups.
    Cgroups,
}

impl Protection {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Users,
        Self::Capabilities,
        Self::Files,
        Self::OwnFiles,
        Self::Ports,
        Self::Scopes,
        Self::SystemCalls,
        Self::Network,
        Self::Cgroups,
    ];

    /// Its name, as in `degraded`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Capabilities => "capabilities",
            Self::Files => "files",
            Self::OwnFiles => "own-files",
            Self::Ports => "ports",
            Self::Scopes => "scopes",
            Self::SystemCalls => "system-calls",
            Self::Network => "network",
            Self::Cgroups => "cgroups",
        }
    }
}

/// One protection that is missing, for one server or in general.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degradation {
    /// What is missing.
    pub protection: Protection,
    /// Why, in a sentence: what the kernel or the installation lacks.
    pub reason: String,
    /// What the operator can do about it.
    pub help: String,
}
