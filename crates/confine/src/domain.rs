//! A Landlock domain: which files, ports and processes a process and all that it starts may reach (landlock(7)). Domains nest; what
//! is inside two of them may do what both allow.

use std::{
    collections::BTreeSet,
    io,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{CWD, Mode, OFlags, openat};

use serde::{Deserialize, Serialize};

use crate::own_files::{entries, resolved, without_hidden};

/// What is asked of the kernel: files as far as Linux 6.2 knows them, and sockets with a path, which later ones know.
/// `ioctl` on devices stays as file modes have it: terminals and graphics need it.
fn handled() -> BitFlags<AccessFs> {
    AccessFs::from_all(ABI::V3) | AccessFs::ResolveUnix
}

fn reading() -> BitFlags<AccessFs> {
    AccessFs::from_read(ABI::V3) | AccessFs::ResolveUnix
}

/// What a process may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// Files; `None`: as the file modes say.
    pub files: Option<FileRules>,
    /// TCP ports that may be connected to; `None`: any.
    pub connect: Option<Vec<u16>>,
    /// TCP ports that may be bound; `None`: any.
    pub bind: Option<Vec<u16>>,
}

/// What became of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// Hidden paths that are in reach all the same.
    pub exposed: BTreeSet<PathBuf>,
    /// Whether the process is in a domain at all.
    pub is_enforced: bool,
}

/// Which files may be reached. What does not exist is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRules {
    /// Read and executed, without what is hidden.
    pub read: Vec<PathBuf>,
    /// Also written, without what is hidden.
    pub write: Vec<PathBuf>,
    /// Also written, whatever of it is hidden: somebody said so.
    pub write_whole: Vec<PathBuf>,
    /// Out of reach. The names in such a directory can be listed where `read` has a directory above it: rights to
    /// directories are rights to all below, and without this one no program could list `/` or HOME.
    pub hidden: Vec<PathBuf>,
}

impl Domain {
    /// Enters it for good. Signals and abstract sockets stay inside in any case. What this kernel cannot keep is left out
    /// ([`crate::Kernel`] says what that is).
    ///
    /// # Errors
    /// The kernel has Landlock and did not take the domain, or a directory cannot be looked at.
    pub fn enter(&self) -> io::Result<Entered> {
        self.enter_with(&[])
    }

    /// The same with these programs, which are open already: they may be executed wherever they lie.
    ///
    /// # Errors
    /// As [`Self::enter`].
    pub fn enter_with(&self, programs: &[BorrowedFd<'_>]) -> io::Result<Entered> {
        let mut exposed = BTreeSet::new();
        let mut rules = self.ruleset().map_err(refused)?;
        match &self.files {
            Some(files) => {
                files.allow(&mut rules, &mut exposed)?;
                for program in programs {
                    let access = AccessFs::Execute | AccessFs::ReadFile;
                    (&mut rules).add_rule(PathBeneath::new(program, access)).map_err(refused)?;
                }
            }
            None => allow(&mut rules, Path::new("/"), AccessFs::Refer.into()),
        }
        for (ports, access) in [(&self.connect, AccessNet::ConnectTcp), (&self.bind, AccessNet::BindTcp)] {
            for port in ports.iter().flatten() {
                (&mut rules).add_rule(NetPort::new(*port, access)).map_err(refused)?;
            }
        }
        let status = rules.restrict_self().map_err(refused)?;
        Ok(Entered { exposed, is_enforced: status.ruleset != RulesetStatus::NotEnforced })
    }

    fn ruleset(&self) -> Result<RulesetCreated, RulesetError> {
        let mut rules = Ruleset::default().scope(Scope::from_all(ABI::V6))?;
        // A domain that says nothing of files refuses to move them from one directory to another all the same: this right
        // is the one that each domain has to give (landlock(7), LANDLOCK_ACCESS_FS_REFER).
        rules = rules.handle_access(if self.files.is_some() { handled() } else { AccessFs::Refer.into() })?;
        for (ports, access) in [(&self.connect, AccessNet::ConnectTcp), (&self.bind, AccessNet::BindTcp)] {
            if ports.is_some() {
                rules = rules.handle_access(access)?;
            }
        }
        rules.create()
    }
}

impl FileRules {
    fn allow(&self, rules: &mut RulesetCreated, exposed: &mut BTreeSet<PathBuf>) -> io::Result<()> {
        let whole: Vec<PathBuf> = self.write_whole.iter().map(|path| resolved(path)).collect();
        let hidden: Vec<PathBuf> = self.hidden.iter().map(|path| resolved(path)).collect();
        // Somebody said that it may be written.
        let is_exempt = |hidden: &PathBuf| whole.iter().any(|whole| hidden.starts_with(whole));
        let hidden: Vec<PathBuf> = hidden.into_iter().filter(|hidden| !is_exempt(hidden)).collect();
        for root in &whole {
            allow(rules, root, handled());
        }
        for (roots, access) in [(&self.read, reading()), (&self.write, handled())] {
            for root in roots.iter().map(|path| resolved(path)) {
                if hidden.iter().any(|hidden| hidden.starts_with(&root) && *hidden != root) {
                    allow(rules, &root, AccessFs::ReadDir.into());
                }
                let allowed = without_hidden(&root, &hidden, &mut entries);
                exposed.extend(allowed.exposed);
                for path in allowed.paths {
                    allow(rules, &path, access);
                }
            }
        }
        Ok(())
    }
}

/// A path that is gone or cannot be opened cannot be used either.
fn allow(rules: &mut RulesetCreated, path: &Path, access: BitFlags<AccessFs>) {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let Ok(file) = openat(CWD, path, flags, Mode::empty()) else { return };
    // Rights that only directories have are left out by `landlock`; nothing else can be wrong with what was opened just now.
    let _ = rules.add_rule(PathBeneath::new(file, access));
}

fn refused(error: RulesetError) -> io::Error {
    io::Error::other(format!("Landlock refused: {error}"))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{ErrorKind, Write as _},
        net::{TcpListener, TcpStream},
        thread,
    };

