//! Entries of package runners' caches, and which of them is broken, told by what a server said when it ended. An installation
//! that is killed leaves one that its runner takes for complete at every later start.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Component, Path, PathBuf},
};

use mcproxy_ipc::{LaunchSpec, processes};

use super::{npx, turn::Turn};

/// A folder of a runner's cache: each folder in it is one entry, complete in itself and made again when it is missing.
#[derive(Debug)]
struct Store {
    folder: PathBuf,
    is_entry: fn(&str) -> bool,
}

/// An entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    folder: PathBuf,
    name: String,
}

/// Where npm keeps what `npx` installs, for a server with this environment.
pub(super) fn npx_folder(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let cache = variable("npm_config_cache").or_else(|| variable("NPM_CONFIG_CACHE"));
    Some(cache.or_else(|| Some(variable("HOME")?.join(".npm")))?.join("_npx"))
}

/// The entry that `npx` will use.
pub(super) fn npx_entry(launch: &LaunchSpec, variable: &dyn Fn(&str) -> Option<PathBuf>) -> Option<Entry> {
    let arguments: Vec<&str> = launch.args.iter().map(|argument| argument.expose()).collect();
    Some(Entry { name: npx::entry_name(&launch.program, &arguments)?, folder: npx_folder(variable)? })
}

fn stores(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Vec<Store> {
    let is_digest = |name: &str| name.len() >= 8 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let caches = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let below_caches = |path: &str| caches.as_ref().map(|caches| caches.join(path));
    let uv = variable("UV_CACHE_DIR").or_else(|| below_caches("uv"));
    let digests = [
        npx_folder(variable),
        uv.as_ref().map(|uv| uv.join("archive-v0")),
        uv.as_ref().map(|uv| uv.join("environments-v2")),
        below_caches("pnpm/dlx"),
        below_caches("pipx"),
        variable("HOME").map(|home| home.join(".local/share/pipx/.cache")),
    ];
    let temporary = variable("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp"));
    let bunx = Store { folder: temporary, is_entry: |name| name.starts_with("bunx-") };
    let digests = digests.into_iter().flatten().map(|folder| Store { folder, is_entry: is_digest });
    digests.chain([bunx]).collect()
}

/// What a half-installed package makes of a start. Each says that a file is missing, or that it ends too early.
const SYMPTOMS: [&str; 17] = [
    "Cannot find module",
    "Cannot find package",
    "MODULE_NOT_FOUND",
    "Invalid package config",
    "SyntaxError",
    "ENOENT",
    "ENOTEMPTY",
    "EEXIST",
    "ENOTDIR",
    "EJSONPARSE",
    "No such file or directory",
    "No module named",
    "ImportError",
    "failed to read",
    "Failed to inspect",
    "Broken",
    "corrupt",
];
/// The same where the command of a package is not there, or not whole; the entry is not named.
const NO_COMMAND: [&str; 4] =
    [": not found", ": Permission denied", "could not determine executable to run", "command not found"];

/// The entry that a server of this command was started from and that its last words call broken.
pub(crate) fn broken_entry(
    launch: &LaunchSpec,
    stderr: &str,
    variable: &dyn Fn(&str) -> Option<PathBuf>,
) -> Option<Entry> {
    if SYMPTOMS.iter().any(|symptom| stderr.contains(symptom)) {
        let named = stores(variable).into_iter().find_map(|store| store.named_in(stderr));
        if named.is_some() {
            return named;
        }
    }
    let no_command = NO_COMMAND.iter().any(|symptom| stderr.lines().any(|line| line.trim_end().ends_with(symptom)));
    no_command.then(|| npx_entry(launch, variable)).flatten()
}

