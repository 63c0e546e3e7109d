//! The cgroup that we were started in, and whether it is ours to divide.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access, getxattr};

use super::error::CgroupsError;

/// The cgroup that we are in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OwnCgroup {
    pub(super) path: PathBuf,
    /// Nothing above it can be seen: a container's, or a hierarchy that nobody manages.
    is_root: bool,
}

impl OwnCgroup {
    /// Ours to divide. Some of what says so is for processes with all privileges only, so it is asked for before they are
    /// given up.
    pub(super) fn delegated() -> Result<Self, CgroupsError> {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let own =
            Self::find(&text("/proc/self/cgroup"), &text("/proc/self/mountinfo")).ok_or(CgroupsError::NoHierarchy)?;
        if own.is_delegated() { Ok(own) } else { Err(CgroupsError::NotDelegated { path: own.path }) }
    }

    /// From what `/proc` says of our cgroup and of what is mounted where.
    fn find(cgroup: &str, mountinfo: &str) -> Option<Self> {
        let inside = Path::new(cgroup.lines().find_map(|line| line.strip_prefix("0::"))?);
        mountinfo.lines().find_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            let mut fields = place.split(' ').skip(3);
            let (root, mount) = (fields.next()?, fields.next()?);
            // Written with escapes; nobody mounts it in such a place.
            if !kind.starts_with("cgroup2 ") || mount.contains('\\') {
                return None;
            }
            let below = inside.strip_prefix(root).ok()?;
            let path = if below == Path::new("") { PathBuf::from(mount) } else { Path::new(mount).join(below) };
            Some(Self { path, is_root: inside == Path::new("/") })
        })
    }

    /// Whether it is ours to divide. Root may write everywhere, so for it the word of the service manager counts
    /// (`Delegate=` in systemd sets an attribute).
    fn is_delegated(&self) -> bool {
        let can_write = |path: &Path| access(path, Access::WRITE_OK).is_ok();
        let marked = |name: &str| {
            let mut value = [0; 1];
            getxattr(&self.path, name, &mut value).is_ok_and(|len| value[..len] == *b"1")
        };
        can_write(&self.path)
            && can_write(&self.path.join("cgroup.procs"))
            && (!rustix::process::geteuid().is_root()
                || self.is_root
                || marked("trusted.delegate")
                || marked("user.delegate"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "35 24 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                          36 24 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn our_cgroup_is_found_where_it_is_mounted() {
        let found = OwnCgroup::find("4:memory:/x\n0::/a.slice/b.service\n", HYBRID).expect("mounted");
        assert_eq!(found, OwnCgroup { path: "/sys/fs/cgroup/unified/a.slice/b.service".into(), is_root: false });
        let found = OwnCgroup::find("0::/\n", HYBRID).expect("mounted");
        assert_eq!(found, OwnCgroup { path: "/sys/fs/cgroup/unified".into(), is_root: true });
        let bound = "36 24 0:31 /docker/abc /sys/fs/cgroup ro shared:9 - cgroup2 cgroup rw";
        let found = OwnCgroup::find("0::/docker/abc", bound).expect("mounted");
        assert_eq!(found, OwnCgroup { path: "/sys/fs/cgroup".into(), is_root: false });
    }

    #[test]
    fn without_version_two_or_with_our_part_unmounted_there_is_none() {
        assert_eq!(OwnCgroup::find("4:memory:/x\n", HYBRID), None);
        assert_eq!(OwnCgroup::find("0::/\n", "35 24 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"), None);
        assert_eq!(OwnCgroup::find("0::/elsewhere", "36 24 0:31 /docker/abc /m ro - cgroup2 cgroup rw"), None);
        assert_eq!(OwnCgroup::find("nonsense", "nonsense"), None);
    }
}
