//! Which processes install packages. Told by the command line, because all these programs start others and are started by
//! others: a shell, `env`, a wrapper script.

/// The work that a process does when it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PackageRunner {
    /// It downloads packages and unpacks them.
    Installer,
    /// It has another process fetch an image, and reads how that goes.
    Engine,
}

impl PackageRunner {
    /// The kind of this command line, if it is of either.
    pub(super) fn of(arguments: &[Vec<u8>]) -> Option<Self> {
        let words: Vec<&str> = arguments.iter().filter_map(|word| std::str::from_utf8(word).ok()).collect();
        // Node programs set a title, which replaces all words: `npm exec @modelcontextprotocol/server-everything`.
        let first = words.first()?.split(' ').next()?;
        let name = base(first);
        if let Some(found) = Self::named(name) {
            return Some(found);
        }
        if !is_interpreter(name) {
            return None;
        }
        let script = match words.get(1..)? {
            ["-m", module, ..] => module,
            rest => rest.iter().find(|word| !word.starts_with('-'))?,
        };
        Self::named(base(script))
    }

    fn named(name: &str) -> Option<Self> {
        let name = [".js", ".cjs", ".mjs", ".py", ".exe"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        match name {
            "npx" | "npm" | "npx-cli" | "npm-cli" | "pnpm" | "pnpx" | "yarn" | "yarnpkg" | "corepack" | "bun"
            | "bunx" | "deno" | "uv" | "uvx" | "pip" | "pip3" | "pipx" | "poetry" | "pdm" | "hatch" | "rye"
            | "cargo" | "go" | "dnx" | "dotnet" | "jbang" | "mvn" | "gem" | "bundle" | "nix" => Some(Self::Installer),
            "docker" | "podman" | "nerdctl" => Some(Self::Engine),
            _ => None,
        }
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_interpreter(name: &str) -> bool {
    matches!(name, "node" | "nodejs" | "sh" | "bash" | "dash" | "zsh" | "env" | "ruby" | "php")
        || name.starts_with("python")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Option<PackageRunner> {
        PackageRunner::of(&words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())
    }

    #[test]
    fn runners_are_told_by_their_command_lines_whatever_starts_them() {
        for words in [
            &["npx", "-y", "x"][..],
            &["node", "/usr/bin/npx", "-y", "x"],
            &["npm exec @modelcontextprotocol/server-everything"],
            &["/bin/sh", "/opt/bin/npx", "-y", "x"],
            &["uvx", "mcp-server-time"],
            &["/home/a/.local/bin/uv", "tool", "uvx", "x"],
            &["python3", "-m", "pip", "install", "x"],
            &["/usr/bin/python3.12", "/usr/bin/pipx", "run", "x"],
            &["node", "--no-warnings", "/usr/lib/node_modules/pnpm/bin/pnpm.cjs", "dlx", "x"],
            &["bun", "add", "x"],
        ] {
            assert_eq!(of(words), Some(PackageRunner::Installer), "{words:?}");
        }
        assert_eq!(of(&["docker", "run", "-i", "x"]), Some(PackageRunner::Engine));
        for words in
            [&["node", "/x/server.js"][..], &["python3", "-m", "mcp_server_time"], &["sh", "-c", "mcp-x"], &[""], &[]]
        {
            assert_eq!(of(words), None, "{words:?}");
        }
    }
}
