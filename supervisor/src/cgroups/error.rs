//! Why cgroups, or their controllers, cannot be had.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why there are no cgroups for servers, or none that bound them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CgroupsError {
    /// None at all, or none of version 2.
    #[error("no cgroup hierarchy of version 2 is mounted")]
    NoHierarchy,
    /// Another program divides it.
    #[error("{} is not delegated to MCProxy", path.display())]
    NotDelegated { path: PathBuf },
    /// Before Linux 5.14.
    #[error("this kernel has no cgroup.kill")]
    NoKill,
    /// There are others, or they are in a hierarchy of version 1.
    #[error("{} has none of the controllers memory, pids and cpu (but: {known})", path.display())]
    NoControllers { path: PathBuf, known: String },
    /// Where another process is, controllers cannot be divided.
    #[error("process {pid} ({name}) is in {}, too", path.display())]
    Shared { path: PathBuf, pid: String, name: String },
    /// The operating system said no.
    #[error("cannot {what} {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

impl CgroupsError {
    /// What the operator can do about it.
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::NoHierarchy => "use a system with control groups of version 2",
            Self::NotDelegated { .. } | Self::Io { .. } => {
                "with systemd, write Delegate=yes into the unit; in a container, make /sys/fs/cgroup writable \
                 (podman: --security-opt unmask=/sys/fs/cgroup)"
            }
            Self::NoKill => "use Linux 5.14 or later",
            Self::NoControllers { .. } => {
                "with systemd, write Delegate=yes into the unit; a controller that a hierarchy of version 1 holds \
                 cannot be used"
            }
            Self::Shared { .. } => "start MCProxy as the only process of its unit, scope or container",
        }
    }
}

/// Says what failed, and where.
pub(super) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CgroupsError {
    let path = path.to_owned();
    move |source| CgroupsError::Io { what, path, source }
}
