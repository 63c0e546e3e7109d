//! Which calls need the agreement of a person.

use mcproxy_ipc::{
    ApprovalMode, ServerName,
    control::{Group, ScopeGrant, TokenHash},
};

use super::Servers;
use crate::gateway::{base::scope::Scope, catalogue::fits};

impl Servers {
    /// Whether some call may need it. Most installations have none.
    pub(crate) fn may_hold(&self) -> bool {
        self.holds.get()
    }

    /// Which calls of a tool need it, by the strictest of what its server, the tool itself, the endpoint's group and the caller's token
    /// say. `own`: the server's own name of the tool.
    pub(crate) fn approval_mode(&self, scope: &Scope, server: &ServerName, own: &str) -> ApprovalMode {
        let servers = self.servers.borrow();
        let rules = servers.get(server).map(|server| &server.route.approvals);
        let of_tool = rules.iter().flat_map(|rules| &rules.tools).filter(|(pattern, _)| fits(pattern, own));
        let of_server = rules.iter().map(|rules| rules.all).chain(of_tool.map(|(_, mode)| *mode));
        let groups = self.groups.borrow();
        let of_endpoint = scope.group().and_then(|name| groups.get(name)).map(|group| group.approve);
        let (of_token, named) = self.grants.borrow().approval_of(&scope.holder);
        let named = named.iter().filter_map(|name| groups.get(name)).filter(|group| group.servers.contains(server));
        let of_groups = named.map(|group| group.approve);
        of_server.chain(of_endpoint).chain([of_token]).chain(of_groups).max().unwrap_or_default()
    }

    /// Looks again whether some call may need it.
    pub(super) fn look_for_approvals(&self) {
        let of_servers = || self.servers.borrow().values().any(|server| !server.route.approvals.is_never());
        self.holds.set(self.endpoints_hold.get() || of_servers());
    }
}

/// Whether some call with these tokens or scopes, or at these groups, may need it.
pub(super) fn of_endpoints(groups: &[Group], tokens: &[TokenHash], scopes: &[ScopeGrant]) -> bool {
    let of_tokens = tokens.iter().map(|token| token.access.approve);
    let of_scopes = scopes.iter().map(|scope| scope.access.approve);
    let mut modes = groups.iter().map(|group| group.approve).chain(of_tokens).chain(of_scopes);
    modes.any(|mode| mode != ApprovalMode::Never)
}
