//! A server to begin with, where no client has any. Pure but for a look at PATH.

use std::path::Path;

use mcproxy_config::Json;

/// A server that needs nothing but its runner.
pub(super) struct Starter {
    pub(super) name: &'static str,
    command: &'static str,
    args: &'static [&'static str],
}

/// One for each runner, the smaller first.
const STARTERS: [Starter; 2] = [
    Starter { name: "time", command: "uvx", args: &["mcp-server-time"] },
    Starter { name: "everything", command: "npx", args: &["-y", "@modelcontextprotocol/server-everything"] },
];

impl Starter {
    /// The entry for it.
    pub(super) fn entry(&self) -> Json {
        let command = ("command".to_owned(), Json::Text(self.command.to_owned()));
        Json::Object(vec![command, ("args".to_owned(), Json::texts(self.args.iter().copied()))])
    }

    /// The command line.
    pub(super) fn words(&self) -> String {
        format!("{} {}", self.command, self.args.join(" "))
    }
}

/// The first whose runner is here.
pub(super) fn starter() -> Option<&'static Starter> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_here = |command: &str| std::env::split_paths(&path).any(|dir| is_program(&dir.join(command)));
    STARTERS.iter().find(|starter| is_here(starter.command))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
