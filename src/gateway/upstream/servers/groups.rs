//! The configured groups, and what each shows of its servers.

use std::sync::Arc;

use mcproxy_ipc::{ServerName, control::Group};

use super::{derived_catalogues::DerivedCatalogues, grants::GrantId};
use crate::gateway::catalogue::ServerCatalogue;

/// All groups. With rules for tools, a group has catalogues of its own: one for each of its servers and each grant.
#[derive(Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    shown: DerivedCatalogues<(String, GrantId)>,
}

impl Groups {
    pub(super) fn new(groups: &[Group]) -> Self {
        Self { groups: groups.to_vec(), shown: DerivedCatalogues::default() }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.groups.iter().map(|group| group.name.clone()).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// What a group shows of what a server offers those with this grant. `own`: it is the offer of a single session, and not worth
    /// keeping.
    pub(super) fn shown(
        &mut self,
        (name, grant): (&str, GrantId),
        server: &ServerName,
        offered: &Arc<ServerCatalogue>,
        own: bool,
    ) -> Arc<ServerCatalogue> {
        let rules = self.groups.iter().find(|group| group.name == name).map(|group| &group.tools);
        let Some(rules) = rules.filter(|rules| !rules.is_empty()) else { return offered.clone() };
        let derive = || Arc::new(offered.in_group(server, rules));
        if own { derive() } else { self.shown.get((name.to_owned(), grant), server, offered, derive) }
    }
}
