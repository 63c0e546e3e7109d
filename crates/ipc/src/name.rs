//! Names of servers.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Longest server name, in bytes: leaves 22 of the 64 that clients allow for a tool's own name.
const MAX_LEN: usize = 40;

/// The name under which the embeddings of `search.embeddings` are run, as a server that no client sees. No entry has it.
pub const EMBEDDINGS_SERVER: &str = "mcproxy-embeddings";

/// The name of a configured server. It exists only in a form that makes `{server}__{tool}` split one way only:
/// letters, digits, `-` and `_`, no `__`, no `_` at either end, at most 40 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerName(Arc<str>);

/// Why a text is no server name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no characters.
    #[error("a server name is empty")]
    Empty,
    /// It is over the limit.
    #[error("a server name of {0} characters is longer than {MAX_LEN}")]
    TooLong(usize),
    /// A character outside the allowed set.
    #[error("{0:?} is not allowed in a server name; use letters, digits, `-` and `_`")]
    Character(char),
    /// `__` separates server and tool.
    #[error("`__` is not allowed in a server name: it separates the server from the tool")]
    Separator,
    /// `_` first or last would blur the separator.
    #[error("a server name does not begin or end with `_`")]
    EdgeUnderscore,
}

impl ServerName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for ServerName {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(c) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
            return Err(NameError::Character(c));
        }
        if text.len() > MAX_LEN {
            return Err(NameError::TooLong(text.len()));
        }
        if text.starts_with('_') || text.ends_with('_') {
            return Err(NameError::EdgeUnderscore);
        }
        if text.contains("__") {
            return Err(NameError::Separator);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for ServerName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::try_from(text.as_str())
    }
}

impl std::str::FromStr for ServerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::try_from(text)
    }
}

impl From<ServerName> for String {
    fn from(name: ServerName) -> Self {
        name.as_str().to_owned()
    }
}

impl std::borrow::Borrow<str> for ServerName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_qualified_name_splits_one_way_only(server in "[A-Za-z0-9_-]{1,12}", tool in "[a-z_]{1,12}") {
            if let Ok(name) = ServerName::try_from(server.as_str()) {
                let qualified = format!("{name}__{tool}");
                let (left, right) = qualified.split_once("__").expect("has a separator");
                prop_assert_eq!(left, name.as_str());
                prop_assert_eq!(right, tool);
            }
        }
    }

    #[test]
    fn names_that_would_blur_the_separator_are_refused() {
        assert_eq!(ServerName::try_from("a__b"), Err(NameError::Separator));
        assert_eq!(ServerName::try_from("a_"), Err(NameError::EdgeUnderscore));
        assert_eq!(ServerName::try_from("_a"), Err(NameError::EdgeUnderscore));
        assert_eq!(ServerName::try_from("a b"), Err(NameError::Character(' ')));
        assert_eq!(ServerName::try_from(""), Err(NameError::Empty));
        assert_eq!(ServerName::try_from("x".repeat(41).as_str()), Err(NameError::TooLong(41)));
        assert!(ServerName::try_from("brave_search-2").is_ok());
    }
}
