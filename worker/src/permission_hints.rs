//! What people are told when a server lacked a permission: its own words name a file at best, and neither who refuses it nor what
//! would allow it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use mcproxy_confine::{FileRefusal, FileRules};
use mcproxy_ipc::WorkerSpec;
use memchr::memmem;
use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::confinement;

/// So many different hints are given in one run.
const MAX_HINTS: usize = 8;
/// Of an answer, in which words of a refusal are looked for. What is larger is no message of an error.
const MAX_ANSWER: usize = 64 * 1024;
/// Of a line, in bytes, around those words.
const AROUND: usize = 512;

/// What programs say when the kernel refuses a file.
const DENIED: [&str; 2] = ["ermission denied", "EACCES"];
/// What SQLite says, without a path.
const DATABASE: [&str; 2] = ["unable to open database file", "attempt to write a readonly database"];
/// What Chromium and bubblewrap say when they may make no namespace.
const NAMESPACES: [&str; 4] =
    ["No usable sandbox!", "Failed to move to new namespace", "bwrap: No permissions", "bwrap: Creating new namespace"];

/// The line of this text that says that a permission was lacking, as far as a hint needs it.
pub(crate) fn complaint(text: &str) -> Option<&str> {
    let found =
        [&DENIED[..], &DATABASE, &NAMESPACES].concat().into_iter().filter_map(|words| text.find(words)).min()?;
    let begin = text[..found].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[found..].find('\n').map_or(text.len(), |newline| found + newline);
    let begin = text.ceil_char_boundary(begin.max(found.saturating_sub(AROUND)));
    Some(&text[begin..text.floor_char_boundary(end.min(found + AROUND))])
}

/// The same of an answer to a call, if that is an error. Answers are looked at as bytes, without reading their JSON.
pub(crate) fn complaint_in_answer(is_error: bool, payload: &[u8]) -> Option<&str> {
    let says_so = || {
        let at = memmem::find(payload, b"\"isError\"").map(|at| at + b"\"isError\"".len());
        at.is_some_and(|at| payload[at..].trim_ascii_start().strip_prefix(b":").is_some_and(is_true))
    };
    if payload.len() > MAX_ANSWER || !(is_error || says_so()) {
        return None;
    }
    complaint(std::str::from_utf8(payload).ok()?)
}

fn is_true(value: &[u8]) -> bool {
    value.trim_ascii_start().starts_with(b"true")
}

/// The hints of one run, each given once.
#[derive(Debug, Default)]
pub(crate) struct PermissionHints {
    /// `None`: files are not restricted.
    rules: Option<FileRules>,
    /// Where a server may make namespaces, nothing is said of that.
    namespaces: bool,
    /// The user of its own that the server runs as.
    own_user: Option<u32>,
    /// Absolute paths among its arguments.
    named: Vec<PathBuf>,
    given: BTreeSet<String>,
}

impl PermissionHints {
    /// For the server of `spec`. Where nothing is enforced, there is nothing to say.
    pub(crate) fn of(spec: &WorkerSpec) -> Self {
        let confinement = &spec.confinement;
        if !confinement.hardening.is_on() {
            return Self { namespaces: true, ..Self::default() };
        }
        let arguments = spec.reach.command().map(|launch| launch.args.as_slice()).unwrap_or_default();
        let named =
            arguments.iter().map(|arg| arg.expose()).map(|arg| arg.split_once('=').map_or(arg, |(_, value)| value));
        Self {
            named: named.map(PathBuf::from).filter(|path| path.is_absolute()).collect(),
            rules: spec.reach.command().and_then(|launch| confinement::file_rules(confinement, launch)),
            namespaces: confinement.sandbox.namespaces,
            own_user: confinement.home.is_some().then(|| rustix::process::geteuid().as_raw()),
            given: BTreeSet::new(),
        }
    }

    /// What would help with this complaint, if that is known and was not said before.
    pub(crate) fn hint(&mut self, complaint: &str) -> Option<String> {
        if self.given.len() >= MAX_HINTS {
            return None;
        }
        let has = |words: &[&str]| words.iter().any(|words| complaint.contains(words));
        let hint = match () {
            () if has(&NAMESPACES) => (!self.namespaces).then(namespaces),
            () if has(&DENIED) => likely_paths(complaint, &DENIED).find_map(|path| self.of_path(path)),
            () if has(&DATABASE) => self.of_database(complaint),
            () => None,
        }?;
        self.given.insert(hint.clone()).then_some(hint)
    }

