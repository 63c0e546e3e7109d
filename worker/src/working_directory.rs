//! Where a server begins whose entry does not say: in MCProxy's working directory, as ever, unless that is no place for it.
//!
//! Servers write into the directory that they find themselves in (Playwright: `.playwright-mcp`). MCProxy's is most often the one
//! that holds its configuration, where no server can make anything, or belongs to another user. What is started from a checkout, in
//! contrast, has its program and its settings there.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use mcproxy_confine::ServerConfinement;
use mcproxy_ipc::LaunchSpec;
use rustix::fs::{Access, AtFlags, CWD, accessat};

/// Below the directory for temporary files that all runs of a server share; kept between them.
const NAME: &str = "work";
/// What package runners, and the programs that they start, look for in their working directory.
const SETTINGS: [&str; 8] =
    ["package.json", "node_modules", ".npmrc", "bunfig.toml", "pyproject.toml", "uv.toml", ".python-version", ".env"];

/// The working directory of a server that should not begin in `ours`: a directory of its own, which is made; `None`: it begins there.
/// `tmp` is for the temporary files of all its runs.
///
/// # Errors
/// The directory cannot be made.
pub(crate) fn of_its_own(
    launch: &LaunchSpec,
    confinement: &ServerConfinement,
    ours: &Path,
    tmp: &Path,
) -> io::Result<Option<PathBuf>> {
    let is_for_it = launch.cwd.is_some() || works_on_a_project(launch) || has_something_for(launch, ours);
    if !confinement.sandbox.files || is_for_it || is_writable(ours, &confinement.hidden) {
        return Ok(None);
    }
    // Some accounts have none (`nobody`).
    if let Some(home) = confinement.home.as_ref().filter(|home| is_writable(home, &[])) {
        return Ok(Some(home.clone()));
    }
    let own = tmp.join(NAME);
    match fs::DirBuilder::new().mode(0o700).create(&own) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(Some(own)),
    }
}

/// The directory that [`of_its_own`] made, of a server that begins there.
pub(crate) fn in_the_state_directory(launch: &LaunchSpec, confinement: &ServerConfinement) -> Option<PathBuf> {
    let all = confinement.tmp.as_deref().and_then(Path::parent)?;
    launch.cwd.clone().filter(|cwd| *cwd == all.join(NAME))
}

