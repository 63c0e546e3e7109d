//! The line of a server's stderr that says best why it ended.

use std::borrow::Cow;

/// The line that tells most, without colours. `None` when there is nothing but noise.
pub(super) fn error_line(text: &str) -> Option<String> {
    let lines: Vec<Cow<'_, str>> = text.lines().map(without_colours).collect();
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    let ranked = lines.iter().enumerate().filter_map(|(at, line)| Some((rank(&lines, at)?, *line)));
    // Of equals the last one; of an npm block the first, which is why its other lines rank lower.
    let (_, line) = ranked.max_by_key(|(rank, _)| *rank)?;
    Some(bare(line).to_owned())
}

/// Whether a line says by its form that it is an error.
pub(super) fn is_error(line: &str) -> bool {
    names_an_error(line) || is_marked(line)
}

/// How much a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Line,
    Usage,
    Complaint,
    /// The cause of an error, set in below it.
    Inner,
    Error,
}

fn rank(lines: &[&str], at: usize) -> Option<Rank> {
    let line = lines[at];
    let words = bare(line);
    match () {
        () if is_noise(words) => None,
        () if ends_traceback(lines, at) || follows_panic(lines, at) => Some(Rank::Error),
        () if npm(line).is_some() => npm_rank(lines, at),
        () if is_error(words) && line.starts_with([' ', '\t']) => Some(Rank::Inner),
        () if is_error(words) => Some(Rank::Error),
        () if complains(words) => Some(Rank::Complaint),
        () if starts_with(words, "usage:") => Some(Rank::Usage),
        () => Some(Rank::Line),
    }
}

/// The text in a frame of lines (uv, Python's groups of exceptions) without that frame.
fn bare(line: &str) -> &str {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || "|+│╰╭─▶×✗✘❌".contains(c)).trim_end();
    npm(line).unwrap_or(line)
}

/// The text of npm in a line of an error.
fn npm(line: &str) -> Option<&str> {
    line.strip_prefix("npm ERR!").or_else(|| line.strip_prefix("npm error")).map(str::trim_start)
}

/// The first line of a block that is more than a code tells; the rest is advice.
fn npm_rank(lines: &[&str], at: usize) -> Option<Rank> {
    const FACTS: [&str; 9] = ["code", "syscall", "path", "errno", "dest", "signal", "command", "cwd", "A complete log"];
    let tells = |line: &str| {
        npm(line).is_some_and(|said| {
            let said = said.strip_prefix("404").unwrap_or(said).trim();
            !said.is_empty() && !FACTS.iter().any(|fact| said.starts_with(fact))
        })
    };
    let begin = lines[..at].iter().rposition(|line| npm(line).is_none()).map_or(0, |before| before + 1);
    let first = lines[begin..].iter().position(|line| tells(line)).map(|first| begin + first);
    (first == Some(at)).then_some(Rank::Error)
}

/// The line behind the frames of a Python traceback: the exception.
fn ends_traceback(lines: &[&str], at: usize) -> bool {
    let is_frame = |line: &str| line.starts_with([' ', '\t']) || line.is_empty();
    if is_frame(lines[at]) {
        return false;
    }
    let before = lines[..at].iter().rposition(|line| !is_frame(line));
    before.is_some_and(|before| lines[before].starts_with("Traceback (most recent call last)"))
}

/// The line below `thread 'main' panicked at src/main.rs:1:2:`.
fn follows_panic(lines: &[&str], at: usize) -> bool {
    at > 0 && lines[at - 1].contains("' panicked at ") && lines[at - 1].ends_with(':')
}

