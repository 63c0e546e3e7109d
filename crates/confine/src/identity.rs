//! The user that a process runs as.

use serde::{Deserialize, Serialize};

/// User, group and supplementary groups (credentials(7)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Real, effective and saved user id.
    pub uid: u32,
    /// Real, effective and saved group id.
    pub gid: u32,
    /// Supplementary groups: none for users of the reserved range, those of the account for `runAs`.
    pub groups: Vec<u32>,
}
