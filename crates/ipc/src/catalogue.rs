//! The name of the file that caches a server's catalogue.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ServerName;

/// The key of a kept catalogue: the command, its arguments, its directory and the names of its variables, as a digest,
/// because arguments may be secret. With another command a server is another one, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CatalogueKey(pub [u8; 16]);

impl CatalogueKey {
    /// The name of the file in which the server's catalogue is kept. It begins with the server's name and a dot.
    pub fn file_name(self, server: &ServerName) -> String {
        format!("{server}.{self}.json")
    }

    /// The same of the file that says which era of MCP it speaks.
    pub fn era_file_name(self, server: &ServerName) -> String {
        format!("{server}.{self}.era")
    }
}

impl fmt::Display for CatalogueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_the_server_and_what_it_runs() {
        let server = ServerName::try_from("time").expect("a name");
        let name = CatalogueKey([0xab; 16]).file_name(&server);
        assert_eq!(name, format!("time.{}.json", "ab".repeat(16)));
    }
}
