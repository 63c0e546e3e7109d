//! Who may use what, and the catalogues of servers as far as they may be used.

use std::{collections::HashMap, rc::Rc, sync::Arc};

use mcproxy_ipc::{
    ApprovalMode, ServerName,
    control::{Group, TokenHash, ToolView},
};

use super::derived_catalogues::DerivedCatalogues;
use crate::gateway::{
    base::principal::Principal,
    catalogue::{Extent, Grant, ServerCatalogue},
};

/// The number of a grant: principals with the same one are shown the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct GrantId(usize);

impl GrantId {
    /// Of those who may use everything.
    pub(super) const EVERYTHING: Self = Self(0);
    /// Of a name that no token has any more.
    const NOTHING: Self = Self(1);

    #[cfg(test)]
    pub(super) fn numbered(number: usize) -> Self {
        Self(number)
    }
}

/// The rights of one principal.
#[derive(Debug, Clone)]
struct Holder {
    grant: GrantId,
    view: ToolView,
    approve: ApprovalMode,
    /// Those that its token names.
    groups: Rc<[String]>,
}

/// The rights of all principals. Equal ones are there once.
pub(super) struct Grants {
    holders: HashMap<Box<str>, Holder>,
    /// By their number.
    grants: Vec<Grant>,
    shown: DerivedCatalogues<GrantId>,
}

impl Grants {
    /// Those of tokens, where there are these groups.
    pub(super) fn new(tokens: &[TokenHash], groups: &[Group], builtin: &ServerName) -> Self {
        let mut grants = vec![Grant::Everything, Grant::Nothing];
        let mut holders = HashMap::with_capacity(tokens.len());
        for token in tokens {
            let grant = Grant::of(&token.access, groups, builtin);
            let number = grants.iter().position(|known| *known == grant).unwrap_or_else(|| {
                grants.push(grant);
                grants.len() - 1
            });
            let holder = Holder {
                grant: GrantId(number),
                view: token.access.view,
                approve: token.access.approve,
                groups: token.access.groups.as_deref().unwrap_or_default().into(),
            };
            holders.insert(token.name.as_str().into(), holder);
        }
        Self { holders, grants, shown: DerivedCatalogues::default() }
    }

    /// The number of a principal's grant. One without a name may use all that it gets to; what has a name needs a token of it.
    pub(super) fn of(&self, holder: &Principal) -> GrantId {
        match holder.name() {
            None => GrantId::EVERYTHING,
            Some(name) => self.holders.get(name).map_or(GrantId::NOTHING, |holder| holder.grant),
        }
    }

    /// How endpoints that list tools offer them to a principal.
    pub(super) fn view_of(&self, holder: &Principal) -> ToolView {
        holder.name().and_then(|name| self.holders.get(name)).map(|holder| holder.view).unwrap_or_default()
    }

    /// Which calls of a principal need the agreement of a person by its token, and the groups that say so, too.
    pub(super) fn approval_of(&self, holder: &Principal) -> (ApprovalMode, Rc<[String]>) {
        let holder = holder.name().and_then(|name| self.holders.get(name));
        holder.map_or_else(|| (ApprovalMode::Never, Rc::default()), |holder| (holder.approve, holder.groups.clone()))
    }

    pub(super) fn get(&self, grant: GrantId) -> &Grant {
        self.grants.get(grant.0).unwrap_or(&Grant::Nothing)
    }

    pub(super) fn extent(&self, holder: &Principal, server: &ServerName) -> Extent {
        self.get(self.of(holder)).extent(server)
    }

    /// The part of a server's offer that a grant includes. `own`: it is that of a single session, and not worth keeping.
    pub(super) fn shown(
        &mut self,
        grant: GrantId,
        server: &ServerName,
        offered: &Arc<ServerCatalogue>,
        own: bool,
    ) -> Arc<ServerCatalogue> {
        let of = self.grants.get(grant.0).unwrap_or(&Grant::Nothing);
        let derive = || of.of_catalogue(server, offered);
        match of {
            Grant::Everything => offered.clone(),
            _ if own => derive(),
            _ => self.shown.get(grant, server, offered, derive),
        }
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::control::TokenAccess;

    use super::*;

    fn token(name: &str, servers: Option<&[&str]>) -> TokenHash {
        let names = |names: &[&str]| names.iter().map(|name| (*name).try_into().expect("a name")).collect();
        let access = TokenAccess { servers: servers.map(names), ..TokenAccess::default() };
        TokenHash { name: name.to_owned(), sha256: [0; 32], expires: None, access, rate: None, may_administer: false }
    }

    #[test]
    fn equal_rights_have_one_number_and_a_name_without_a_token_has_none() {
        let builtin = ServerName::try_from("mcproxy").expect("a name");
        let tokens =
            [token("all", None), token("ann", Some(&["a"])), token("bob", Some(&["a"])), token("eve", Some(&[]))];
        let grants = Grants::new(&tokens, &[], &builtin);
        let of = |name| grants.of(&Principal::of(name));
        assert_eq!([of(None), of(Some("all"))], [GrantId::EVERYTHING; 2]);
        assert_eq!(of(Some("ann")), of(Some("bob")));
        assert_ne!(of(Some("ann")), of(Some("eve")));
        assert_eq!(of(Some("gone")), GrantId::NOTHING);
        assert_eq!(grants.extent(&Principal::of(Some("gone")), &builtin), Extent::Nothing);
        let a = ServerName::try_from("a").expect("a name");
        assert_eq!(grants.extent(&Principal::of(Some("ann")), &a), Extent::Everything);
        assert_eq!(grants.extent(&Principal::of(Some("eve")), &a), Extent::Nothing);
    }
}
