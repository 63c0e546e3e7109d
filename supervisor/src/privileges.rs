//! What the supervisor gives up once it has what only a privileged process gets: its port, its directories.

use std::{
    cell::RefCell,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use mcproxy_config::{Config, Uids};
use mcproxy_confine::{Degradation, Hardening, Protection, keep_user_capabilities, may_change_users};
use mcproxy_ipc::our_program;

use crate::{
    child::Programs,
    runtime_dir::Paths,
    state_dir::StateDir,
    users::{Users, UsersParts},
};

/// Gives up what is not needed any more, if anything is to be enforced at all, and finds out who will run as which user. With
/// what of that cannot be had.
pub(crate) fn limit(
    config: &Config,
    file: &Path,
    state: Option<&StateDir>,
    runtime: &Paths,
) -> io::Result<(Users, Vec<Degradation>)> {
    let (file, is_on) = (std::path::absolute(file)?, config.hardening.is_on());
    let (programs, state) = (Programs::find()?, state.map(StateDir::path).filter(|_| is_on));
    let capabilities = if is_on { give_up(&file, state) } else { None };
    // Where there is no launcher, each start says so.
    let ours: Vec<PathBuf> = programs.all().chain(our_program("mcproxy-launch").ok()).collect();
    let hidden = [Some(&*file), state, Some(runtime.dir())].into_iter().flatten();
    let (users, no_users) = Users::open(&UsersParts {
        strict: config.hardening == Hardening::Strict,
        uids: if is_on { config.isolation.uids } else { Uids::Off },
        may_change: may_change_users(),
        state,
        hidden: if is_on { hidden.map(Path::to_owned).collect() } else { Vec::new() },
        programs: &ours,
    });
    Ok((users, capabilities.into_iter().chain(no_users).collect()))
}

/// Gives up all but what starts others as other users (docs/decisions/0134). From now on files are used as the user that we are;
/// if `config` or `state` cannot be used so, what they need is kept and named. To be called before there is a second thread.
fn give_up(config: &Path, state: Option<&Path>) -> Option<Degradation> {
    let needs_more = RefCell::new(None);
    let works = || match out_of_reach(config, state) {
        Some(path) => {
            needs_more.borrow_mut().get_or_insert(path);
            false
        }
        None => true,
    };
    let (reason, help) = match keep_user_capabilities(works) {
        Ok(extra) if extra.is_empty() => return None,
        Ok(extra) => {
            let path = needs_more.into_inner().unwrap_or_default().display().to_string();
            let reason =
                format!("the supervisor keeps {}: without it, {path} is out of its reach", extra.join(" and "));
            (reason, format!("let {path}, and the directories above it, belong to the user that MCProxy runs as"))
        }
        Err(error) => (
            format!("the supervisor cannot give up its capabilities: {error}"),
            "see whether a seccomp filter or a setting of the service forbids capset(2) or prctl(2)".to_owned(),
        ),
    };
    Some(Degradation { protection: Protection::Capabilities, reason, help })
}

/// Which of these we may not use. What is wrong with it for another reason is found where it is used.
fn out_of_reach(config: &Path, state: Option<&Path>) -> Option<PathBuf> {
    let denied = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    let is_denied = |path: &Path| match fs::metadata(path) {
        // Nothing but a file or a directory is opened: a pipe would keep us waiting.
        Ok(meta) if meta.is_file() || meta.is_dir() => File::open(path).is_err_and(denied),
        Ok(_) => false,
        Err(error) => denied(error),
    };
    [Some(config), state].into_iter().flatten().find(|path| is_denied(path)).map(Path::to_owned)
}
