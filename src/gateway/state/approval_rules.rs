//! The answers that are kept until somebody forgets them. The supervisor has them; this is what it said last, and what it was told since.

use std::cell::RefCell;

use mcproxy_ipc::{ApprovalRule, ServerName};

use crate::gateway::base::principal::Principal;

/// The rules.
#[derive(Default)]
pub(crate) struct ApprovalRules(RefCell<Vec<ApprovalRule>>);

impl ApprovalRules {
    /// These are all.
    pub(crate) fn set(&self, rules: Vec<ApprovalRule>) {
        self.0.replace(rules);
    }

    /// One more, until the supervisor says which there are.
    pub(crate) fn add(&self, rule: ApprovalRule) {
        self.0.borrow_mut().push(rule);
    }

    /// The name of the rule by which a principal's calls of a tool are made, as long as it is defined like this.
    pub(crate) fn of(
        &self,
        principal: &Principal,
        server: &ServerName,
        tool: &str,
        definition: &[u8; 32],
    ) -> Option<String> {
        let fits = |rule: &&ApprovalRule| {
            rule.definition == *definition
                && rule.tool == tool
                && rule.server == *server
                && rule.principal.as_deref() == principal.name()
        };
        self.0.borrow().iter().find(fits).map(|rule| rule.id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_for_one_principal_and_one_definition_of_one_tool() {
        let server = |name: &str| ServerName::try_from(name).expect("a name");
        let rule = ApprovalRule {
            id: "1".into(),
            at_ms: 0,
            by: "user".into(),
            principal: Some("ann".into()),
            server: server("s"),
            tool: "t".into(),
            definition: [1; 32],
        };
        let rules = ApprovalRules::default();
        rules.add(rule);
        let of =
            |who, name: &str, tool, definition| rules.of(&Principal::of(who), &server(name), tool, &[definition; 32]);
        assert_eq!(of(Some("ann"), "s", "t", 1).as_deref(), Some("1"));
        for (who, name, tool, definition) in [
            (Some("bob"), "s", "t", 1),
            (None, "s", "t", 1),
            (Some("ann"), "r", "t", 1),
            (Some("ann"), "s", "u", 1),
            (Some("ann"), "s", "t", 2),
        ] {
            assert_eq!(of(who, name, tool, definition), None);
        }
        rules.set(Vec::new());
        assert_eq!(of(Some("ann"), "s", "t", 1), None);
    }
}
