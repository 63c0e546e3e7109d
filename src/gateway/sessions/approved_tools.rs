//! The tools that the user of a session has agreed to until it ends.

use std::cell::RefCell;

use mcproxy_ipc::ServerName;

/// The most of them; the oldest is asked for again.
const MAX_APPROVED: usize = 256;

/// One of them, as it was defined then.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ApprovedTool {
    server: ServerName,
    tool: Box<str>,
    definition: [u8; 32],
}

/// All of them, oldest first.
#[derive(Default)]
pub(crate) struct ApprovedTools(RefCell<Vec<ApprovedTool>>);

impl ApprovedTools {
    /// Its calls are made from now on, as long as it is defined like this.
    pub(crate) fn add(&self, server: &ServerName, tool: &str, definition: [u8; 32]) {
        let mut all = self.0.borrow_mut();
        let one = ApprovedTool { server: server.clone(), tool: tool.into(), definition };
        all.retain(|other| *other != one);
        if all.len() == MAX_APPROVED {
            all.remove(0);
        }
        all.push(one);
    }

    /// Whether they are.
    pub(crate) fn has(&self, server: &ServerName, tool: &str, definition: [u8; 32]) -> bool {
        let is_it = |one: &ApprovedTool| one.server == *server && *one.tool == *tool && one.definition == definition;
        self.0.borrow().iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_agreed_to_as_it_is_and_the_oldest_makes_room() {
        let approved = ApprovedTools::default();
        let server = ServerName::try_from("s").expect("a name");
        for n in 0..=MAX_APPROVED {
            approved.add(&server, &n.to_string(), [1; 32]);
        }
        assert!(approved.has(&server, "1", [1; 32]) && !approved.has(&server, "1", [2; 32]));
        assert!(!approved.has(&server, "0", [1; 32]));
        let other = ServerName::try_from("r").expect("a name");
        assert!(!approved.has(&other, "1", [1; 32]));
    }
}
