//! When tokens were last used, for those who look after them. As many as there are tokens.

use std::{cell::RefCell, collections::HashMap, time::SystemTime};

use mcproxy_ipc::unix_seconds;

/// The tokens that were used since the supervisor was told, by their hashes, and when.
#[derive(Debug, Default)]
pub(crate) struct TokenUses(RefCell<HashMap<[u8; 32], u64>>);

impl TokenUses {
    /// A request was let in by this token.
    pub(crate) fn note(&self, hash: &[u8; 32], now: SystemTime) {
        self.0.borrow_mut().insert(*hash, unix_seconds(now));
    }

    /// Takes out what is to be told.
    pub(crate) fn take(&self) -> Vec<([u8; 32], u64)> {
        self.0.borrow_mut().drain().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_token_is_told_once_with_its_last_use() {
        let uses = TokenUses::default();
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        uses.note(&[1; 32], at(5));
        uses.note(&[1; 32], at(9));
        assert_eq!(uses.take(), [([1; 32], 9)]);
        assert!(uses.take().is_empty());
    }
}