fn is_noise(line: &str) -> bool {
    const BEGINNINGS: [&str; 19] = [
        "at ",
        "Node.js v",
        "Bun v",
        "npm notice",
        "npm warn",
        "npm WARN",
        "npm ERR! A complete log",
        "A complete log of this run",
        "For more information",
        "note: run with `RUST_BACKTRACE",
        "See 'docker",
        "Run 'docker",
        "node:internal",
        "throw ",
        "exit status",
        "Emitted 'error' event",
        "Require stack:",
        "Traceback (most recent call last)",
        "During handling of the above exception",
    ];
    let letters = line.chars().any(char::is_alphanumeric);
    let is_path = line.starts_with('/') && !line.contains(' ');
    // Facts that Node prints below an error, and where Rust was.
    let is_fact =
        ["code: ", "errno: ", "syscall: ", "requireStack: ", "path: "].iter().any(|key| line.starts_with(key));
    !letters || is_path || is_fact || BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
}

/// `Error: …`, `TypeError [CODE]: …`, `mcp.shared.McpError: …`, `error: …`.
fn names_an_error(line: &str) -> bool {
    let Some((name, rest)) = line.split_once(':') else { return false };
    let name = name.strip_prefix("Uncaught ").unwrap_or(name);
    let name = name.split_once(" [").filter(|(_, code)| code.ends_with(']')).map_or(name, |(name, _)| name);
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "._".contains(c));
    let ends = ["Error", "Exception", "error", "ERROR", "fatal", "FATAL", "panic", "Fatal"];
    is_name && !rest.trim().is_empty() && ends.iter().any(|end| name.ends_with(end))
}

/// Marked by who says it: a shell, a container engine, an argument parser, a log.
fn is_marked(line: &str) -> bool {
    let shell = line.ends_with(": not found") || line.ends_with(": command not found");
    let engine = line.starts_with("docker: ") || line.starts_with("podman: ");
    let marks = [": error: ", "fatal error: ", "Cannot connect to the Docker daemon", "\"level\":\"error\"", "[ERROR]"];
    shell || engine || marks.iter().any(|mark| line.contains(mark))
}

/// Words that people use when something is wrong.
fn complains(line: &str) -> bool {
    const WORDS: [&str; 21] = [
        "error",
        "fatal",
        "failed",
        "failure",
        "cannot",
        "can't",
        "could not",
        "unable to",
        "missing",
        "required",
        "must be",
        "must provide",
        "please set",
        "please provide",
        "not found",
        "not set",
        "no such",
        "denied",
        "refused",
        "invalid",
        "unauthorized",
    ];
    let line = line.to_lowercase();
    WORDS.iter().any(|word| line.contains(word))
}

fn starts_with(line: &str, beginning: &str) -> bool {
    line.get(..beginning.len()).is_some_and(|head| head.eq_ignore_ascii_case(beginning))
}

