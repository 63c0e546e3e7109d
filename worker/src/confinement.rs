//! What this worker asks the kernel to enforce on itself, and with that on its server: first who it is, before it listens to anybody,
//! and the rest when it knows its server, before that is started. It has one thread then; the threads that follow are confined as
//! well, and so is what they start. What a server may do less than its worker, the launcher asks for.

use std::{
    ffi::OsStr,
    fs, io,
    os::{fd::BorrowedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use mcproxy_confine::{
    Confinement, Degradation, Domain, FileRules, Hardening, Network, Protection, ServerCalls, ServerConfinement,
    ServerPlaces, close_on_exec, deny_programs, deny_to_servers, leave_network, take_identity,
};
use mcproxy_http::Url;
use mcproxy_ipc::{
    EmbeddingsSpec, EndReason, HttpProxy, HttpSpec, LaunchSpec, LoginPlace, OAuthGrant, Reach, SealedOrder, ServerName,
    WorkerSpec,
};
use rustix::fs::{Access, access};

use crate::{cgroup::ServerCgroup, environment, launch::LauncherProgram, login, working_directory};

/// Folders of HOME that programs make when they first need them, which they cannot do in a directory that is replaced by its
/// entries.
const USUAL: &[&str] = &[".cache", ".config", ".npm", ".local", ".local/share", ".local/state", ".local/bin"];

/// First of all, while there is one thread: this process becomes whom the order names, and gives up what it must not have. Without
/// an order nothing is asked for.
pub(crate) fn begin(order: Option<&OsStr>) -> anyhow::Result<Hardening> {
    let Some(order) = order else { return Ok(Hardening::Off) };
    let order: Confinement = SealedOrder::read(order).context("cannot read how this process is to be confined")?;
    // Best effort: it is asked for again before each start of a server.
    let _ = close_on_exec();
    if order.hardening.is_on() || order.identity.is_some() {
        take_identity(order.identity.as_ref()).context("cannot give up what a worker must not have")?;
    }
    // The supervisor's directory may be closed to another user; then a server begins in its HOME.
    if order.identity.is_some() && access(".", Access::READ_OK | Access::EXEC_OK).is_err() {
        let home = std::env::var_os("HOME").context("no HOME")?;
        std::env::set_current_dir(&home).with_context(|| format!("cannot enter {}", home.display()))?;
    }
    Ok(order.hardening)
}

/// What came of asking for all of it.
#[derive(Debug, Default)]
pub(crate) struct Confined {
    /// What cannot be had.
    pub(crate) missing: Vec<Degradation>,
    /// To be kept until the run is over.
    pub(crate) tmp: Option<RunTmp>,
}

/// The rest, for the server of `spec`. What cannot be had is left out and returned; [`refusal`] says whether that will do.
///
/// # Errors
/// The private TMPDIR cannot be made.
pub(crate) fn complete(spec: &mut WorkerSpec, launcher: &LauncherProgram) -> Result<Confined, EndReason> {
    if !spec.confinement.hardening.is_on() {
        return Ok(Confined::default());
    }
    let tmp = spec.confinement.tmp.as_deref().map(|all| {
        RunTmp::make(all).map_err(|error| {
            let place = all.display();
            EndReason::Spawn(format!("cannot make a directory for the server's temporary files in {place}: {error}"))
        })
    });
    let tmp = tmp.transpose()?;
    let all = std::mem::replace(&mut spec.confinement.tmp, tmp.as_ref().map(|tmp| tmp.0.clone()));
    if let (Some(all), Ok(ours), Reach::Command(launch)) = (all, std::env::current_dir(), &mut spec.reach) {
        let own = working_directory::of_its_own(launch, &spec.confinement, &ours, &all);
        let own = own.map_err(|error| {
            EndReason::Spawn(format!("cannot make the server's working directory in {}: {error}", all.display()))
        })?;
        launch.cwd = launch.cwd.take().or(own);
    }
    let confinement = &spec.confinement;
    if let Some(cgroup) = &spec.cgroup {
        // Without it the server is not in there, which its log says.
        let _ = ServerCgroup::at(cgroup).hold();
    }
    let missing = match &spec.reach {
        Reach::Command(launch) => confine(confinement, launch, launcher),
        Reach::Http(http) => {
            let own = login_place(http).map(|place| place.dir.as_path());
            confine_remote(confinement, own, connected_ports(http, &spec.server))
        }
        Reach::Embeddings(embeddings) => {
            let EmbeddingsSpec { http, dir, .. } = &**embeddings;
            let ports = remote_ports(http, |name| std::env::var(name).ok());
            confine_remote(confinement, dir.as_deref(), Some(ports))
        }
        // Where its keys are, its metadata says.
        Reach::Authority(_) => confine_remote(confinement, None, None),
    };
    Ok(Confined { missing, tmp })
}

/// The same for a worker that logs in at its server: which authorization server that leads to is not known yet, and so it may connect to
/// any port.
pub(crate) fn of_login(spec: &WorkerSpec) -> Vec<Degradation> {
    match &spec.reach {
        Reach::Http(http) if spec.confinement.hardening.is_on() => {
            confine_remote(&spec.confinement, login_place(http).map(|place| place.dir.as_path()), None)
        }
        Reach::Http(_) | Reach::Command(_) | Reach::Embeddings(_) | Reach::Authority(_) => Vec::new(),
    }
}

/// Why the server is not started with that missing, if all of it is wanted.
pub(crate) fn refusal(hardening: Hardening, missing: &[Degradation]) -> Option<EndReason> {
    let Degradation { protection, reason, help } = missing.first().filter(|_| hardening == Hardening::Strict)?;
    let text = format!("hardening is strict, and `{}` is missing: {reason}; {help}", protection.name());
    Some(EndReason::Spawn(text))
}

/// The directory for temporary files of this run alone, in the one that all runs of the server share: the run before it may not
/// be over yet. Removed with all that is in it when this is dropped.
#[derive(Debug)]
pub(crate) struct RunTmp(PathBuf);

impl RunTmp {
    /// Makes it, empty, and removes what runs left that were killed, as far as this user may.
    fn make(all: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().mode(0o700).recursive(true).create(all)?;
        for entry in fs::read_dir(all)?.flatten() {
            let name = entry.file_name();
            let is_of_a_run_that_lives = || Path::new("/proc").join(&name).exists();
            if name.to_str().is_some_and(|name| name.parse::<u32>().is_ok()) && !is_of_a_run_that_lives() {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let own = all.join(std::process::id().to_string());
        match fs::DirBuilder::new().mode(0o700).create(&own) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => empty(&own)?,
            made => made?,
        }
        Ok(Self(own))
    }
}

impl Drop for RunTmp {
    fn drop(&mut self) {
        // What is left is removed when the server is started again.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn confine(confinement: &ServerConfinement, launch: &LaunchSpec, launcher: &LauncherProgram) -> Vec<Degradation> {
    let mut missing = Vec::new();
    let sandbox = &confinement.sandbox;
    let connect = ports(&sandbox.network, &mut missing);
    let files = files(confinement, launch);
    let domain = Domain { files, connect, bind: sandbox.bind.clone() };
    let calls =
        ServerCalls { namespaces: sandbox.namespaces, mounts: sandbox.namespaces && !sandbox.files, attaching: false };
    missing.extend(enter(&domain, launcher.descriptor().as_slice(), calls));
    missing
}

/// Enters the domain, in which these programs may be executed, and gives up all but these calls; what cannot be had is returned.
fn enter(domain: &Domain, programs: &[BorrowedFd<'_>], calls: ServerCalls) -> Vec<Degradation> {
    let mut missing = Vec::new();
    let is_in_domain = match domain.enter_with(programs) {
        Ok(entered) => {
            missing.extend(entered.exposed.iter().map(|path| exposed(path)));
            entered.is_enforced
        }
        Err(error) => {
            missing.push(Degradation {
                protection: Protection::Files,
                reason: error.to_string(),
                help: "see that MCProxy is not itself confined more than 15 times over, and has memory".to_owned(),
            });
            false
        }
    };
    // The supervisor has looked whether there are filters at all.
    if let Err(error) = deny_to_servers(ServerCalls { attaching: is_in_domain, ..calls }) {
        missing.push(without_filters(&error));
    }
    missing
}

/// For a server that is reached over the network there is nothing to start: this process connects to these ports, reads files, writes
/// to its own directory, if it has one, and does nothing else.
fn confine_remote(confinement: &ServerConfinement, own: Option<&Path>, connect: Option<Vec<u16>>) -> Vec<Degradation> {
    let sandbox = &confinement.sandbox;
    let hidden = || confinement.hidden.iter().chain(&sandbox.deny).cloned().collect();
    let files = sandbox.files.then(|| FileRules {
        read: vec!["/".into()],
        write: vec!["/dev/null".into()],
        // It lies in the directory of MCProxy that is hidden, and is this server's own.
        write_whole: own.map(Path::to_owned).into_iter().collect(),
        hidden: hidden(),
    });
    let domain = Domain { files, connect, bind: Some(Vec::new()) };
    let calls = ServerCalls { namespaces: false, mounts: false, attaching: false };
    let mut missing = enter(&domain, &[], calls);
    if let Err(error) = deny_programs() {
        missing.push(without_filters(&error));
    }
    missing
}

fn login_place(http: &HttpSpec) -> Option<&LoginPlace> {
    http.oauth.as_ref().and_then(|oauth| oauth.place.as_ref())
}

/// The TCP ports that are connected to: those that lead to the server, and of a login that is kept those that it leads to; `None`: any,
/// because the authorization server is found by what servers say.
fn connected_ports(http: &HttpSpec, server: &ServerName) -> Option<Vec<u16>> {
    if login_place(http).is_some() && http.oauth.as_ref().is_some_and(|oauth| oauth.grant == OAuthGrant::Machine) {
        return None;
    }
    let mut ports = remote_ports(http, |name| std::env::var(name).ok());
    ports.extend(login::kept_ports(http, server));
    ports.sort_unstable();
    ports.dedup();
    Some(ports)
}

/// The TCP ports that lead to the server.
fn remote_ports(http: &HttpSpec, variable: impl Fn(&str) -> Option<String>) -> Vec<u16> {
    const DNS: u16 = 53;
    let port = |url: &str| Url::parse(url.trim()).ok().and_then(|url| url.port_or_known_default());
    let proxies = match &http.proxy {
        HttpProxy::Direct => Vec::new(),
        HttpProxy::Url(url) => vec![url.expose().to_owned()],
        HttpProxy::System => {
            let names = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
            let written = names.into_iter().filter_map(variable);
            written.map(|text| if text.contains("://") { text } else { format!("http://{text}") }).collect()
        }
    };
    let mut ports: Vec<u16> = proxies.iter().filter_map(|proxy| port(proxy)).chain(port(http.url.expose())).collect();
    ports.push(DNS);
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn without_filters(error: &io::Error) -> Degradation {
    Degradation {
        protection: Protection::SystemCalls,
        reason: format!("the kernel does not take a filter of system calls: {error}"),
        help: "use a kernel with seccomp filters, and a container that lets seccomp(2) through".to_owned(),
    }
}

/// The TCP ports that may be connected to, where that is how the network is restricted.
fn ports(network: &Network, missing: &mut Vec<Degradation>) -> Option<Vec<u16>> {
    match network {
        Network::Full => None,
        Network::Ports(ports) => Some(ports.clone()),
        Network::None => match leave_network() {
            Ok(()) => None,
            Err(error) => {
                missing.push(Degradation::without_network(&error.to_string()));
                Some(Vec::new())
            }
        },
    }
}

fn exposed(path: &Path) -> Degradation {
    Degradation {
        protection: Protection::OwnFiles,
        reason: format!("{} cannot be hidden from the server where it is", path.display()),
        help: "let MCProxy start servers as users of their own, or keep it in a directory of its own outside of /etc"
            .to_owned(),
    }
}

/// What the server may, and what this process needs besides; with the directories made that could not be made later.
fn files(confinement: &ServerConfinement, launch: &LaunchSpec) -> Option<FileRules> {
    let places = places(confinement, launch);
    let rules = rules(&places, confinement, launch)?;
    if let Some(home) = &places.home
        && rules.hidden.iter().any(|hidden| hidden.starts_with(home))
    {
        make_usual_folders(home);
    }
    let named = confinement.sandbox.write.iter().filter(|path| path.extension().is_none());
    // A cache that its environment names is most often not there when it is first used.
    for path in named.chain(&places.caches) {
        // In vain where it may not; then the server is told so as well.
        let _ = fs::DirBuilder::new().mode(0o700).recursive(true).create(path);
    }
    Some(rules)
}

/// The files of the server; `None`: all that its user may.
pub(crate) fn file_rules(confinement: &ServerConfinement, launch: &LaunchSpec) -> Option<FileRules> {
    rules(&places(confinement, launch), confinement, launch)
}

fn rules(places: &ServerPlaces, confinement: &ServerConfinement, launch: &LaunchSpec) -> Option<FileRules> {
    let mut rules = places.file_rules(&confinement.sandbox, &confinement.hidden)?;
    // They lie in the directory of MCProxy that is hidden, and are the server's own.
    rules.write_whole.extend(confinement.home.iter().chain(&confinement.tmp).cloned());
    rules.write_whole.extend(working_directory::in_the_state_directory(launch, confinement));
    Some(rules)
}

fn places(confinement: &ServerConfinement, launch: &LaunchSpec) -> ServerPlaces {
    let environment = environment::of_server(launch, confinement, "", std::env::vars_os());
    let variable =
        |name: &str| environment::lookup(&environment, name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cwd = launch.cwd.clone().or_else(|| std::env::current_dir().ok());
    let in_cwd = |path: &str| cwd.as_deref().map(|cwd| cwd.join(path)).filter(|path| path.is_file());
    let path = environment::lookup(&environment, "PATH");
    let mut arguments = launch.args.iter().map(|arg| arg.expose()).filter(|arg| !arg.starts_with('-'));
    ServerPlaces {
        home: variable("HOME"),
        tmp: variable("TMPDIR").or_else(|| confinement.sandbox.files.then(std::env::temp_dir)),
        caches: environment::caches(&environment).collect(),
        program: mcproxy_ipc::find_program(launch, path).unwrap_or_default(),
        path: path
            .map(|path| std::env::split_paths(path).filter(|path| path.is_absolute()).collect())
            .unwrap_or_default(),
        script: arguments.find_map(in_cwd),
        cwd,
    }
}

/// In vain where it may not.
fn make_usual_folders(home: &Path) {
    for folder in USUAL {
        let _ = fs::DirBuilder::new().mode(0o700).create(home.join(folder));
    }
}

/// Makes the directory if it is not there, and removes all that is in it.
fn empty(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).recursive(true).create(directory)?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // What a link points to is not in here.
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Of a worker that a person runs: the same, as that person.
///
/// # Errors
/// As [`begin`] and [`complete`].
pub(crate) fn by_hand(spec: &mut WorkerSpec, launcher: &LauncherProgram) -> anyhow::Result<Confined> {
    if spec.confinement.hardening.is_on() {
        take_identity(None).context("cannot give up what a worker must not have")?;
    }
    let confined = complete(spec, launcher).map_err(|reason| anyhow::anyhow!("{reason}"))?;
    match refusal(spec.confinement.hardening, &confined.missing) {
        Some(reason) => Err(anyhow::anyhow!("{reason}")),
        None => Ok(confined),
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::Secret;

    use super::*;

    #[test]
    fn the_directory_for_temporary_files_is_empty_when_a_run_begins() {
        let dir = tempfile::tempdir().expect("a directory");
        let (tmp, kept) = (dir.path().join("tmp/echo"), dir.path().join("kept"));
        empty(&tmp).expect("made");
        fs::create_dir_all(tmp.join("a/b")).expect("made");
        fs::write(tmp.join("a/b/c"), "x").expect("written");
        fs::write(&kept, "x").expect("written");
        std::os::unix::fs::symlink(&kept, tmp.join("link")).expect("linked");
        empty(&tmp).expect("emptied");
        assert_eq!(fs::read_dir(&tmp).expect("there").count(), 0);
        assert!(kept.exists(), "what a link points to stays");
    }

    #[test]
    fn each_run_has_a_directory_of_its_own_and_removes_those_of_runs_that_are_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let (living, over) = (dir.path().join("1"), dir.path().join(u32::MAX.to_string()));
        for run in [&living, &over] {
            fs::create_dir_all(run.join("x")).expect("made");
        }
        let own = RunTmp::make(dir.path()).expect("made");
        let path = own.0.clone();
        assert!(living.exists() && path.exists() && !over.exists());
        drop(own);
        assert!(!path.exists() && living.exists());
    }

    #[test]
    fn strict_refuses_what_best_effort_reports() {
        let missing = [Degradation::without_network("no")];
        assert_eq!(refusal(Hardening::BestEffort, &missing), None);
        assert_eq!(refusal(Hardening::Strict, &[]), None);
        assert!(
            matches!(refusal(Hardening::Strict, &missing), Some(EndReason::Spawn(text)) if text.contains("network"))
        );
    }

    #[test]
    fn a_worker_of_a_remote_server_connects_to_its_ports_only() {
        let mut http = crate::transport::http_spec("https://x/mcp", &[]);
        http.proxy = HttpProxy::System;
        let none = |_: &str| None;
        assert_eq!(remote_ports(&http, none), [53, 443]);
        let named = |name: &str| (name == "HTTPS_PROXY").then(|| "proxy:3128".to_owned());
        assert_eq!(remote_ports(&http, named), [53, 443, 3128]);
        http.proxy = HttpProxy::Direct;
        http.url = Secret::new("http://[::1]:8080/mcp");
        assert_eq!(remote_ports(&http, named), [53, 8080]);
        http.proxy = HttpProxy::Url(Secret::new("http://u:p@proxy"));
        assert_eq!(remote_ports(&http, none), [53, 80, 8080]);
    }

    #[test]
    fn a_cache_that_the_environment_names_is_made_where_it_is_not_there_yet() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = dir.path().join("not/there/yet");
        let launch = LaunchSpec {
            program: "npx".into(),
            args: Vec::new(),
            env: vec![("npm_config_cache".into(), Secret::new(cache.display().to_string()))],
            cwd: None,
            looked_up: Vec::new(),
        };
        let rules = files(&ServerConfinement::default(), &launch).expect("rules");
        assert!(cache.is_dir() && rules.write.contains(&cache));
    }

    #[test]
    fn the_places_of_a_server_are_those_of_its_environment() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("server.js"), "").expect("written");
        let launch = LaunchSpec {
            program: "/bin/sh".into(),
            args: ["--inspect", "server.js", "/etc/passwd"].map(Secret::new).into(),
            env: vec![("HOME".into(), Secret::new("/srv/home")), ("UV_CACHE_DIR".into(), Secret::new("/srv/uv"))],
            cwd: Some(dir.path().to_owned()),
            looked_up: Vec::new(),
        };
        let confinement =
            ServerConfinement { home: Some("/other".into()), tmp: Some("/t".into()), ..Default::default() };
        let found = places(&confinement, &launch);
        assert_eq!((found.home, found.tmp), (Some("/srv/home".into()), Some("/t".into())), "the entry's counts");
        assert_eq!(found.caches, [PathBuf::from("/srv/uv")]);
        assert_eq!(found.script, Some(dir.path().join("server.js")));
    }
}