    use super::*;
    use crate::{Kernel, Landlock};

    /// Does this in a thread that has entered the domain, without capabilities: some of those pass Landlock by.
    fn inside<T: Send + 'static>(domain: Domain, deed: impl FnOnce(Entered) -> T + Send + 'static) -> T {
        let deed = move || {
            crate::take_identity(None).expect("given up");
            deed(domain.enter().expect("entered"))
        };
        thread::spawn(deed).join().expect("no panic")
    }

    fn has(wanted: Landlock) -> bool {
        let landlock = Kernel::probe().landlock;
        if landlock < wanted {
            let _ = writeln!(io::stderr(), "not tested: this kernel has {landlock:?} only");
        }
        landlock >= wanted
    }

    fn files(read: &[&Path], write: &[&Path], hidden: &[&Path]) -> Domain {
        let paths = |paths: &[&Path]| paths.iter().map(|path| path.to_path_buf()).collect();
        let rules =
            FileRules { read: paths(read), write: paths(write), write_whole: Vec::new(), hidden: paths(hidden) };
        Domain { files: Some(rules), ..Domain::default() }
    }

    fn denied<T>(result: io::Result<T>) {
        assert_eq!(result.map(|_| ()).expect_err("refused").kind(), ErrorKind::PermissionDenied);
    }

    #[test]
    fn what_is_hidden_can_be_neither_read_nor_written_and_all_else_as_before() {
        if !has(Landlock::Files) {
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().to_owned();
        for path in ["state/mcproxy", "state/other", "share"] {
            fs::create_dir_all(home.join(path)).expect("made");
            fs::write(home.join(path).join("file"), "text").expect("written");
        }
        let domain = files(&[Path::new("/")], &[&home], &[&home.join("state/mcproxy")]);
        inside(domain, move |entered| {
            assert!(entered.is_enforced && entered.exposed.is_empty());
            denied(fs::read(home.join("state/mcproxy/file")));
            denied(fs::write(home.join("state/mcproxy/new"), ""));
            denied(fs::remove_file(home.join("state/mcproxy/file")));
            denied(fs::rename(home.join("share/file"), home.join("state/mcproxy/file")));
            // A directory that is replaced by its entries gets no new ones, and can be listed.
            denied(fs::write(home.join("state/new"), ""));
            assert!(fs::read_dir(home.join("state")).expect("listed").count() > 1);
            fs::read(home.join("state/other/file")).expect("readable");
            fs::write(home.join("share/new"), "").expect("writable");
            fs::rename(home.join("share/new"), home.join("state/other/new")).expect("moved");
            fs::read("/proc/self/status").expect("readable");
            denied(fs::write("/tmp/not-mine", ""));
        });
    }

    #[test]
    fn a_domain_that_says_nothing_of_files_takes_nothing_from_them() {
        if !has(Landlock::Files) {
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().to_owned();
        for path in ["a", "b"] {
            fs::create_dir(home.join(path)).expect("made");
        }
        let outer = files(&[Path::new("/")], &[&home], &[]);
        inside(outer, move |_| {
            for (domain, file) in
                [(Domain::default(), "x"), (Domain { bind: Some(vec![80]), ..Domain::default() }, "y")]
            {
                domain.enter().expect("entered");
                let (from, to) = (home.join("a").join(file), home.join("b").join(file));
                fs::write(&from, "text").expect("written");
                fs::rename(&from, &to).expect("moved to another directory");
                fs::hard_link(&to, &from).expect("linked in another directory");
                denied(fs::write("/tmp/not-mine", ""));
            }
        });
    }

    #[test]
    fn a_symbolic_link_is_no_way_to_what_is_hidden() {
        if !has(Landlock::SomeFiles) {
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().to_owned();
        fs::create_dir_all(home.join("secret")).expect("made");
        fs::write(home.join("secret/file"), "text").expect("written");
        std::os::unix::fs::symlink("secret", home.join("link")).expect("linked");
        // Named through a link, too.
        inside(files(&[Path::new("/")], &[], &[&home.join("link")]), move |_| {
            denied(fs::read(home.join("link/file")));
            denied(fs::read(home.join("secret/file")));
        });
    }

    #[test]
    fn what_the_operator_allows_is_allowed_as_a_whole() {
        if !has(Landlock::Files) {
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().to_owned();
        fs::create_dir_all(home.join("mcproxy")).expect("made");
        let mut domain = files(&[Path::new("/")], &[], &[&home.join("mcproxy")]);
        domain.files.as_mut().expect("rules").write_whole.push(home.clone());
        inside(domain, move |_| {
            fs::write(home.join("mcproxy/file"), "text").expect("written");
            fs::write(home.join("new"), "text").expect("written");
        });
    }

    #[test]
    fn a_program_that_is_open_may_be_executed_where_nothing_else_may_be_read() {
        use std::os::fd::{AsFd as _, AsRawFd as _};
        if !has(Landlock::Files) {
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let (program, other) = (dir.path().join("true"), dir.path().join("other"));
        for copy in [&program, &other] {
            fs::copy("/bin/true", copy).expect("copied");
        }
        let open = openat(CWD, &program, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).expect("opened");
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o000)).expect("closed");
        let rules = files(&["/usr", "/bin", "/lib", "/lib64", "/proc"].map(Path::new), &[], &[]);
        let deed = move || {
            crate::take_identity(None).expect("given up");
            rules.enter_with(&[open.as_fd()]).expect("entered");
            let run = |path: &Path| std::process::Command::new(path).status();
            let by_number = format!("/proc/self/fd/{}", open.as_raw_fd());
            assert!(run(Path::new(&by_number)).expect("executed").success());
            denied(run(&program));
            denied(run(&other));
        };
        thread::spawn(deed).join().expect("no panic");
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("opened");
    }

    #[test]
    fn ports_that_are_not_named_can_be_neither_bound_nor_reached() {
        if !has(Landlock::Ports) {
            return;
        }
        let (one, other) = (TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0"));
        let port = |listener: &io::Result<TcpListener>| {
            listener.as_ref().expect("bound").local_addr().expect("an address").port()
        };
        let (allowed, refused) = (port(&one), port(&other));
        let domain = Domain { files: None, connect: Some(vec![allowed]), bind: Some(Vec::new()) };
        inside(domain, move |_| {
            TcpStream::connect(("127.0.0.1", allowed)).expect("reached");
            denied(TcpStream::connect(("127.0.0.1", refused)));
            denied(TcpListener::bind("127.0.0.1:0"));
        });
    }

    #[test]
    fn signals_and_abstract_sockets_stay_inside() {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
        if !has(Landlock::Scopes) {
            return;
        }
        let mut outside = std::process::Command::new("sleep").arg("60").spawn().expect("spawned");
        let pid = rustix::process::Pid::from_child(&outside);
        let address = SocketAddr::from_abstract_name(format!("confine-{}", std::process::id())).expect("a name");
        let _listener = UnixListener::bind_addr(&address).expect("bound");
        inside(Domain::default(), move |_| {
            denied(rustix::process::kill_process(pid, rustix::process::Signal::TERM).map_err(io::Error::from));
            denied(UnixStream::connect_addr(&address));
            denied(fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())));
            let mut mine = std::process::Command::new("sleep").arg("60").spawn().expect("spawned");
            mine.kill().expect("its own");
            mine.wait().expect("ended");
        });
        assert!(outside.try_wait().expect("known").is_none(), "it lives");
        outside.kill().expect("ended");
        outside.wait().expect("ended");
    }
}