/// Without escape sequences that colour a terminal.
fn without_colours(line: &str) -> Cow<'_, str> {
    if !line.contains('\u{1b}') {
        return Cow::Borrowed(line);
    }
    let mut parts = line.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(0, |end| end + 1);
        plain.push_str(&part[end..]);
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_line_that_says_why_is_found_in_what_runtimes_print() {
        let cases = [
            (
                "Traceback (most recent call last):\n  File \"/x/server.py\", line 3, in <module>\n    import chroma\nModuleNotFoundError: No module named 'chroma'\n",
                "ModuleNotFoundError: No module named 'chroma'",
            ),
            (
                "  + Exception Group Traceback (most recent call last):\n  |   File \"x\", line 1\n  | ExceptionGroup: unhandled errors (1 sub-exception)\n  +-+---------------- 1 ----------------\n    | Traceback (most recent call last):\n    |   File \"y\", line 2\n    | ValueError: API_KEY is empty\n    +------------------------------------\n",
                "ValueError: API_KEY is empty",
            ),
            (
                "Traceback (most recent call last):\n  File \"x\", line 1\nrequests.exceptions.ConnectTimeout: no route to api.example.com\nexit status 1\n",
                "requests.exceptions.ConnectTimeout: no route to api.example.com",
            ),
            (
                "node:internal/modules/cjs/loader:1404\n  throw err;\n  ^\n\nError: Cannot find module '/x/index.js'\nRequire stack:\n- /x\n    at Module._load (node:internal/modules:1)\n    at node:internal/main {\n  code: 'MODULE_NOT_FOUND',\n  requireStack: []\n}\n\nNode.js v20.19.2\n",
                "Error: Cannot find module '/x/index.js'",
            ),
            (
                "TypeError: fetch failed\n    at node:internal/deps/undici:1\n  [cause]: Error: connect ECONNREFUSED 127.0.0.1:1\n      at x\n",
                "TypeError: fetch failed",
            ),
            (
                "thread 'main' (7) panicked at src/main.rs:4:10:\ncalled `Result::unwrap()` on an `Err` value: NotPresent\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
                "called `Result::unwrap()` on an `Err` value: NotPresent",
            ),
            ("starting\nError: the database is locked\n\nCaused by:\n    0: busy\n", "Error: the database is locked"),
            (
                "docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n\nRun 'docker run --help' for more information\n",
                "docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            ),
            (
                "npm error code E404\nnpm error 404 Not Found - GET https://registry.npmjs.org/nope - Not found\nnpm error 404\nnpm error 404  The requested resource 'nope@*' could not be found\nnpm error A complete log of this run can be found in: /root/.npm/_logs/x.log\n",
                "404 Not Found - GET https://registry.npmjs.org/nope - Not found",
            ),
            (
                "npm ERR! code ENOENT\nnpm ERR! syscall open\nnpm ERR! path /x/package.json\nnpm ERR! errno -2\nnpm ERR! enoent Could not read package.json\nnpm ERR! enoent This is related to npm not being able to find a file.\n",
                "enoent Could not read package.json",
            ),
            (
                "npm warn exec The following package was not found\nsh: 1: mcp-server-x: not found\n",
                "sh: 1: mcp-server-x: not found",
            ),
            (
                "usage: server [-h] --key KEY\nserver: error: the following arguments are required: --key\n",
                "server: error: the following arguments are required: --key",
            ),
            (
                "error: the following required arguments were not provided:\n  --key <KEY>\n\nUsage: server --key <KEY>\n\nFor more information, try '--help'.\n",
                "error: the following required arguments were not provided:",
            ),
            ("Usage: mcp-server-filesystem <directory> [more]\n", "Usage: mcp-server-filesystem <directory> [more]"),
            (
                "  × No solution found when resolving tool dependencies:\n  ╰─▶ Because nope was not found in the package registry, we can conclude it is missing.\n",
                "Because nope was not found in the package registry, we can conclude it is missing.",
            ),
            (
                "Please set SLACK_BOT_TOKEN and SLACK_TEAM_ID environment variables\n",
                "Please set SLACK_BOT_TOKEN and SLACK_TEAM_ID environment variables",
            ),
            ("\u{1b}[31mError:\u{1b}[0m no key\n\u{1b}[2mbye\u{1b}[0m\n", "Error: no key"),
            (
                "panic: runtime error: index out of range\n\ngoroutine 1 [running]:\nexit status 2\n",
                "panic: runtime error: index out of range",
            ),
            ("listening\nlast words\n", "last words"),
        ];
        for (text, expected) in cases {
            assert_eq!(error_line(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(error_line("\n  ^\n}\n"), None);
        assert_eq!(error_line(""), None);
    }

    #[test]
    fn an_error_is_told_from_a_word_of_good_bye() {
        assert!(is_error("Error: no key") && is_error("sh: 1: x: not found"));
        assert!(!is_error("listening on stdio") && !is_error("http://x"));
    }

    proptest! {
        #[test]
        fn whatever_a_server_writes_it_is_one_of_its_lines(text in any::<String>()) {
            if let Some(line) = error_line(&text) {
                prop_assert!(!line.is_empty() && !line.contains('\n'));
            }
        }

        #[test]
        fn lines_of_runtimes_in_any_order_are_borne(
            lines in prop::collection::vec(prop::sample::select(vec![
                "Traceback (most recent call last):", "  File", "Error: x", "npm error code E", "npm error 404", "}", "",
                "thread 'main' panicked at x:1:2:", "\u{1b}[", "\u{1b}[31m", "    at x", "| ",
            ]), 0..12),
        ) {
            error_line(&lines.join("\n"));
        }
    }
}
