//! Tools and prompts that a server has not listed: it may know them all the same, and what it answers decides.

use mcproxy_ipc::ToolRules;

use super::{
    ListKind,
    entry::{check_name, lookup, permitted},
};

/// The server's name for what clients call `shown`, within the tool rules; `None`: they keep it from clients, or nothing can
/// be called that.
pub(crate) fn unlisted_name(kind: ListKind, shown: &str, rules: &ToolRules) -> Option<String> {
    check_name(kind, shown).ok()?;
    if kind != ListKind::Tools {
        return Some(shown.to_owned());
    }
    let own = match rules.rename.iter().find(|(_, new)| new == shown) {
        Some((own, _)) => own,
        // It is known by its new name only.
        None if lookup(&rules.rename, shown).is_some() => return None,
        None => shown,
    };
    permitted(rules, own).then(|| own.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(rules: &ToolRules, shown: &str) -> Option<String> {
        unlisted_name(ListKind::Tools, shown, rules)
    }

    #[test]
    fn a_tool_that_is_not_listed_never_gets_past_the_rules() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let rename = vec![("old".to_owned(), "new".to_owned()), ("rm".to_owned(), "remove".to_owned())];
        let rules = ToolRules { deny: texts(&["rm", "drop_*"]), rename, ..ToolRules::default() };
        assert_eq!(names(&rules, "read").as_deref(), Some("read"));
        assert_eq!(names(&rules, "new").as_deref(), Some("old"));
        for kept in ["rm", "remove", "drop_table", "old", "", "a\u{200b}b"] {
            assert_eq!(names(&rules, kept), None, "{kept:?}");
        }
        let rules = ToolRules { allow: texts(&["read*"]), ..ToolRules::default() };
        assert_eq!(names(&rules, "read_more").as_deref(), Some("read_more"));
        assert_eq!(names(&rules, "write"), None);
        assert_eq!(unlisted_name(ListKind::Prompts, "write", &rules).as_deref(), Some("write"), "rules are of tools");
    }
}
