//! Completion in shells. `mcproxy completions SHELL` prints a script that asks this program at each Tab what can follow, so that
//! names of servers and tools are those of the MCProxy that runs.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::{Command, CommandFactory as _, ValueEnum as _};
use clap_complete::{
    ArgValueCandidates, CompletionCandidate,
    env::{Bash, Elvish, EnvCompleter, Fish, Zsh},
};
use mcproxy_mcp::{RawObject, method};

use super::{
    args::{Cli, Global, Shell},
    human::one_line,
    session::Session,
    supervisor::SupervisorClient,
    target::endpoint,
};

/// The variable by which a script says that it asks, and for which shell.
pub(super) const VARIABLE: &str = "MCPROXY_COMPLETE";
/// Between the program's name and the words of the command line, in a script's question.
const SEPARATOR: &str = "--";
/// Longest wait for names: somebody waits for the next letter.
const PATIENCE: Duration = Duration::from_secs(2);

impl Shell {
    fn completer(self) -> &'static dyn EnvCompleter {
        match self {
            Self::Bash => &Bash,
            Self::Elvish => &Elvish,
            Self::Fish => &Fish,
            Self::Zsh => &Zsh,
        }
    }

    /// The script that registers us.
    pub(crate) fn write_script(self, out: &mut dyn Write) -> io::Result<()> {
        let mut script = Vec::new();
        self.completer().write_registration(VARIABLE, "mcproxy", "mcproxy", "mcproxy", &mut script)?;
        writeln!(out, "{}", String::from_utf8_lossy(&script).trim())
    }
}

/// Answers a script's question: `asked` is the whole command line, up to the word that is to be completed.
pub(super) fn answer(shell: &OsStr, asked: Vec<OsString>, out: &mut dyn Write) -> io::Result<()> {
    let shell = shell.to_str().and_then(|name| Shell::from_str(name, false).ok());
    let (Some(shell), Some(before)) = (shell, asked.iter().position(|word| word == SEPARATOR)) else { return Ok(()) };
    let words = asked[before + 1..].to_vec();
    let mut command = command(&words);
    command.build();
    shell.completer().write_complete(&mut command, words, std::env::current_dir().ok().as_deref(), out)
}

/// The command line, with names of what runs where names of servers and tools belong.
fn command(words: &[OsString]) -> Command {
    let global = global(words);
    let add = |command: Command, name: &'static str, argument: &'static str, names: ArgValueCandidates| {
        command.mut_subcommand(name, |command| command.mut_arg(argument, |argument| argument.add(names)))
    };
    let servers = || {
        let names = NameSource(global.clone());
        ArgValueCandidates::new(move || names.servers())
    };
    let names = NameSource(global.clone());
    let command = add(Cli::command(), "call", "tool", ArgValueCandidates::new(move || names.tools()));
    ["status", "tools", "logs", "restart", "login", "logout", "remove", "enable", "disable", "trace"]
        .into_iter()
        .fold(command, |command, name| add(command, name, "server", servers()))
}

/// The options that say whom to ask, as far as they have been typed.
fn global(words: &[OsString]) -> Global {
    let value = |option: &str| {
        let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
        let apart = words.windows(2).find(|pair| pair[0] == option).map(|pair| pair[1]);
        let joined = || words.iter().find_map(|word| word.strip_prefix(option)?.strip_prefix('='));
        apart.or_else(joined).map(str::to_owned)
    };
    Global {
        json: false,
        runtime_dir: value("--runtime-dir").map(PathBuf::from),
        url: value("--url"),
        token: value("--token"),
    }
}

/// Who is asked for names. Where there is no answer there are none.
struct NameSource(Global);

impl NameSource {
    fn servers(&self) -> Vec<CompletionCandidate> {
        let supervisor = SupervisorClient::new(self.0.runtime_dir.as_deref());
        let report = within_patience(async { supervisor.status().await.ok() });
        let servers = report.map(|report| report.servers).unwrap_or_default();
        let candidate = |name: &str, state: String| candidate(name, &state);
        servers.iter().filter_map(|server| candidate(server.name.as_str(), server.state.to_string())).collect()
    }

