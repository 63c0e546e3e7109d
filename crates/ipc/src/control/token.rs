//! Tokens of clients, as the gateway knows them, and what each may use.

use std::{fmt, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::ToolView;
use crate::{ApprovalMode, RateLimit, ServerName};

/// A bearer token, as the gateway knows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenHash {
    /// The principal: who it belongs to. Several tokens may have one name.
    pub name: String,
    /// SHA-256 of the token; compare in constant time.
    pub sha256: [u8; 32],
    /// From then on it is not accepted.
    pub expires: Option<SystemTime>,
    /// What its holder may use. Tokens of one name have the same.
    pub access: TokenAccess,
    /// How often its holder may send requests. The same.
    pub rate: Option<RateLimit>,
    /// Whether its holder may do on the web page what an operator may. The same.
    pub may_administer: bool,
}

impl TokenHash {
    /// Whether it is the same token of the same principal, whatever that may use.
    pub fn is(&self, other: &Self) -> bool {
        self.name == other.name && self.sha256 == other.sha256
    }

    /// Whether it is over.
    pub fn has_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenHash").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A token, as operators are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenStatus {
    /// The principal.
    pub name: String,
    /// The first bytes of its hash, to tell tokens of one name apart.
    pub sha256: [u8; 4],
    /// From then on it is not accepted.
    pub expires: Option<SystemTime>,
    /// What its holder may use.
    pub access: TokenAccess,
    /// When it was last used since the supervisor runs, in seconds since the Unix epoch.
    pub last_used: Option<u64>,
}

/// What the holder of a token may use; by default everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TokenAccess {
    /// These servers; `None`: this rules none out.
    pub servers: Option<Vec<ServerName>>,
    /// What these groups show, as well.
    pub groups: Option<Vec<String>>,
    /// Of the tools, those that fit one of these patterns (`{server}__{tool}`).
    pub tools: Option<Vec<String>>,
    /// How endpoints that list tools offer them to it.
    pub view: ToolView,
    /// Which of its calls need the agreement of a person.
    pub approve: ApprovalMode,
}

impl TokenAccess {
    /// Whether it rules nothing out.
    pub fn is_unlimited(&self) -> bool {
        self.servers.is_none() && self.groups.is_none() && self.tools.is_none()
    }

    /// Whether all that `earlier` allowed is still allowed, in the same way. It may say no where only a closer look would say yes.
    pub fn still_allows(&self, earlier: &Self) -> bool {
        fn all_of<T: PartialEq>(earlier: Option<&Vec<T>>, now: Option<&Vec<T>>) -> bool {
            earlier.into_iter().flatten().all(|one| now.into_iter().flatten().any(|other| other == one))
        }
        let names_servers = |access: &Self| access.servers.is_some() || access.groups.is_some();
        let servers = match (names_servers(earlier), names_servers(self)) {
            (_, false) if self.tools.is_none() => true,
            (true, true) => {
                all_of(earlier.servers.as_ref(), self.servers.as_ref())
                    && all_of(earlier.groups.as_ref(), self.groups.as_ref())
            }
            // Without servers, a list of tools reaches tools alone.
            (earlier_names, now_names) => !earlier_names && !now_names && earlier.tools.is_some(),
        };
        let tools =
            self.tools.is_none() || (earlier.tools.is_some() && all_of(earlier.tools.as_ref(), self.tools.as_ref()));
        servers && tools && self.view == earlier.view
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn printing_a_token_shows_its_name_only() {
        let token = TokenHash {
            name: "laptop".into(),
            sha256: [7; 32],
            expires: None,
            access: TokenAccess::default(),
            rate: None,
            may_administer: false,
        };
        assert_eq!(format!("{token:?}"), "TokenHash { name: \"laptop\", .. }");
    }

    fn access(servers: Option<&[&str]>, groups: Option<&[&str]>, tools: Option<&[&str]>) -> TokenAccess {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let names = |names: &[&str]| names.iter().map(|name| (*name).try_into().expect("a name")).collect();
        TokenAccess {
            servers: servers.map(names),
            groups: groups.map(texts),
            tools: tools.map(texts),
            ..TokenAccess::default()
        }
    }

    #[test]
    fn more_of_the_same_still_allows_what_there_was_and_less_does_not() {
        let all = TokenAccess::default();
        let a = access(Some(&["a"]), None, None);
        let ab = access(Some(&["a", "b"]), None, None);
        let group = access(None, Some(&["g"]), None);
        let both = access(Some(&["a"]), Some(&["g"]), None);
        let tool = access(None, None, Some(&["a__x"]));
        let tools = access(None, None, Some(&["a__x", "a__y"]));
        let tool_of_a = access(Some(&["a"]), None, Some(&["a__x"]));
        for (now, earlier) in
            [(&all, &a), (&all, &tool), (&ab, &a), (&both, &a), (&both, &group), (&tools, &tool), (&a, &tool_of_a)]
        {
            assert!(now.still_allows(earlier), "{now:?} after {earlier:?}");
        }
        for (now, earlier) in [
            (&a, &all),
            (&tool, &all),
            (&a, &ab),
            (&group, &a),
            (&tool, &tools),
            (&tool_of_a, &a),
            (&a, &tool),
            (&tool, &tool_of_a),
        ] {
            assert!(!now.still_allows(earlier), "{now:?} after {earlier:?}");
        }
        let found = TokenAccess { view: ToolView::Search, ..a.clone() };
        assert!(!found.still_allows(&a), "its tools have other names now");
    }

    proptest! {
        #[test]
        fn whatever_it_allows_it_still_allows(
            servers in prop::option::of(prop::collection::vec("[a-c]", 0..3)),
            groups in prop::option::of(prop::collection::vec("[a-c]", 0..3)),
            tools in prop::option::of(prop::collection::vec("[a-c]__[x*]", 0..3)),
        ) {
            let servers = servers.map(|names| names.iter().map(|name| name.as_str().try_into().expect("a name")).collect());
            let access = TokenAccess { servers, groups, tools, ..TokenAccess::default() };
            prop_assert!(access.still_allows(&access));
            prop_assert!(TokenAccess::default().still_allows(&access));
        }
    }
}
