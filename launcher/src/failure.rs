//! Why a server is not started, in words for whoever has to mend it.

use std::{io, path::PathBuf};

use rustix::io::Errno;

/// Why a launcher did not become its server.
#[derive(Debug, thiserror::Error)]
pub enum LaunchFailure {
    /// It does not know what to do.
    #[error("the launcher cannot read its order: {0}")]
    Order(#[source] io::Error),
    /// Nobody would look after the server.
    #[error("the worker that started it is gone")]
    Orphaned,
    /// It could not be told that it is in its cgroup.
    #[error("the launcher cannot wait for its cgroup: {0}")]
    Wait(#[source] io::Error),
    /// The kernel refused something.
    #[error("the server cannot be confined: {0}; see `mcproxy doctor security`")]
    Confine(#[source] io::Error),
    /// The program was not executed.
    #[error("{} cannot be executed: {source}{}", program.display(), hint(source))]
    Exec {
        /// What was to be executed.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What most likely stands behind an error of execve(2), once the program was found and is executable.
fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT) => "; it, or the interpreter that its first line names, does not exist",
        Some(Errno::ACCESS | Errno::PERM) => {
            "; its mode (`chmod +x`), that of its interpreter, a file system without execution (`noexec`) or its `sandbox` \
             (`read`) forbids it"
        }
        Some(Errno::TOOBIG) => "; its arguments and its environment are too large for this system",
        Some(Errno::TXTBSY) => "; it is being written at the moment",
        Some(Errno::NOMEM | Errno::AGAIN) => {
            "; memory or the number of processes is exhausted (`limits`, or the machine's)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_executed_is_named_with_what_helps() {
        let text = |errno: Errno| LaunchFailure::Exec { program: "/srv/tool".into(), source: errno.into() }.to_string();
        assert!(
            text(Errno::NOENT).starts_with("/srv/tool cannot be executed: No such file or directory (os error 2); ")
        );
        assert!(text(Errno::ACCESS).contains("chmod +x") && text(Errno::ACCESS).contains("`sandbox`"));
        assert!(text(Errno::LOOP).ends_with("(os error 40)"));
    }
}
