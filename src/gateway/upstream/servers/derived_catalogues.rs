//! Catalogues that were made of those of servers, for groups and for holders of tokens: made when the server's changes.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use mcproxy_ipc::ServerName;

use crate::gateway::catalogue::ServerCatalogue;

/// So many are kept; beyond it they are made anew.
const KEPT: usize = 4096;

/// Derived catalogues by whom they are for and of which server they are.
pub(super) struct DerivedCatalogues<K>(HashMap<(K, ServerName), DerivedCatalogue>);

/// A catalogue, and the one that it was made of.
struct DerivedCatalogue {
    of: Arc<ServerCatalogue>,
    shown: Arc<ServerCatalogue>,
}

impl<K> Default for DerivedCatalogues<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> DerivedCatalogues<K> {
    /// The one that was made of this catalogue; if there is none, this makes it.
    pub(super) fn get(
        &mut self,
        key: K,
        server: &ServerName,
        of: &Arc<ServerCatalogue>,
        derive: impl Fn() -> Arc<ServerCatalogue>,
    ) -> Arc<ServerCatalogue> {
        let key = (key, server.clone());
        if self.0.len() >= KEPT && !self.0.contains_key(&key) {
            self.0.clear();
        }
        let make = || DerivedCatalogue { of: of.clone(), shown: derive() };
        let known = self.0.entry(key).or_insert_with(make);
        if !Arc::ptr_eq(&known.of, of) {
            *known = make();
        }
        known.shown.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_made_anew_when_its_server_offers_something_else_and_never_more_than_fit_are_kept() {
        let server = ServerName::try_from("a").expect("a name");
        let catalogue = || {
            let read = ServerCatalogue::read(&server, b"{}", &mcproxy_ipc::ToolRules::default());
            Arc::new(read.expect("reads").0)
        };
        let (first, second) = (catalogue(), catalogue());
        let mut derived = DerivedCatalogues::default();
        let one = derived.get(0, &server, &first, catalogue);
        assert!(Arc::ptr_eq(&one, &derived.get(0, &server, &first, || unreachable!("it is there"))));
        assert!(!Arc::ptr_eq(&one, &derived.get(0, &server, &second, catalogue)));
        for key in 0..2 * KEPT {
            derived.get(key, &server, &first, catalogue);
            assert!(derived.0.len() <= KEPT);
        }
    }
}