    fn tools(&self) -> Vec<CompletionCandidate> {
        let supervisor = SupervisorClient::new(self.0.runtime_dir.as_deref());
        let listed = within_patience(async {
            let mut session = Session::open(endpoint(&self.0, &supervisor).await.ok()?).await.ok()?;
            let listed = session.list(method::TOOLS_LIST, "tools").await;
            session.close().await;
            listed.ok()
        });
        let of_tool = |raw: &mcproxy_mcp::RawValue| {
            let tool = RawObject::from_raw(raw).ok()?;
            let text = |key: &str| tool.get_string(key).map(|text| text.into_owned());
            let description = text("description").unwrap_or_default();
            candidate(&text("name")?, description.lines().next().unwrap_or_default())
        };
        listed.unwrap_or_default().iter().filter_map(|raw| of_tool(raw)).collect()
    }
}

fn within_patience<T>(answer: impl Future<Output = Option<T>>) -> Option<T> {
    let waited = async { tokio::time::timeout(PATIENCE, answer).await.ok().flatten() };
    actix_web::rt::System::new().block_on(waited)
}

/// A name with what a shell may show beside it. A name that means something to a shell is not offered: shells put it on the command
/// line as it is.
fn candidate(name: &str, about: &str) -> Option<CompletionCandidate> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_plain))
        .then(|| CompletionCandidate::new(name).help(Some(one_line(about).into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> String {
        let mut all = vec!["mcproxy".into(), SEPARATOR.into(), "mcproxy".into()];
        all.extend(words.iter().map(OsString::from));
        let mut out = Vec::new();
        answer(OsStr::new("fish"), all, &mut out).expect("written");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn commands_and_options_are_completed_without_anything_that_runs() {
        let lines = asked(&["re"]);
        let names: Vec<&str> = lines.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(names, ["restart", "reload", "remove"]);
        assert!(asked(&["check", "--st"]).contains("--strict"));
        assert!(asked(&["completions", ""]).contains("bash"));
        let dir = tempfile::tempdir().expect("a directory");
        let without_names = asked(&["--runtime-dir", &dir.path().to_string_lossy(), "restart", ""]);
        assert!(without_names.lines().all(|line| line.starts_with("--")), "{without_names}");
    }

    #[test]
    fn a_shell_that_is_not_known_gets_no_answer_and_each_that_is_a_script() {
        let mut out = Vec::new();
        answer(OsStr::new("tcsh"), vec!["mcproxy".into(), SEPARATOR.into(), "mcproxy".into(), "s".into()], &mut out)
            .expect("written");
        answer(OsStr::new("bash"), vec!["mcproxy".into()], &mut out).expect("written");
        assert!(out.is_empty());
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            shell.write_script(&mut script).expect("written");
            assert!(String::from_utf8(script).expect("text").contains(VARIABLE), "{shell:?}");
        }
    }

    #[test]
    fn names_that_mean_something_to_a_shell_are_not_offered() {
        assert!(candidate("time__now", "").is_some());
        for name in ["", "a;b", "$(reboot)", "a b", "a`b`", "größe", "a\nb"] {
            assert!(candidate(name, "").is_none(), "{name}");
        }
    }

    #[test]
    fn options_that_say_whom_to_ask_are_found_in_both_spellings() {
        let words = |words: &[&str]| global(&words.iter().map(OsString::from).collect::<Vec<_>>());
        let found = words(&["--url=http://h:1", "--runtime-dir", "/run/x", "call", ""]);
        assert_eq!((found.url.as_deref(), found.runtime_dir), (Some("http://h:1"), Some("/run/x".into())));
        assert!(words(&["call", "--url"]).url.is_none());
    }
}
