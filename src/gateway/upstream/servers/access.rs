//! Which endpoints there are for a principal, and what of the servers it may use there.

use mcproxy_ipc::{ServerName, control::ToolView};
use mcproxy_mcp::qualify_name;

use super::Servers;
use crate::gateway::{
    base::{
        principal::Principal,
        scope::{EndpointScope, Scope},
    },
    catalogue::{Extent, Grant, ListKind, name_before_group, unlisted_name},
};

impl Servers {
    /// Whether an endpoint exists, for somebody who may use something of it.
    pub(crate) fn has(&self, scope: &Scope) -> bool {
        let reaches = |server: &ServerName| self.reaches(&scope.holder, server);
        match &scope.endpoint {
            EndpointScope::All | EndpointScope::Search(None) => true,
            EndpointScope::Server(name) => {
                (*name == self.builtin.0 || self.servers.borrow().contains_key(name)) && reaches(name)
            }
            EndpointScope::Group(name) | EndpointScope::Search(Some(name)) => {
                let groups = self.groups.borrow();
                groups
                    .get(name)
                    .is_some_and(|group| !self.is_limited(&scope.holder) || group.servers.iter().any(reaches))
            }
        }
    }

    /// What the endpoint of a group is: one where its tools are listed, or one where they are found.
    pub(crate) fn scope_of_group(&self, group: &str) -> EndpointScope {
        let listing = self.groups.borrow().get(group).map(|group| group.view);
        match listing {
            Some(ToolView::Search) => EndpointScope::Search(Some(group.to_owned())),
            Some(ToolView::List) | None => EndpointScope::Group(group.to_owned()),
        }
    }

    /// What an endpoint is for a principal: for some, tools are found wherever others list them.
    pub(crate) fn scope_for(&self, endpoint: EndpointScope, holder: Principal) -> Scope {
        let endpoint = match self.grants.borrow().view_of(&holder) {
            ToolView::Search => endpoint.searched(),
            ToolView::List => endpoint,
        };
        Scope::new(endpoint, holder)
    }

    /// Learns what the scopes of a principal are worth; `false`: tokens have too many different sets of scopes.
    pub(crate) fn learn(&self, holder: &Principal) -> bool {
        holder.scopes().is_none_or(|scopes| self.grants.borrow_mut().learn(scopes))
    }

    /// Whether a principal may use only a part of what there is.
    pub(crate) fn is_limited(&self, holder: &Principal) -> bool {
        let grants = self.grants.borrow();
        *grants.get(grants.of(holder)) != Grant::Everything
    }

    /// Whether a principal may use something of a server.
    pub(crate) fn reaches(&self, holder: &Principal, server: &ServerName) -> bool {
        self.extent(holder, server) != Extent::Nothing
    }

    /// Whether an endpoint shows a server.
    pub(crate) fn shows(&self, scope: &Scope, server: &ServerName) -> bool {
        self.endpoint_shows(&scope.endpoint, server) && self.reaches(&scope.holder, server)
    }

    /// The same with its prompts and resources.
    pub(crate) fn shows_all_of(&self, scope: &Scope, server: &ServerName) -> bool {
        self.endpoint_shows(&scope.endpoint, server) && self.extent(&scope.holder, server) == Extent::Everything
    }

    fn extent(&self, holder: &Principal, server: &ServerName) -> Extent {
        self.grants.borrow().extent(holder, server)
    }

    fn endpoint_shows(&self, endpoint: &EndpointScope, server: &ServerName) -> bool {
        match endpoint {
            EndpointScope::All | EndpointScope::Search(None) => true,
            EndpointScope::Server(name) => name == server,
            EndpointScope::Group(name) | EndpointScope::Search(Some(name)) => {
                *server == self.builtin.0
                    || self.groups.borrow().get(name).is_some_and(|group| group.servers.contains(server))
            }
        }
    }

    /// The server of an endpoint that shows no other.
    pub(crate) fn only(&self, scope: &Scope) -> Option<ServerName> {
        let servers = self.servers.borrow();
        let mut shown = servers.keys().filter(|name| self.shows(scope, name));
        let only = shown.next().filter(|_| shown.next().is_none())?;
        self.shows_all_of(scope, only).then(|| only.clone())
    }

    /// The server's own name of a tool or prompt that it has not listed and that a client of an endpoint names; `None`: tool rules
    /// or the client's token keep it from the client, or nothing can be called that.
    pub(crate) fn unlisted(&self, scope: &Scope, server: &ServerName, kind: ListKind, shown: &str) -> Option<String> {
        let servers = self.servers.borrow();
        let of = servers.get(server)?;
        let rules = &of.route.tools;
        if kind != ListKind::Tools {
            return unlisted_name(kind, shown, rules).filter(|_| self.shows_all_of(scope, server));
        }
        let grants = self.grants.borrow();
        let grant = grants.get(grants.of(&scope.holder));
        let permitted = |common: &str| grant.permits(server, &qualify_name(server.as_str(), common));
        let common = match scope.group() {
            Some(group) => name_before_group(server, shown, &self.groups.borrow().get(group)?.tools)?,
            None => shown.to_owned(),
        };
        unlisted_name(kind, &common, rules)
            .filter(|own| permitted(&common) && of.pins.permit_unlisted(own) && !of.holds_back(own))
    }
}
