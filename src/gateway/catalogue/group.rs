//! The catalogue of a server as a group shows it: rules of a group come after those of the server, and know its tools by the
//! names that the common endpoint shows.

use std::collections::HashMap;

use mcproxy_ipc::{ServerName, ToolRules};
use mcproxy_mcp::qualify_name;

use super::{
    ListKind, ServerCatalogue,
    entry::{Entry, lookup, permitted},
};

impl ServerCatalogue {
    /// The same as a group with these rules shows it. A new name that another tool of the server has already is not given: a tool
    /// under its old name is better than none.
    pub(crate) fn in_group(&self, server: &ServerName, rules: &ToolRules) -> Self {
        let qualified = |entry: &Entry| qualify_name(server.as_str(), &entry.shown);
        let kept: Vec<(&Entry, String)> = self
            .entries(ListKind::Tools)
            .iter()
            .map(|entry| (entry, qualified(entry)))
            .filter(|(_, name)| permitted(rules, name))
            .collect();
        let old: Vec<&str> = kept.iter().map(|(entry, _)| &*entry.shown).collect();
        let new: Vec<&str> =
            kept.iter().map(|(entry, name)| lookup(&rules.rename, name).unwrap_or(&entry.shown)).collect();
        let names = distinct(&old, new);
        let tools = kept.iter().zip(names).filter_map(|((entry, name), shown)| entry.in_group(name, shown, rules));
        self.with_tools(tools.collect())
    }
}

/// The new names, with the old one wherever two would have the same. The old ones are distinct.
fn distinct<'n>(old: &[&'n str], mut new: Vec<&'n str>) -> Vec<&'n str> {
    // A tool that keeps its old name may take it from another, so once is not enough; each round gives at least one back.
    loop {
        let mut uses: HashMap<&str, usize> = HashMap::with_capacity(new.len());
        new.iter().for_each(|name| *uses.entry(name).or_default() += 1);
        let clashes: Vec<usize> = (0..new.len()).filter(|&at| uses[new[at]] > 1 && new[at] != old[at]).collect();
        if clashes.is_empty() {
            return new;
        }
        clashes.into_iter().for_each(|at| new[at] = old[at]);
    }
}

/// The name that a tool of a server has at the common endpoint, without the server's, of what it is called in a group; `None`: the
/// group does not show it. For tools that are in no list.
pub(crate) fn name_before_group(server: &ServerName, shown: &str, rules: &ToolRules) -> Option<String> {
    let prefix = qualify_name(server.as_str(), "");
    let renamed = rules.rename.iter().filter(|(_, new)| new == shown).find_map(|(old, _)| old.strip_prefix(&*prefix));
    let own = match renamed {
        Some(own) => own,
        // It is known by its new name only.
        None if lookup(&rules.rename, &qualify_name(server.as_str(), shown)).is_some() => return None,
        None => shown,
    };
    permitted(rules, &qualify_name(server.as_str(), own)).then(|| own.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn server() -> ServerName {
        ServerName::try_from("s").expect("a name")
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    fn catalogue(tools: &[&str], of_server: &ToolRules) -> ServerCatalogue {
        let tools: Vec<_> = tools
            .iter()
            .map(|name| serde_json::json!({"name": name, "description": name, "inputSchema": {"type": "object"}}))
            .collect();
        let payload = serde_json::json!({"tools": tools, "capabilities": {"tools": {}}}).to_string();
        ServerCatalogue::read(&server(), payload.as_bytes(), of_server).expect("reads").0
    }

    fn shown(catalogue: &ServerCatalogue) -> Vec<(String, String)> {
        let tools = catalogue.entries(ListKind::Tools).iter();
        tools.map(|entry| (entry.shown.to_string(), entry.own().to_owned())).collect()
    }

    #[test]
    fn a_group_renames_and_leaves_out_what_the_server_shows() {
        let of_server = ToolRules { rename: pairs(&[("a", "one")]), ..ToolRules::default() };
        let rules = ToolRules {
            deny: vec!["s__b*".to_owned(), "t__c".to_owned()],
            rename: pairs(&[("s__one", "first"), ("t__c", "x")]),
            describe: pairs(&[("s__one", "The first")]),
            ..ToolRules::default()
        };
        let of_group = catalogue(&["a", "b1", "b2", "c"], &of_server).in_group(&server(), &rules);
        assert_eq!(shown(&of_group), pairs(&[("first", "a"), ("c", "c")]));
        let first = of_group.find(ListKind::Tools, "first").expect("is shown");
        assert_eq!(first.description().as_deref(), Some("The first"));
        assert!(first.text().contains(r#""name":"first""#), "{}", first.text());
        assert!(of_group.find(ListKind::Tools, "one").is_none());
    }

    #[test]
    fn tools_may_swap_their_names_and_none_is_lost_to_another_one() {
        let plain = ToolRules::default();
        let swap = ToolRules { rename: pairs(&[("s__a", "b"), ("s__b", "a")]), ..ToolRules::default() };
        assert_eq!(shown(&catalogue(&["a", "b"], &plain).in_group(&server(), &swap)), pairs(&[("b", "a"), ("a", "b")]));
        let chain = ToolRules { rename: pairs(&[("s__a", "b"), ("s__b", "c")]), ..ToolRules::default() };
        assert_eq!(
            shown(&catalogue(&["a", "b", "c"], &plain).in_group(&server(), &chain)),
            pairs(&[("a", "a"), ("b", "b"), ("c", "c")])
        );
    }

    #[test]
    fn a_tool_that_is_not_listed_never_gets_past_the_rules_of_a_group() {
        let rules = ToolRules {
            deny: vec!["s__rm".to_owned()],
            rename: pairs(&[("s__old", "new"), ("t__x", "y"), ("s__rm", "remove")]),
            ..ToolRules::default()
        };
        let name = |shown: &str| name_before_group(&server(), shown, &rules);
        assert_eq!(name("read").as_deref(), Some("read"));
        assert_eq!(name("new").as_deref(), Some("old"));
        assert_eq!(name("y").as_deref(), Some("y"), "another server's tool has that name");
        for kept in ["rm", "remove", "old"] {
            assert_eq!(name(kept), None, "{kept}");
        }
        let rules = ToolRules { allow: vec!["t__*".to_owned()], ..ToolRules::default() };
        assert_eq!(name_before_group(&server(), "read", &rules), None);
    }

    proptest! {
        #[test]
        fn names_stay_distinct_whatever_the_rules_say(picks in prop::collection::vec(0_usize..6, 6)) {
            let old = ["a", "b", "c", "d", "e", "f"];
            let names = distinct(&old, picks.iter().map(|&at| old[at]).collect());
            let mut sorted = names.clone();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(sorted.len(), old.len());
        }

        #[test]
        fn what_a_group_lists_is_what_its_rules_find_unlisted(
            rename in prop::collection::btree_map("s__[a-d]", "[a-f]", 0..4),
            deny in prop::collection::vec("s__[a-d]", 0..3),
        ) {
            let rules = ToolRules { deny, rename: rename.into_iter().collect(), ..ToolRules::default() };
            let of_group = catalogue(&["a", "b", "c", "d"], &ToolRules::default()).in_group(&server(), &rules);
            for (shown, own) in shown(&of_group) {
                prop_assert!(permitted(&rules, &qualify_name("s", &own)), "{shown} is {own}");
            }
        }
    }
}
