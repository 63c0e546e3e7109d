//! The environment of a server: this list, the variables of its entry, and nothing else.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use mcproxy_confine::ServerConfinement;
use mcproxy_ipc::{
    LaunchSpec, WorkerSpec,
    environment::{INSTANCE, is_runner_directory, passed_on},
};

/// The whole environment of a server, `own` being ours; later entries win.
pub(crate) fn of_server(
    launch: &LaunchSpec,
    confinement: &ServerConfinement,
    mark: &str,
    own: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let entry = launch.env.iter().map(|(name, value)| (name.into(), value.expose().into()));
    let own_places = [("HOME", &confinement.home), ("TMPDIR", &confinement.tmp)];
    let own_places = own_places.into_iter().filter(|_| confinement.hardening.is_on());
    let own_places = own_places.filter_map(|(name, path)| Some((name.into(), path.clone()?.into())));
    passed_on(own).chain(own_places).chain(entry).chain([(INSTANCE.into(), mark.into())]).collect()
}

/// The mark in the environment of a server's processes: which generation they belong to, and which of its instances.
pub(crate) fn mark(spec: &WorkerSpec, instance: Option<u32>) -> String {
    let number = instance.map(|number| format!(".{number}")).unwrap_or_default();
    format!("{}.{}{number}", spec.server, spec.generation)
}

/// The value that counts of a variable in such an environment.
pub(crate) fn lookup<'a>(environment: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsStr> {
    environment.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
}

/// Directories that servers write, besides those of runners: another user may use the same.
const MORE_DIRECTORIES: &[&str] = &["xdg_state_home", "uv_python_install_dir", "playwright_browsers_path"];

/// The directories that such an environment names for that.
pub(crate) fn caches(environment: &[(OsString, OsString)]) -> impl Iterator<Item = PathBuf> {
    let is_more = |name: &str| MORE_DIRECTORIES.iter().any(|more| name.eq_ignore_ascii_case(more));
    let is_cache = move |name: &OsStr| name.to_str().is_some_and(|name| is_runner_directory(name) || is_more(name));
    let named = environment.iter().filter(move |(name, _)| is_cache(name)).map(|(_, value)| PathBuf::from(value));
    named.filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::Secret;

    use super::*;
    use crate::session::tests::spec;

    #[test]
    fn a_server_sees_the_list_and_its_entry_and_nothing_else() {
        let spec = spec();
        let mut launch = spec.reach.command().expect("a command").clone();
        launch.env = vec![("HOME".into(), Secret::new("/elsewhere")), ("KEY".into(), Secret::new("v"))];
        let own = [("PATH", "/bin"), ("HOME", "/root"), ("GITHUB_TOKEN", "secret")];
        let own = own.map(|(name, value)| (name.into(), value.into()));
        let environment = of_server(&launch, &spec.confinement, &mark(&spec, None), own);
        assert_eq!(lookup(&environment, "PATH"), Some(OsStr::new("/bin")));
        assert_eq!(lookup(&environment, "HOME"), Some(OsStr::new("/elsewhere")));
        assert_eq!(lookup(&environment, "KEY"), Some(OsStr::new("v")));
        assert_eq!(lookup(&environment, INSTANCE), Some(OsStr::new("fixture.3")));
        assert_eq!(environment.len(), 5);
        assert_eq!(mark(&spec, Some(2)), "fixture.3.2");
    }
}
