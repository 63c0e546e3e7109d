//! Names: those of MetaMCP where they are names here, and safe forms of the others.

use std::collections::HashSet;

use mcproxy_config::{RESERVED_NAME, safe_name};
use mcproxy_ipc::ServerName;

/// The names that were given out.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// The name itself if it is one and free, else a safe form; a number makes it unique.
    pub(super) fn give(&mut self, wish: &str) -> String {
        let is_right = |name: &str| ServerName::try_from(name).is_ok() && name != RESERVED_NAME;
        let base = if is_right(wish) { wish.to_owned() } else { safe_name(wish) };
        let short: String = base.chars().take(36).collect();
        let short = short.trim_end_matches(['-', '_']).to_owned();
        let mut names = std::iter::once(base).chain((2_u32..).map(|number| format!("{short}-{number}")));
        let name = names.find(|name| is_right(name) && !self.taken.contains(name)).unwrap_or(short);
        self.taken.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_name_is_one_and_there_once(wishes in prop::collection::vec("[a-c _-]{0,42}|\\PC{0,5}|mcproxy", 1..12)) {
            let mut names = Names::default();
            let given: Vec<String> = wishes.iter().map(|wish| names.give(wish)).collect();
            let distinct: HashSet<&String> = given.iter().collect();
            prop_assert_eq!(distinct.len(), given.len());
            prop_assert!(given.iter().all(|name| ServerName::try_from(name.as_str()).is_ok()), "{given:?}");
        }
    }
}
