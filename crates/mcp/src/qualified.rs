//! Names that are unique across servers: `{server}__{name}` for tools and prompts, `{server}+{id}` for tasks.
//! A server name holds no `__`, no `+` and no `_` at its ends, so each splits one way only.

/// Between server and name.
const NAME_SEPARATOR: &str = "__";
/// Between server and a task's id.
const TASK_SEPARATOR: char = '+';

/// The name at the common endpoint of a server's tool or prompt.
pub fn qualify_name(server: &str, name: &str) -> String {
    [server, NAME_SEPARATOR, name].concat()
}

/// Server and own name of a qualified name.
pub fn split_name(qualified: &str) -> Option<(&str, &str)> {
    qualified.split_once(NAME_SEPARATOR).filter(|(server, name)| !server.is_empty() && !name.is_empty())
}

/// The id at the common endpoint of a server's task.
pub fn qualify_task(server: &str, id: &str) -> String {
    format!("{server}{TASK_SEPARATOR}{id}")
}

/// Server and own id of a qualified id.
pub fn split_task(qualified: &str) -> Option<(&str, &str)> {
    qualified.split_once(TASK_SEPARATOR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_qualified_splits_back(server in "[a-z0-9-]{1,8}(_[a-z]{1,4})?", rest in "\\PC{1,20}") {
            let name = qualify_name(&server, &rest);
            // A tool that begins with `_` still splits at the first separator's own place.
            let (left, right) = split_name(&name).expect("splits");
            prop_assert_eq!(left, server.as_str());
            prop_assert_eq!(right, rest.as_str());
            let task = qualify_task(&server, &rest);
            prop_assert_eq!(split_task(&task), Some((server.as_str(), rest.as_str())));
        }
    }

    #[test]
    fn a_plain_name_has_no_server() {
        assert_eq!(split_name("plain"), None);
    }
}
