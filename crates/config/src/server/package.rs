//! The package that a command runs, for people who see `npx` in every line.

use mcproxy_ipc::package_runner::NPX_FLAGS_WITH_VALUE;

use crate::tree::{ConfigText, Node};

/// Flags of runners that are followed by a value of their own, besides [`NPX_FLAGS_WITH_VALUE`].
const WITH_VALUE: &[&str] = &[
    // npx
    "-c",
    "--call",
    // uvx, uv run, pipx
    "--with",
    "--with-editable",
    "--python",
    "--index",
    "--index-url",
    "--default-index",
    "--extra-index-url",
    "--directory",
    "--project",
    "--env-file",
    "--extra",
    "--group",
    "--refresh-package",
    "--cache-dir",
    "--spec",
    // docker, podman
    "-e",
    "--env",
    "-v",
    "--volume",
    "--mount",
    "--name",
    "--network",
    "--net",
    "-p",
    "--publish",
    "-u",
    "--user",
    "--entrypoint",
    "--workdir",
    "--label",
    "-l",
    "-m",
    "--memory",
    "--cpus",
    "--platform",
    "--pull",
    "--add-host",
    "-h",
    "--hostname",
    "--ulimit",
    "--cap-add",
    "--cap-drop",
    "--security-opt",
    "--tmpfs",
    "--device",
    "--gpus",
];
/// Flags whose value is the package.
const PACKAGE: &[&str] = &["-p", "--package", "--from"];

/// The package, script or image that a runner is told to run, as written. Arguments may be secret, so only what must be one
/// of these is taken, and nothing that came from the environment.
pub(super) fn of(node: &Node) -> Option<String> {
    let command = node.get("command")?.text()?;
    let args: Vec<&str> = node.get("args").map(Node::elements).unwrap_or_default().iter().map(written).collect();
    let program = command.written.rsplit(['/', '\\']).next().unwrap_or_default();
    let program = program.strip_suffix(".cmd").or_else(|| program.strip_suffix(".exe")).unwrap_or(program);
    run(program, &args).filter(|package| is_plain(package)).map(str::to_owned)
}

fn written(node: &Node) -> &str {
    node.text().map_or("", |text: &ConfigText| text.written.as_str())
}

fn run<'a>(program: &str, args: &[&'a str]) -> Option<&'a str> {
    match program {
        "npx" | "bunx" | "pnpx" | "uvx" => named(args, PACKAGE).or_else(|| first(args)),
        "npm" | "pnpm" | "yarn" => first(behind(args, &["exec", "dlx", "x"])?),
        "bun" => first(behind(args, &["x", "run"]).unwrap_or(args)),
        "uv" => first(behind(behind(args, &["tool"]).unwrap_or(args), &["run"])?),
        "pipx" => first(behind(args, &["run"])?),
        "docker" | "podman" => first(behind(behind(args, &["container"]).unwrap_or(args), &["run"])?),
        "deno" => first(behind(args, &["run"]).unwrap_or(args)),
        "node" | "tsx" | "ts-node" | "java" => named(args, &["-jar"]).or_else(|| first(args)),
        "cmd" => match args {
            ["/c" | "/C", program, rest @ ..] => run(program, rest),
            _ => None,
        },
        program if program.starts_with("python") => named(args, &["-m"]).or_else(|| first(args)),
        _ => None,
    }
}

/// The word after one of these words, which is the first that is no flag.
fn behind<'a, 'b>(args: &'b [&'a str], words: &[&str]) -> Option<&'b [&'a str]> {
    let at = position(args)?;
    words.contains(&args[at]).then(|| &args[at + 1..])
}

fn first<'a>(args: &[&'a str]) -> Option<&'a str> {
    Some(args[position(args)?])
}

/// Where the first argument is that is neither a flag nor the value of one.
fn position(args: &[&str]) -> Option<usize> {
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        match *arg {
            "--" => return (at + 1 < args.len()).then_some(at + 1),
            flag if NPX_FLAGS_WITH_VALUE.contains(&flag) || WITH_VALUE.contains(&flag) || PACKAGE.contains(&flag) => {
                at += 2
            }
            flag if flag.starts_with('-') => at += 1,
            _ => return Some(at),
        }
    }
    None
}

/// The value of a flag that stands before everything else.
fn named<'a>(args: &[&'a str], flags: &[&str]) -> Option<&'a str> {
    let before = position(args).unwrap_or(args.len());
    let at = args[..before].iter().position(|arg| flags.contains(arg))?;
    args.get(at + 1).copied()
}

/// A package, a path or an image, and neither a text nor a reference.
fn is_plain(text: &str) -> bool {
    let fits = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '@' | '/' | '.' | '_' | '-' | ':' | '+' | '~' | '=' | '[' | ']')
    };
    !text.is_empty() && text.len() <= 200 && text.chars().all(fits) && !text.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_found_behind_every_runner() {
        let cases: &[(&str, &[&str], Option<&str>)] = &[
            ("npx", &["-y", "@playwright/mcp@latest", "--headless"], Some("@playwright/mcp@latest")),
            ("npx", &["-y", "--package", "pkg", "bin"], Some("pkg")),
            ("npx", &["--registry", "https://x", "pkg"], Some("pkg")),
            ("uvx", &["--from", "git+x@1", "tool"], Some("git+x@1")),
            ("uvx", &["--python", "3.12", "mcp-server-time"], Some("mcp-server-time")),
            ("uv", &["--directory", "/srv/weather", "run", "weather.py"], Some("weather.py")),
            ("uv", &["tool", "run", "x"], Some("x")),
            ("pnpm", &["dlx", "x"], Some("x")),
            ("npm", &["install"], None),
            ("docker", &["run", "-i", "--rm", "-e", "TOKEN", "ghcr.io/a/b:1"], Some("ghcr.io/a/b:1")),
            ("node", &["--enable-source-maps", "dist/index.js", "secret"], Some("dist/index.js")),
            ("python3", &["-m", "mcp_server", "x"], Some("mcp_server")),
            ("cmd", &["/c", "npx", "-y", "x"], Some("x")),
            ("my-server", &["secret"], None),
            ("npx", &["-y"], None),
            ("npx", &[], None),
        ];
        for (program, args, expected) in cases {
            assert_eq!(run(program, args), *expected, "{program} {args:?}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for text in ["${TOKEN}", "postgresql://me:pw@host/db", "a b", ""] {
            assert!(!is_plain(text), "{text}");
        }
    }
}