impl Store {
    /// The entry whose path stands in a text.
    fn named_in(&self, text: &str) -> Option<Entry> {
        // Programs name files by the path they were started with, or by what that is in the end.
        let real = fs::canonicalize(&self.folder).ok();
        [Some(&self.folder), real.as_ref()].into_iter().flatten().find_map(|folder| {
            let beginning = format!("{}/", folder.to_str()?);
            text.match_indices(&beginning).find_map(|(at, _)| {
                let rest = &text[at + beginning.len()..];
                let end = rest.find(|c: char| c == '/' || c.is_whitespace() || "'\":,)".contains(c))?;
                let name = &rest[..end];
                let is_one = matches!(&Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
                let found = is_one && (self.is_entry)(name);
                found.then(|| Entry { folder: self.folder.clone(), name: name.to_owned() })
            })
        })
    }
}

impl Entry {
    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Removes it, unless it is in use. What is not a folder of its own is left alone: nothing outside of the runner's cache
    /// can be meant, and a link is not followed. False: there was nothing to do.
    pub(crate) fn clear(&self) -> io::Result<bool> {
        let path = self.path();
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        // While it is being installed, or runs, it is not broken.
        let Some(_turn) = Turn::take(&path)? else { return Ok(false) };
        if is_used(&path) {
            return Ok(false);
        }
        fs::remove_dir_all(&path)?;
        Ok(true)
    }
}

/// Whether a process that runs was started from there.
fn is_used(path: &Path) -> bool {
    let (Some(path), real) = (path.to_str(), fs::canonicalize(path).ok()) else { return true };
    let paths = [Some(path), real.as_deref().and_then(Path::to_str)];
    processes::all().iter().filter(|process| !process.zombie).any(|process| {
        processes::arguments(process.pid).iter().any(|word| {
            let word = String::from_utf8_lossy(word);
            paths.iter().flatten().any(|path| word.contains(path))
        })
    })
}

/// A variable's value as a path; an empty one is none.
pub(crate) fn as_path(value: Option<&OsStr>) -> Option<PathBuf> {
    value.filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use mcproxy_ipc::Secret;
    use proptest::prelude::*;

    use super::*;

    fn launch(words: &[&str]) -> LaunchSpec {
        let args = words[1..].iter().map(|word| Secret::new(*word)).collect();
        LaunchSpec { program: words[0].into(), args, env: Vec::new(), cwd: None }
    }

    fn at_home(home: &Path) -> impl Fn(&str) -> Option<PathBuf> {
        let home = home.to_owned();
        move |name: &str| (name == "HOME").then(|| home.clone())
    }

    #[test]
    fn a_broken_entry_is_known_by_what_its_server_says() {
        let variable = at_home(Path::new("/root"));
        let npx = launch(&["npx", "-y", "@modelcontextprotocol/server-everything"]);
        let found =
            |stderr: &str| broken_entry(&npx, stderr, &variable).map(|entry| entry.path().display().to_string());
        let known = Some("/root/.npm/_npx/0123456789abcdef".to_owned());
        for stderr in [
            "Error: Cannot find module 'zod'\nRequire stack:\n- /root/.npm/_npx/0123456789abcdef/node_modules/x/index.js\n",
            "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'zod' imported from /root/.npm/_npx/0123456789abcdef/node_modules/x/i.js\n",
            "npm error code ENOTEMPTY\nnpm error path /root/.npm/_npx/0123456789abcdef/node_modules/x\n",
            "/root/.npm/_npx/0123456789abcdef/node_modules/x/i.js:9\nSyntaxError: Unexpected end of input\n",
        ] {
            assert_eq!(found(stderr), known, "{stderr}");
        }
        let by_digest = Some("/root/.npm/_npx/5b2dd62b9d0bddd4".to_owned());
        assert_eq!(found("sh: 1: mcp-server-everything: not found\n"), by_digest);
        assert_eq!(found("npm error could not determine executable to run\n"), by_digest);
        let uv = "  File \"/root/.cache/uv/archive-v0/Ab_9-xyzQ/lib/x.py\", line 1\nModuleNotFoundError: No module named 'y'\n";
        assert_eq!(found(uv), Some("/root/.cache/uv/archive-v0/Ab_9-xyzQ".to_owned()));
    }

    #[test]
    fn what_names_no_entry_or_tells_of_nothing_missing_leaves_all_as_it_is() {
        let variable = at_home(Path::new("/root"));
        let npx = launch(&["npx", "-y", "x"]);
        for stderr in [
            "Error: Cannot find module '/srv/x.js'\n",
            "/root/.npm/_npx/0123456789abcdef/node_modules/x/i.js:9\nError: API_KEY is not set\n",
            "ENOENT: /root/.npm/_npx/../../.ssh/id\n",
            "ENOENT: /root/.npm/_npx//etc\n",
            "ENOENT: /elsewhere/.npm/_npx/0123456789abcdef/x\n",
            "",
        ] {
            assert_eq!(broken_entry(&npx, stderr, &variable), None, "{stderr}");
        }
        assert_eq!(broken_entry(&launch(&["node", "x"]), "sh: 1: x: not found\n", &variable), None);
    }

    #[test]
    fn an_entry_is_removed_whole_and_nothing_that_it_links_to() {
        let home = tempfile::tempdir().expect("a directory");
        let folder = home.path().join(".npm/_npx");
        let (entry, other) = (folder.join("0123456789abcdef"), home.path().join("other"));
        fs::create_dir_all(entry.join("node_modules")).expect("made");
        fs::create_dir(&other).expect("made");
        fs::write(other.join("file"), "x").expect("written");
        symlink(&other, entry.join("node_modules/link")).expect("linked");
        symlink(&other, folder.join("fedcba9876543210")).expect("linked");
        let of = |name: &str| Entry { folder: folder.clone(), name: name.to_owned() };
        let in_use = Turn::take(&entry).expect("opened");
        assert!(!of("0123456789abcdef").clear().expect("it looked"), "another start installs into it");
        drop(in_use);
        assert!(of("0123456789abcdef").clear().expect("removed"));
        assert!(!of("fedcba9876543210").clear().expect("it looked"), "a link is no entry");
        assert!(!entry.exists() && other.join("file").exists() && folder.exists());
        assert!(!of("0123456789abcdef").clear().expect("it is gone already"));
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_only_entries_of_a_cache_are_named(text in "(ENOENT |/root/\\.npm/_npx/|\\.\\./|/|[a-f0-9]{16}|\\PC{0,3}){0,12}") {
            let variable = at_home(Path::new("/root"));
            if let Some(entry) = broken_entry(&launch(&["npx", "x"]), &text, &variable) {
                let path = entry.path();
                prop_assert!(path.components().all(|part| !matches!(part, Component::ParentDir)));
                prop_assert!(stores(&variable).iter().any(|store| path.parent() == Some(&store.folder)));
            }
        }
    }
}