    fn of_path(&self, path: &Path) -> Option<String> {
        let there = path.ancestors().find(|part| part.symlink_metadata().is_ok())?;
        // The program that complains.
        if path.is_file() && accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok() {
            return None;
        }
        // Of a path of which nothing is there, and which is none of this machine most likely, nothing can be said.
        if there == Path::new("/") {
            return None;
        }
        if !may_write(there) {
            return self.own_user.map(|user| of_user(user, there));
        }
        match self.rules.as_ref()?.refusal(path)? {
            FileRefusal::Hidden => {
                Some(format!("{} is kept from servers: it is MCProxy's own, or `sandbox.deny` has it", path.display()))
            }
            FileRefusal::Outside => Some(outside(&to_be_named(path, there))),
            FileRefusal::CameLater(entry) => Some(came_later(&entry)),
        }
    }

    /// SQLite does not say which file, so it is one that the entry names, or any.
    fn of_database(&self, complaint: &str) -> Option<String> {
        let named = self.named.iter().map(PathBuf::as_path);
        let hint = likely_paths(complaint, &DATABASE).chain(named).find_map(|path| self.of_path(path));
        hint.or_else(|| {
            let own = self.rules.as_ref()?.write.iter().filter(|path| !path.starts_with("/dev"));
            let own: Vec<String> = own.map(|path| path.display().to_string()).collect();
            Some(format!(
                "if the database lies elsewhere than below {}: `\"sandbox\": {{\"write\": [DIRECTORY]}}` in its entry, with the \
                 directory that it is in",
                own.join(", ")
            ))
        })
    }
}

/// As far as modes of files say.
fn may_write(path: &Path) -> bool {
    accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

/// Which path is named so that this one may be written: the directory that it is in, unless that holds all and sundry.
fn to_be_named(path: &Path, there: &Path) -> PathBuf {
    let directory = if there.is_dir() { Some(there) } else { there.parent() };
    let is_narrow = |directory: &&Path| directory.components().count() > 2;
    directory.filter(is_narrow).unwrap_or(path).to_owned()
}

fn outside(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "its sandbox keeps this server from writing {directory}: `\"sandbox\": {{\"write\": [\"{directory}\"]}}` in its entry \
         allows it"
    )
}

fn came_later(entry: &Path) -> String {
    let beside = format!(
        "{} lies beside MCProxy's own files, where this server can make nothing, and reach only what was there when it started",
        entry.display()
    );
    if entry.is_dir() || entry.extension().is_none() {
        let entry = entry.display();
        format!("{beside}: `\"sandbox\": {{\"write\": [\"{entry}\"]}}` in its entry makes that directory and allows it")
    } else {
        format!("{beside}: keep it in a directory of its own, which is there when the server starts")
    }
}

fn of_user(user: u32, path: &Path) -> String {
    let path = path.display();
    format!(
        "this server runs as user {user}, who may not write {path}: allow it (`setfacl -R -m u:{user}:rwX {path}`), or name an \
         account that may (`runAs`)"
    )
}

fn namespaces() -> String {
    "this server may make no namespaces, which a browser's own sandbox needs: `\"sandbox\": {\"namespaces\": true}` in its entry \
     allows it, or start the browser without (`--no-sandbox`), with MCProxy's sandbox as the only one"
        .to_owned()
}

/// The absolute paths in a line, the likeliest first: `PATH: words`, then those behind the words, then those before: they may be of
/// a stack trace.
fn likely_paths<'a>(line: &'a str, words: &[&str]) -> impl Iterator<Item = &'a Path> {
    let words = words.iter().find_map(|words| line.find(words)).unwrap_or_default();
    let mut paths: Vec<(usize, &str)> = paths(line).collect();
    paths.sort_by_key(|(at, path)| match words.checked_sub(at + path.len()) {
        Some(gap) => (if gap <= ": P".len() { 0 } else { 2 }, gap),
        None => (1, *at),
    });
    paths.into_iter().map(|(_, path)| Path::new(path))
}

