//! Control groups of version 2 (cgroups(7)) for the trees of servers: one for each incarnation, below our own cgroup, where
//! that is ours to divide. What is in one can be killed at once, whoever its parent is and whatever user it became, and is
//! found by the next start when all of us were killed. Without any, trees are found by their parents (`orphans`).

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use mcproxy_ipc::{Generation, ServerName};
use rustix::fs::{Access, access, getxattr};

/// How long killed leftovers may take to go.
const GONE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);

/// Why there are no cgroups for servers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CgroupsError {
    /// None at all, or none of version 2.
    #[error("no cgroup hierarchy of version 2 is mounted")]
    NoHierarchy,
    /// Another program divides it.
    #[error("{} is not delegated to us", path.display())]
    NotDelegated { path: PathBuf },
    /// Before Linux 5.14.
    #[error("this kernel has no cgroup.kill")]
    NoKill,
    /// The operating system said no.
    #[error("cannot {what} {}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The directory of our cgroups. Removed at the end.
#[derive(Debug)]
pub(crate) struct Cgroups {
    base: PathBuf,
}

/// The cgroup of one incarnation. Whatever is in it at the end is killed.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroups {
    /// Below our own cgroup, under a name that belongs to our runtime directory: what is there already is what an earlier
    /// supervisor left, and is killed.
    pub(crate) async fn open(identity: &str) -> Result<Self, CgroupsError> {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let own = OwnCgroup::find(&text("/proc/self/cgroup"), &text("/proc/self/mountinfo"))
            .ok_or(CgroupsError::NoHierarchy)?;
        if !own.is_delegated() {
            return Err(CgroupsError::NotDelegated { path: own.path });
        }
        let base = own.path.join(identity);
        clear(&base).await?;
        fs::create_dir(&base).map_err(io_error("create", &base))?;
        let cgroups = Self { base };
        if cgroups.base.join("cgroup.kill").exists() { Ok(cgroups) } else { Err(CgroupsError::NoKill) }
    }

    /// A new one for this incarnation.
    pub(crate) fn create(&self, server: &ServerName, generation: Generation) -> Result<Cgroup, CgroupsError> {
        let path = self.base.join(format!("{server}.{generation}"));
        fs::create_dir(&path).map_err(io_error("create", &path))?;
        Ok(Cgroup { path })
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // Those that were not empty yet when their worker had ended.
        remove_below(&self.base);
        let _ = fs::remove_dir(&self.base);
    }
}

impl Cgroup {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
        // In vain while a process in it is still ending; then it is done at the end.
        let _ = fs::remove_dir(&self.path);
    }
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CgroupsError {
    let path = path.to_owned();
    move |source| CgroupsError::Io { what, path, source }
}

/// Kills what is in there and removes it.
async fn clear(base: &Path) -> Result<(), CgroupsError> {
    let until = tokio::time::Instant::now() + GONE;
    while base.exists() {
        // It holds for all cgroups below as well.
        let _ = fs::write(base.join("cgroup.kill"), "1");
        remove_below(base);
        match fs::remove_dir(base) {
            Err(source) if tokio::time::Instant::now() > until => return Err(io_error("remove", base)(source)),
            Err(_) => tokio::time::sleep(LOOK).await,
            Ok(()) => {}
        }
    }
    Ok(())
}

fn remove_below(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// The cgroup that we are in.
#[derive(Debug, PartialEq, Eq)]
struct OwnCgroup {
    path: PathBuf,
    /// Nothing above it can be seen: a container's, or a hierarchy that nobody manages.
    is_root: bool,
}

impl OwnCgroup {
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
