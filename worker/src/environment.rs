//! The environment of a server: this list, the variables of its entry, and nothing else.

use std::ffi::{OsStr, OsString};

use mcproxy_ipc::{
    LaunchSpec, WorkerSpec,
    environment::{INSTANCE, passed_on},
};

/// The whole environment of a server, `own` being ours; later entries win.
pub(crate) fn of_server(
    launch: &LaunchSpec,
    mark: &str,
    own: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let entry = launch.env.iter().map(|(name, value)| (name.into(), value.expose().into()));
    passed_on(own).chain(entry).chain([(INSTANCE.into(), mark.into())]).collect()
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
        let environment = of_server(&launch, &mark(&spec, None), own);
        assert_eq!(lookup(&environment, "PATH"), Some(OsStr::new("/bin")));
        assert_eq!(lookup(&environment, "HOME"), Some(OsStr::new("/elsewhere")));
        assert_eq!(lookup(&environment, "KEY"), Some(OsStr::new("v")));
        assert_eq!(lookup(&environment, INSTANCE), Some(OsStr::new("fixture.3")));
        assert_eq!(environment.len(), 5);
        assert_eq!(mark(&spec, Some(2)), "fixture.3.2");
    }
}
