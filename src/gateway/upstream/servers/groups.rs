//! The configured groups, and what each shows of its servers.

use std::{collections::HashMap, sync::Arc};

use mcproxy_ipc::{ServerName, control::Group};

use crate::gateway::catalogue::ServerCatalogue;

/// All groups. With rules for tools, a group has catalogues of its own: one for each of its servers, made when the server's changes.
#[derive(Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    shown: HashMap<(String, ServerName), GroupCatalogue>,
}

/// The catalogue of a server in one group, and the one that it was made of.
struct GroupCatalogue {
    of: Arc<ServerCatalogue>,
    shown: Arc<ServerCatalogue>,
}

impl Groups {
    pub(super) fn new(groups: &[Group]) -> Self {
        Self { groups: groups.to_vec(), shown: HashMap::new() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// What a group shows of what a server offers.
    pub(super) fn shown(
        &mut self,
        name: &str,
        server: &ServerName,
        offered: &Arc<ServerCatalogue>,
    ) -> Arc<ServerCatalogue> {
        let rules = self.groups.iter().find(|group| group.name == name).map(|group| &group.tools);
        let Some(rules) = rules.filter(|rules| !rules.is_empty()) else { return offered.clone() };
        let make = || GroupCatalogue { of: offered.clone(), shown: Arc::new(offered.in_group(server, rules)) };
        let known = self.shown.entry((name.to_owned(), server.clone())).or_insert_with(make);
        if !Arc::ptr_eq(&known.of, offered) {
            *known = make();
        }
        known.shown.clone()
    }
}
