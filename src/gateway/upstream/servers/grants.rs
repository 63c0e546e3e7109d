//! Who may use what, and the catalogues of servers as far as they may be used.

use std::{collections::HashMap, rc::Rc, sync::Arc};

use mcproxy_ipc::{
    ApprovalMode, ServerName,
    control::{Group, OAuthSettings, ScopeGrant, TokenHash, ToolView},
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

/// The rights of one principal, or of those whose tokens have the same scopes.
#[derive(Debug, Clone)]
struct Holder {
    grant: GrantId,
    view: ToolView,
    approve: ApprovalMode,
    /// Those that its token names.
    groups: Rc<[String]>,
}

/// What a scope is worth.
struct KnownScope {
    name: Box<str>,
    grant: Grant,
    approve: ApprovalMode,
    groups: Vec<String>,
}

/// Most sets of scopes that tokens have at once: each is one more view of all servers.
const MOST_SCOPE_SETS: usize = 1024;

/// The rights of all principals. Equal ones are there once.
pub(super) struct Grants {
    holders: HashMap<Box<str>, Holder>,
    /// What each scope is worth; `None`: a principal with scopes may use nothing, because no such tokens are accepted.
    scopes: Option<Vec<KnownScope>>,
    /// By the sets of scopes that tokens have.
    sets: HashMap<Box<str>, Holder>,
    /// By their number.
    grants: Vec<Grant>,
    shown: DerivedCatalogues<GrantId>,
}

impl Grants {
    /// Those of tokens, where there are these groups.
    pub(super) fn new(
        tokens: &[TokenHash],
        oauth: Option<&OAuthSettings>,
        groups: &[Group],
        builtin: &ServerName,
    ) -> Self {
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
        let scope = |of: &ScopeGrant| KnownScope {
            name: of.scope.as_str().into(),
            grant: Grant::of(&of.access, groups, builtin),
            approve: of.access.approve,
            groups: of.access.groups.clone().unwrap_or_default(),
        };
        let scopes = oauth.map(|oauth| oauth.scopes.iter().map(scope).collect());
        Self { holders, scopes, sets: HashMap::new(), grants, shown: DerivedCatalogues::default() }
    }

    /// Learns the scopes of principals, whose rights are their sum; `false`: there are too many sets of them.
    pub(super) fn learn(&mut self, scopes: &str) -> bool {
        if self.sets.contains_key(scopes) {
            return true;
        }
        if self.sets.len() >= MOST_SCOPE_SETS {
            return false;
        }
        let has = |scope: &&KnownScope| scopes.split_whitespace().any(|one| one == &*scope.name);
        let named: Vec<&KnownScope> = self.scopes.iter().flatten().filter(has).collect();
        let grant = match &self.scopes {
            None => Grant::Nothing,
            Some(all) if all.is_empty() => Grant::Everything,
            Some(_) => Grant::sum(named.iter().map(|scope| scope.grant.clone())),
        };
        let approve = named.iter().map(|scope| scope.approve).max().unwrap_or_default();
        let groups = named.iter().flat_map(|scope| &scope.groups).cloned().collect();
        let number = self.grants.iter().position(|known| *known == grant).unwrap_or_else(|| {
            self.grants.push(grant);
            self.grants.len() - 1
        });
        let holder = Holder { grant: GrantId(number), view: ToolView::default(), approve, groups };
        self.sets.insert(scopes.into(), holder);
        true
    }

    /// The sets of scopes that were learnt.
    pub(super) fn learnt(&self) -> Vec<Box<str>> {
        self.sets.keys().cloned().collect()
    }

    /// The number of a principal's grant. One without a name may use all that it gets to; what has a name needs a token of it.
    pub(super) fn of(&self, holder: &Principal) -> GrantId {
        match holder.is_anonymous() {
            true => GrantId::EVERYTHING,
            false => self.holder(holder).map_or(GrantId::NOTHING, |holder| holder.grant),
        }
    }

    /// How endpoints that list tools offer them to a principal.
    pub(super) fn view_of(&self, holder: &Principal) -> ToolView {
        self.holder(holder).map(|holder| holder.view).unwrap_or_default()
    }

    /// What is known of a principal that has a token.
    fn holder(&self, of: &Principal) -> Option<&Holder> {
        match of.scopes() {
            Some(scopes) => self.sets.get(scopes),
            None => self.holders.get(of.name()?),
        }
    }

    /// Which calls of a principal need the agreement of a person by its token, and the groups that say so, too.
    pub(super) fn approval_of(&self, holder: &Principal) -> (ApprovalMode, Rc<[String]>) {
        self.holder(holder)
            .map_or_else(|| (ApprovalMode::Never, Rc::default()), |holder| (holder.approve, holder.groups.clone()))
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
        let grants = Grants::new(&tokens, None, &[], &builtin);
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

    #[test]
    fn the_strictest_scope_says_which_calls_wait_and_its_groups_do_as_those_of_a_token() {
        let builtin = ServerName::try_from("mcproxy").expect("a name");
        let scope = |scope: &str, approve, group: Option<&str>| {
            let groups = group.map(|group| vec![group.to_owned()]);
            ScopeGrant { scope: scope.to_owned(), access: TokenAccess { groups, approve, ..TokenAccess::default() } }
        };
        let scopes = vec![
            scope("read", ApprovalMode::Never, None),
            scope("write", ApprovalMode::Destructive, Some("careful")),
            scope("admin", ApprovalMode::Always, None),
        ];
        let oauth = OAuthSettings {
            public_url: String::new(),
            issuers: Vec::new(),
            audiences: Vec::new(),
            scopes,
            initial_scopes: Vec::new(),
            principal_claim: "sub".to_owned(),
        };
        let mut grants = Grants::new(&[token("ann", None)], Some(&oauth), &[], &builtin);
        for (named, wanted, groups) in [
            ("read", ApprovalMode::Never, 0),
            ("read write", ApprovalMode::Destructive, 1),
            ("write admin", ApprovalMode::Always, 1),
        ] {
            assert!(grants.learn(named));
            let (approve, of_groups) = grants.approval_of(&Principal::with_scopes("ann", named));
            assert_eq!((approve, of_groups.len()), (wanted, groups), "{named}");
        }
    }

    #[test]
    fn scopes_add_up_and_the_name_of_a_token_is_no_way_around_them() {
        let builtin = ServerName::try_from("mcproxy").expect("a name");
        let name = |name: &str| ServerName::try_from(name).expect("a name");
        let scope = |scope: &str, access| ScopeGrant { scope: scope.to_owned(), access };
        let of_server = |server| TokenAccess { servers: Some(vec![name(server)]), ..TokenAccess::default() };
        let of_tool = TokenAccess { tools: Some(vec!["b__x".to_owned()]), ..TokenAccess::default() };
        let oauth = OAuthSettings {
            public_url: String::new(),
            issuers: Vec::new(),
            audiences: Vec::new(),
            scopes: vec![scope("a", of_server("a")), scope("bx", of_tool), scope("all", TokenAccess::default())],
            initial_scopes: Vec::new(),
            principal_claim: "sub".to_owned(),
        };
        let mut grants = Grants::new(&[token("ann", None)], Some(&oauth), &[], &builtin);
        let ann = |scopes| Principal::with_scopes("ann", scopes);
        assert_eq!(grants.extent(&ann("a bx"), &name("a")), Extent::Nothing, "nobody has shown such a token");
        assert!(["a", "a bx", "all a", "a bx"].into_iter().all(|scopes| grants.learn(scopes)));
        let extents = |scopes| ["a", "b"].map(|server| grants.extent(&ann(scopes), &name(server)));
        assert_eq!(extents("a"), [Extent::Everything, Extent::Nothing]);
        assert_eq!(extents("a bx"), [Extent::Everything, Extent::Tools]);
        let both = grants.get(grants.of(&ann("a bx")));
        assert!(both.permits(&name("a"), "a__any") && both.permits(&name("b"), "b__x"));
        assert!(!both.permits(&name("b"), "b__y"), "the rules of one scope are not those of another");
        assert_eq!(grants.of(&ann("all a")), GrantId::EVERYTHING);
        let mut closed = Grants::new(&[token("ann", None)], None, &[], &builtin);
        assert!(closed.learn("all") && closed.of(&ann("all")) == GrantId::NOTHING);
        assert!((0..2 * MOST_SCOPE_SETS).filter(|number| closed.learn(&number.to_string())).count() < MOST_SCOPE_SETS);
    }
}
