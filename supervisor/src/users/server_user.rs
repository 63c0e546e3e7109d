//! What one server runs as.

use std::{ffi::OsString, path::PathBuf};

use mcproxy_confine::{Degradation, Identity};
use mcproxy_ipc::{
    WorkerSpec,
    environment::{is_of_a_user, passed_on},
};

const TMPDIR: &str = "TMPDIR";

/// What one server runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUser {
    /// The user to become; `None`: the supervisor's.
    pub(crate) identity: Option<Identity>,
    /// Its login name, for programs that ask their environment.
    pub(crate) name: Option<String>,
    /// Its HOME; `None`: the supervisor's.
    pub(crate) home: Option<PathBuf>,
    /// Where its temporary files lie; `None`: where everybody's do.
    pub(crate) tmp: Option<PathBuf>,
    /// What it must not see and its user could.
    pub(crate) hidden: Vec<PathBuf>,
    /// What was wanted and is not so for this server.
    pub(crate) degraded: Option<Degradation>,
}

impl ServerUser {
    /// The supervisor's own user.
    pub(crate) fn ours() -> Self {
        Self { identity: None, name: None, home: None, tmp: None, hidden: Vec::new(), degraded: None }
    }

    /// Tells its worker what is its own and what it must not see.
    pub(crate) fn describe(&self, spec: &mut WorkerSpec) {
        spec.confinement.home = self.home.clone();
        spec.confinement.tmp = self.tmp.clone();
        spec.confinement.hidden = self.hidden.clone();
    }

    /// The environment of its worker, and with that of its server, which may set each of these for itself.
    pub(crate) fn environment(&self, own: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
        let is_of_us = |name: &OsString| name.to_str().is_some_and(is_of_a_user);
        let is_other = self.home.is_some();
        let own =
            passed_on(own).filter(|(name, _)| !(is_other && is_of_us(name) || self.tmp.is_some() && name == TMPDIR));
        let name = self.name.as_deref().map(OsString::from);
        let of_user = [
            ("HOME", self.home.clone().map(OsString::from)),
            ("USER", name.clone()),
            ("LOGNAME", name),
            (TMPDIR, self.tmp.clone().map(OsString::from)),
        ];
        own.chain(of_user.into_iter().filter_map(|(name, value)| Some((name.into(), value?)))).collect()
    }
}