/// Whether something new can be made in it.
fn is_writable(directory: &Path, hidden: &[PathBuf]) -> bool {
    directory != Path::new("/")
        && !hidden.iter().any(|hidden| hidden.starts_with(directory))
        && accessat(CWD, directory, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

/// Whether the command is one that does something with the files around it, unless it starts a published package.
fn works_on_a_project(launch: &LaunchSpec) -> bool {
    let program = Path::new(&launch.program);
    let first = launch.args.iter().map(|arg| arg.expose()).find(|arg| !arg.starts_with('-'));
    match program.file_name().and_then(|name| name.to_str()) {
        Some("npm") => !matches!(first, Some("exec" | "x")),
        Some("bun") => !matches!(first, Some("x")),
        Some("pnpm" | "yarn") => first != Some("dlx"),
        Some("uv") => !matches!(first, Some("tool" | "x")),
        Some(
            "sh" | "bash" | "dash" | "zsh" | "make" | "just" | "task" | "mise" | "direnv" | "nix" | "cargo" | "go",
        ) => true,
        Some("deno" | "poetry" | "pdm" | "hatch" | "rye" | "pixi" | "dotnet" | "mvn" | "gradle" | "bundle") => true,
        Some("docker" | "podman" | "docker-compose" | "podman-compose") => true,
        // A path below the directory.
        _ => program.is_relative() && program.components().count() > 1,
    }
}

/// Whether the directory holds what one of its arguments names, or settings of package runners. Of what the server is to make, the
/// directory has to be there. The root directory, where services begin, is nobody's project, whatever files somebody left there.
fn has_something_for(launch: &LaunchSpec, directory: &Path) -> bool {
    let values = launch.args.iter().map(|arg| arg.expose()).map(|arg| match arg.split_once('=') {
        Some((option, value)) if option.starts_with('-') => value,
        _ => arg,
    });
    let mut names = values.filter(|value| !value.is_empty() && !value.starts_with(['-', '/', '@', '~']));
    let has = |path: &Path| directory.join(path).symlink_metadata().is_ok();
    let is_there = |name: &str| {
        let above = Path::new(name).parent().filter(|above| *above != Path::new(""));
        has(Path::new(name)) || above.is_some_and(has)
    };
    let is_project = directory != Path::new("/") && SETTINGS.into_iter().any(|name| has(Path::new(name)));
    is_project || names.any(is_there)
}

#[cfg(test)]
mod tests {
    use mcproxy_confine::Sandbox;
    use mcproxy_ipc::Secret;

    use super::*;

    fn launch(words: &[&str]) -> LaunchSpec {
        let args = words[1..].iter().map(|word| Secret::new(*word)).collect();
        LaunchSpec { program: words[0].into(), args, env: Vec::new(), cwd: None, looked_up: Vec::new() }
    }

    #[test]
    fn a_server_begins_in_a_directory_of_its_own_where_ours_holds_the_configuration() {
        let dir = tempfile::tempdir().expect("a directory");
        let (ours, tmp) = (dir.path().join("ours"), dir.path().join("tmp"));
        for path in [&ours, &tmp] {
            fs::create_dir(path).expect("made");
        }
        let confinement = ServerConfinement { hidden: vec![ours.join("mcp-servers.json")], ..Default::default() };
        let of = |words: &[&str]| of_its_own(&launch(words), &confinement, &ours, &tmp).expect("made");
        let own = Some(tmp.join(NAME));
        assert_eq!(of(&["npx", "-y", "@playwright/mcp@latest", "--headless"]), own);
        assert!(own.as_ref().is_some_and(|own| own.is_dir()));
        assert_eq!(of(&["/usr/bin/uvx", "mcp-server-git", "--repository", "/srv/x"]), own, "it is there already");
        assert_eq!(of(&["uv", "tool", "run", "x"]), own);
        assert_eq!(of(&["node", "/opt/playwright/cli.js", "--headless"]), own);
        assert_eq!(of(&["mcp-server-time"]), own);
        for project in
            [&["uv", "run", "server.py"][..], &["npm", "start"], &["cargo", "run"], &["sh", "-c", "x"], &["bin/x"]]
        {
            assert_eq!(of(project), None, "{project:?}");
        }
        fs::write(ours.join("notes"), "").expect("written");
        assert_eq!(of(&["npx", "x", "notes"]), None, "an argument names something there");
        assert_eq!(of(&["node", "notes"]), None);
        assert_eq!(of(&["npx", "x", "--file=notes"]), None);
        fs::create_dir(ours.join("out")).expect("made");
        assert_eq!(of(&["npx", "x", "--file=out/new"]), None, "it is to be made there");
        assert_eq!(of(&["npx", "x", "."]), None);
        let elsewhere = LaunchSpec { cwd: Some("/srv".into()), ..launch(&["npx", "x"]) };
        assert_eq!(of_its_own(&elsewhere, &confinement, &ours, &tmp).expect("known"), None, "its entry says where");
        fs::write(ours.join(".env"), "").expect("written");
        assert_eq!(of(&["npx", "x"]), None, "a checkout");
    }

    #[test]
    fn where_it_can_make_something_it_begins_where_it_always_did() {
        let dir = tempfile::tempdir().expect("a directory");
        let own = |confinement: &ServerConfinement, ours: &Path| {
            of_its_own(&launch(&["npx", "@scope/x"]), confinement, ours, dir.path()).expect("made")
        };
        let plain = ServerConfinement::default();
        assert_eq!(own(&plain, dir.path()), None);
        assert_eq!(own(&plain, Path::new("/")), Some(dir.path().join(NAME)), "a service's");
        let of_home = |home: PathBuf| ServerConfinement { home: Some(home), ..ServerConfinement::default() };
        let home = dir.path().join("home");
        fs::create_dir(&home).expect("made");
        assert_eq!(own(&of_home(home.clone()), Path::new("/")), Some(home));
        let homeless = of_home("/nonexistent".into());
        assert_eq!(own(&homeless, Path::new("/")), Some(dir.path().join(NAME)), "an account without one");
        let free = ServerConfinement { sandbox: Sandbox { files: false, ..Sandbox::default() }, ..plain };
        assert_eq!(own(&free, Path::new("/")), None);
    }
}
