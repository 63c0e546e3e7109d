//! Entries of package runners' caches, and which of them is broken, told by what a server said when it ended (`complaint.rs`). An
//! installation that is killed leaves one that its runner takes for complete at every later start.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
};

use mcproxy_ipc::{
    LaunchSpec, processes,
    regular_file::{self, Links},
};
use serde_json::Value;

use super::{
    complaint::{commands, missing},
    lock::InstallLock,
    npx,
};

/// The longest description of a package that is read; a longer one counts as broken.
const MAX_DESCRIPTION: u64 = 1024 * 1024;

/// A folder of a runner's cache: each folder in it is one entry, complete in itself and made again when it is missing.
#[derive(Debug)]
struct Store {
    folder: PathBuf,
    is_entry: fn(&str) -> bool,
}

/// An entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CacheEntry {
    folder: PathBuf,
    name: String,
}

/// Where npm keeps what `npx` installs, for a server with this environment.
pub(super) fn npx_folder(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let cache = variable("npm_config_cache").or_else(|| variable("NPM_CONFIG_CACHE"));
    Some(cache.or_else(|| Some(variable("HOME")?.join(".npm")))?.join("_npx"))
}

/// The entry that `npx` will use.
pub(super) fn npx_entry(launch: &LaunchSpec, variable: &dyn Fn(&str) -> Option<PathBuf>) -> Option<CacheEntry> {
    let arguments: Vec<&str> = launch.args.iter().map(|argument| argument.expose()).collect();
    Some(CacheEntry { name: npx::entry_name(&launch.program, &arguments)?, folder: npx_folder(variable)? })
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

/// The words of `npx` about a package that has no command, or is not whole.
const NO_COMMAND: &str = "could not determine executable to run";

/// The entry that a server of this command was started from and that its last words call broken: something below it is missing
/// or cut short, or the command that `npx` found in it is.
pub(crate) fn broken_entry(
    launch: &LaunchSpec,
    stderr: &str,
    variable: &dyn Fn(&str) -> Option<PathBuf>,
) -> Option<CacheEntry> {
    let own = npx_entry(launch, variable);
    let stores = stores(variable);
    let named = missing(stderr).iter().find_map(|path| {
        let entry = stores.iter().find_map(|store| store.holding(path))?;
        // An entry that another server was started from is not this one's to remove.
        own.as_ref().is_none_or(|own| *own == entry).then_some(entry)
    });
    named.or_else(|| own.filter(|own| own.lacks_its_command(launch, stderr)))
}

impl Store {
    /// The entry that a path lies in.
    fn holding(&self, path: &Path) -> Option<CacheEntry> {
        // Programs name files by the path they were started with, or by what that is in the end.
        let real = fs::canonicalize(&self.folder).ok();
        let below = [Some(&self.folder), real.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|folder| path.strip_prefix(folder).ok())?;
        let names: Option<Vec<&str>> = below
            .components()
            .map(|part| if let Component::Normal(name) = part { name.to_str() } else { None })
            .collect();
        let name = names?.first().copied().filter(|name| (self.is_entry)(name))?;
        Some(CacheEntry { folder: self.folder.clone(), name: name.to_owned() })
    }
}

impl CacheEntry {
    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Whether the command that `npx` was to run is not there. A package that is whole says which commands it has: another one
    /// that is missing is a matter of its server, and a package without any stays as it is.
    fn lacks_its_command(&self, launch: &LaunchSpec, stderr: &str) -> bool {
        let commands: Vec<&str> = commands(stderr).collect();
        if commands.is_empty() && !stderr.lines().any(|line| line.trim_end().ends_with(NO_COMMAND)) {
            return false;
        }
        let arguments: Vec<&str> = launch.args.iter().map(|argument| argument.expose()).collect();
        npx::package_names(&launch.program, &arguments).iter().any(|name| {
            match commands_of(&self.path().join("node_modules").join(name)) {
                Some(own) => commands.iter().any(|command| own.iter().any(|own| own == command)),
                None => true,
            }
        })
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
        let Some(_turn) = InstallLock::take(&path)? else { return Ok(false) };
        if is_used(&path) {
            return Ok(false);
        }
        fs::remove_dir_all(&path)?;
        Ok(true)
    }
}

/// The commands of a package in this folder; `None`: it is not whole.
fn commands_of(package: &Path) -> Option<Vec<String>> {
    // Whatever runs as this user may have put something else there.
    let mut text = Vec::new();
    let file = regular_file::open(&package.join("package.json"), Links::Follow).ok()?;
    file.take(MAX_DESCRIPTION).read_to_end(&mut text).ok()?;
    let description: Value = serde_json::from_slice(&text).ok()?;
    Some(match &description["bin"] {
        Value::Object(commands) => commands.keys().cloned().collect(),
        // One program is the command of the package's own name.
        Value::String(_) => package.file_name().map(|name| name.to_string_lossy().into_owned()).into_iter().collect(),
        _ => Vec::new(),
    })
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
        LaunchSpec { program: words[0].into(), args, env: Vec::new(), cwd: None, looked_up: Vec::new() }
    }

    fn at_home(home: &Path) -> impl Fn(&str) -> Option<PathBuf> {
        let home = home.to_owned();
        move |name: &str| (name == "HOME").then(|| home.clone())
    }

    const EVERYTHING: &str = "@modelcontextprotocol/server-everything";

    fn found(words: &[&str], stderr: &str) -> Option<String> {
        let variable = at_home(Path::new("/no/home"));
        broken_entry(&launch(words), stderr, &variable).map(|entry| entry.path().display().to_string())
    }

    #[test]
    fn a_broken_entry_is_known_by_what_its_server_says() {
        let npx = ["npx", "-y", EVERYTHING];
        let own = Some("/no/home/.npm/_npx/5b2dd62b9d0bddd4".to_owned());
        for stderr in [
            "node:internal/modules/cjs/loader:1228\n  throw err;\n  ^\n\nError: Cannot find module 'zod'\nRequire stack:\n- ENTRY/node_modules/x/index.js\n    at Function._resolveFilename (node:internal/modules/cjs/loader:1225:15)\n",
            "Error: Cannot find module './lib/a'\nRequire stack:\n- ENTRY/node_modules/x/index.js\n",
            "Error: Cannot find module 'ENTRY/node_modules/x/dist/index.js'\n    at Function._resolveFilename\n",
            "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'zod' imported from ENTRY/node_modules/x/i.js\n",
            "Error [ERR_MODULE_NOT_FOUND]: Cannot find module 'ENTRY/node_modules/zod/index.js' imported from ENTRY/node_modules/x/i.js\n",
            "Error: Invalid package config ENTRY/node_modules/zod/package.json.\n",
            "SyntaxError: Error parsing ENTRY/node_modules/zod/package.json: Unexpected end of JSON input\n    at parse (node:internal/modules/package_json_reader:1:1)\n",
            "npm error code ENOTEMPTY\nnpm error syscall rename\nnpm error path ENTRY/node_modules/x\nnpm error errno -39\n",
            "npm ERR! code EJSONPARSE\nnpm ERR! path ENTRY/package.json\n",
            "Error: ENOENT: no such file or directory, open 'ENTRY/node_modules/x/data.json'\n    at Object.open (node:internal/fs/promises:634:25)\n",
            "Error: spawn ENTRY/node_modules/x/bin/tool ENOENT\n",
            "ENTRY/node_modules/x/i.js:9\n\n\n\nSyntaxError: Unexpected end of input\n    at wrapSafe (node:internal/modules/cjs/loader:1378:20)\n",
            "file://ENTRY/node_modules/x/i.js:9\nimport { a } from 'zod'\n         ^\nSyntaxError: The requested module 'zod' does not provide an export named 'a'\n    at ModuleJob._instantiate (node:internal/modules/esm/module_job:180:21)\n",
            "sh: 1: mcp-server-everything: not found\n",
            "sh: line 1: mcp-server-everything: command not found\n",
            "npm error could not determine executable to run\n",
        ] {
            let stderr = stderr.replace("ENTRY", "/no/home/.npm/_npx/5b2dd62b9d0bddd4");
            assert_eq!(found(&npx, &stderr), own, "{stderr}");
        }
        let uv = Some("/no/home/.cache/uv/archive-v0/Ab_9-xyzQ".to_owned());
        for stderr in [
            "Traceback (most recent call last):\n  File \"ENTRY/bin/x\", line 6, in <module>\n    from x import main\n  File \"ENTRY/lib/x.py\", line 1, in <module>\n    import y\nModuleNotFoundError: No module named 'y'\n",
            "  File \"ENTRY/bin/x\", line 6, in <module>\n    from x import main\nImportError: cannot import name 'main' from 'x' (ENTRY/lib/x/__init__.py)\n",
            "  File \"ENTRY/bin/x\", line 6, in <module>\nImportError: cannot import name 'main' from 'x' (unknown location)\n",
            "  File \"ENTRY/lib/x.py\", line 9\n    foo(\n       ^\nSyntaxError: '(' was never closed\n",
            "FileNotFoundError: [Errno 2] No such file or directory: 'ENTRY/lib/x/data.json'\n",
            "ImportError: ENTRY/lib/x.so: file too short\n",
            "error: failed to open file `ENTRY/pyvenv.cfg`: No such file or directory (os error 2)\n",
        ] {
            let stderr = stderr.replace("ENTRY", "/no/home/.cache/uv/archive-v0/Ab_9-xyzQ");
            assert_eq!(found(&["uvx", "x"], &stderr), uv, "{stderr}");
        }
        let of_bun = "error: Cannot find package \"zod\" from \"/tmp/bunx-0-x@latest/node_modules/x/i.js\"\n";
        assert_eq!(found(&["bunx", "x"], of_bun), Some("/tmp/bunx-0-x@latest".to_owned()));
    }

    #[test]
    fn a_failure_whose_trace_goes_through_an_entry_leaves_it_as_it_is() {
        let npx = ["npx", "-y", EVERYTHING];
        for stderr in [
            "Error: ENOENT: no such file or directory, open '/srv/config.json'\n    at Object.open (node:internal/fs:1:1)\n    at load (ENTRY/node_modules/x/i.js:9:1) {\n  errno: -2,\n  code: 'ENOENT',\n  syscall: 'open',\n  path: '/srv/config.json'\n}\n",
            "Error: ENOENT: no such file or directory, open 'config.json'\n    at load (ENTRY/node_modules/x/i.js:9:1)\n",
            "{\"level\":\"error\",\"msg\":\"ENOENT: no such file or directory, open 'config.json'\",\"stack\":\"at ENTRY/node_modules/x/i.js:9:1\"}\n",
            "[ENTRY/node_modules/x/i.js:9] ENOENT\n",
            "Error: spawn git ENOENT\n    at run (ENTRY/node_modules/x/i.js:9:1)\n",
            "Error: Cannot find module '/srv/plugin.js'\nRequire stack:\n- ENTRY/node_modules/x/i.js\n",
            "Error: Cannot find module '../../../../../../srv/plugin.js'\nRequire stack:\n- ENTRY/node_modules/x/i.js\n",
            "Error [ERR_MODULE_NOT_FOUND]: Cannot find module '/srv/plugin.js' imported from ENTRY/node_modules/x/i.js\n",
            "<anonymous>:1\n\nSyntaxError: Unexpected end of JSON input\n    at JSON.parse (<anonymous>)\n    at load (ENTRY/node_modules/x/i.js:9:1)\n",
            "ENTRY/node_modules/x/i.js:9\n    throw error;\n    ^\n\nSyntaxError: Unexpected token 'a'\n    at JSON.parse (<anonymous>)\n    at load (ENTRY/node_modules/x/i.js:9:1)\n",
            "ENTRY/node_modules/x/i.js:9\nError: API_KEY is not set\n",
            "Broken pipe\n    at ENTRY/node_modules/x/i.js:9:1\n",
            "/bin/sh: 1: git: not found\n    at ENTRY/node_modules/x/i.js:9:1\n",
            "npm error code ENOENT\nnpm error path /srv/package.json\nnpm error ENTRY/x\n",
            "npm error code E404\nnpm error path ENTRY\n",
            "",
        ] {
            let stderr = stderr.replace("ENTRY", "/no/home/.npm/_npx/5b2dd62b9d0bddd4");
            assert_eq!(found(&npx, &stderr), None, "{stderr}");
        }
        for stderr in [
            "  File \"ENTRY/lib/x.py\", line 1, in load\nFileNotFoundError: [Errno 2] No such file or directory: '/srv/config.toml'\n",
            "  File \"ENTRY/lib/x.py\", line 1, in load\nFileNotFoundError: [Errno 2] No such file or directory: 'config.toml'\n",
            "  File \"ENTRY/lib/x.py\", line 1, in load\n  File \"/usr/lib/python3.12/importlib/__init__.py\", line 90, in import_module\n  File \"<frozen importlib._bootstrap>\", line 1387, in _gcd_import\nModuleNotFoundError: No module named 'plugin'\n",
            "  File \"ENTRY/lib/cv2/__init__.py\", line 1, in <module>\nImportError: libGL.so.1: cannot open shared object file: No such file or directory\n",
            "ENOENT: /no/home/.cache/uv/archive-v0/../../../.ssh/id\n",
            "ENOENT: /elsewhere/.cache/uv/archive-v0/Ab_9-xyzQ/x\n",
        ] {
            let stderr = stderr.replace("ENTRY", "/no/home/.cache/uv/archive-v0/Ab_9-xyzQ");
            assert_eq!(found(&["uvx", "x"], &stderr), None, "{stderr}");
        }
        assert_eq!(found(&["node", "x"], "sh: 1: x: not found\n"), None);
    }

    #[test]
    fn no_server_has_the_entry_of_another_removed() {
        let stderr = "Error: Cannot find module '/no/home/.npm/_npx/0123456789abcdef/node_modules/x/i.js'\n";
        assert_eq!(found(&["npx", "-y", EVERYTHING], stderr), None);
        let wrapped = ["sh", "-c", "npx x"];
        assert_eq!(
            found(&wrapped, stderr),
            Some("/no/home/.npm/_npx/0123456789abcdef".to_owned()),
            "whose is not known"
        );
    }

    #[test]
    fn a_command_that_a_whole_package_does_not_have_is_not_its_entrys() {
        let home = tempfile::tempdir().expect("a directory");
        let variable = at_home(home.path());
        let package = home.path().join(".npm/_npx/5b2dd62b9d0bddd4/node_modules").join(EVERYTHING);
        fs::create_dir_all(&package).expect("made");
        let found = |stderr: &str| broken_entry(&launch(&["npx", "-y", EVERYTHING]), stderr, &variable).is_some();
        let (own, other, none) = (
            "sh: 1: mcp-server-everything: not found\n",
            "sh: 1: git: not found\n",
            "npm error could not determine executable to run\n",
        );
        assert_eq!([own, other, none].map(found), [true, true, true], "half of it is not there");
        fs::write(package.join("package.json"), r#"{"bin":{"mcp-server-everything":"i.js"}}"#).expect("written");
        assert_eq!([own, other, none].map(found), [true, false, false]);
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
        let of = |name: &str| CacheEntry { folder: folder.clone(), name: name.to_owned() };
        let in_use = InstallLock::take(&entry).expect("opened");
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