/// The absolute paths in a line, and where they begin.
fn paths(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let begins = line.match_indices('/').map(|(at, _)| at);
    begins.filter_map(|at| {
        let before = line[..at].chars().next_back();
        if before.is_some_and(|c| !(c.is_whitespace() || "'\"`([=<“‘".contains(c))) {
            return None;
        }
        let rest = &line[at..];
        let end = match before {
            Some(quote @ ('\'' | '"' | '`')) => rest.find(quote),
            _ => rest.find(|c: char| c.is_whitespace() || "'\"`,;)]>”’".contains(c)),
        };
        let path = rest[..end.unwrap_or(rest.len())].trim_end_matches(['\\', ':', '.', ',']);
        (path.len() > 1).then_some((at, path))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_complaint_is_found_with_its_path_in_what_runtimes_say() {
        let cases = [
            ("x\nError: EACCES: permission denied, mkdir '/srv/my data/x'\n    at a", "/srv/my data/x"),
            ("PermissionError: [Errno 13] Permission denied: '/srv/x'", "/srv/x"),
            ("sh: 1: cannot create /srv/x: Permission denied", "/srv/x"),
            ("fatal: could not open '/srv/r/.git/index' for writing: Permission denied\n", "/srv/r/.git/index"),
            ("open /srv/x: permission denied", "/srv/x"),
            (r#"{"text":"no: \"/srv/x\": EACCES"}"#, "/srv/x"),
            (r#"{"text":"EACCES: permission denied, open '/srv/x'"}"#, "/srv/x"),
        ];
        for (text, path) in cases {
            let complaint = complaint(text).expect("found");
            assert_eq!(likely_paths(complaint, &DENIED).next(), Some(Path::new(path)), "{complaint}");
        }
        let traced = "at x (/usr/lib/a.js:1:2) EACCES: permission denied, open '/srv/x' at y (/usr/lib/b.js:3)";
        assert_eq!(likely_paths(traced, &DENIED).next(), Some(Path::new("/srv/x")));
        assert_eq!(complaint("all is well at /srv"), None);
        assert_eq!(paths("see https://example.org/a and b/c, 1/2").count(), 0);
    }

    #[test]
    fn only_answers_that_are_errors_are_looked_at() {
        let payload = br#"{"content":[{"type":"text","text":"EACCES: '/srv/x'"}],"isError": true}"#;
        assert!(complaint_in_answer(false, payload).is_some());
        let fine = br#"{"content":[{"type":"text","text":"EACCES: '/srv/x'"}],"isError":false}"#;
        assert!(complaint_in_answer(false, fine).is_none() && complaint_in_answer(true, fine).is_some());
        assert!(complaint_in_answer(true, b"{}").is_none());
    }

    fn hints(write: &[&Path]) -> PermissionHints {
        let write = write.iter().map(|path| path.to_path_buf()).collect();
        let rules = FileRules { read: vec!["/".into()], write, ..FileRules::default() };
        PermissionHints { rules: Some(rules), ..PermissionHints::default() }
    }

    #[test]
    fn what_lies_outside_of_the_sandbox_is_named_once_with_the_key_that_allows_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let (own, other) = (dir.path().join("own"), dir.path().join("other"));
        for path in [&own, &other] {
            std::fs::create_dir(path).expect("made");
        }
        let mut hints = hints(&[&own]);
        let said = |path: &Path| format!("EACCES: permission denied, open '{}'", path.display());
        let hint = hints.hint(&said(&other.join("a/b"))).expect("a hint");
        assert!(hint.contains(&format!("\"sandbox\": {{\"write\": [\"{}\"]}}", other.display())), "{hint}");
        assert_eq!(hints.hint(&said(&other.join("c"))), None, "the same once more");
        assert_eq!(hints.hint(&said(&own.join("c"))), None, "its own matter");
        assert_eq!(hints.hint("Permission denied (publickey)."), None);
        assert_eq!(hints.hint("403 permission denied: /v1/projects/none"), None);
        assert!(
            hints.hint("sqlite3.OperationalError: unable to open database file").expect("a hint").contains("write")
        );
        assert!(hints.hint("FATAL: No usable sandbox!").expect("a hint").contains("namespaces"));
    }

    #[test]
    fn no_more_hints_than_the_bound_are_given() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut hints = hints(&[]);
        let given = (0..20).filter_map(|number| {
            let other = dir.path().join(number.to_string());
            std::fs::create_dir(&other).expect("made");
            hints.hint(&format!("EACCES '{}'", other.join("x").display()))
        });
        assert_eq!(given.count(), MAX_HINTS);
    }

    #[test]
    fn a_server_without_confinement_gets_none() {
        let spec = WorkerSpec {
            confinement: mcproxy_confine::ServerConfinement {
                hardening: mcproxy_confine::Hardening::Off,
                ..Default::default()
            },
            ..crate::session::tests::spec()
        };
        assert_eq!(PermissionHints::of(&spec).hint("No usable sandbox!"), None);
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_the_complaint_is_a_part_of_it(
            parts in prop::collection::vec(prop_oneof![
                any::<String>(), Just("EACCES".to_owned()), Just("\n".to_owned()), Just(" '/x".to_owned()), Just("ä".repeat(600)),
            ], 0..8)
        ) {
            let text = parts.concat();
            if let Some(complaint) = complaint(&text) {
                prop_assert!(text.contains(complaint) && !complaint.contains('\n') && complaint.len() <= 2 * AROUND + 32);
                paths(complaint).for_each(|(_, path)| assert!(path.starts_with('/')));
            }
        }
    }
}
