//! What an intruder in the gateway would try, for the tests: there is none of this in release builds. Each attempt is one that works
//! in a process that is not confined, or is harmless where it does.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::Path,
    process::Command,
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};

use crate::unsafe_calls;

/// Set to the path of the control socket: the gateway makes these attempts when it begins, and logs what came of them.
pub const ATTEMPTS_VARIABLE: &str = "MCPROXY_ATTEMPT_ESCAPES";

/// An address of nobody (RFC 5737).
const FOREIGN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), 80);

/// Tries it all; `control` is a socket with a path. What came of each, by its name.
pub fn attempt_escapes(control: &Path) -> Vec<(&'static str, io::Result<()>)> {
    let supervisor = rustix::process::getppid();
    let of_supervisor = |file: &str| {
        let pid = supervisor.map_or(1, |pid| pid.as_raw_nonzero().get());
        File::options().read(true).write(true).open(format!("/proc/{pid}/{file}")).map(drop)
    };
    let pid = || supervisor.ok_or_else(|| io::Error::other("no supervisor"));
    vec![
        ("exec", Err(Command::new("/bin/true").exec())),
        ("fork", unsafe_calls::fork_and_exit()),
        ("spawn", Command::new("/bin/true").spawn().map(drop)),
        ("ptrace", pid().and_then(|pid| unsafe_calls::attach(pid.as_raw_nonzero().get()))),
        ("mount", unsafe_calls::mount_anew()),
        ("unshare", unsafe_calls::unshare_users()),
        ("open /etc/passwd", File::open("/etc/passwd").map(drop)),
        ("create a file", File::create("/tmp/mcproxy-escape").map(drop)),
        ("list /", fs::read_dir("/").map(drop)),
        ("supervisor's memory", of_supervisor("mem")),
        ("supervisor's descriptors", pid().and_then(take_descriptor)),
        ("connect", TcpStream::connect_timeout(&FOREIGN, Duration::from_secs(1)).map(drop)),
        ("connect to the control socket", UnixStream::connect(control).map(drop)),
        ("bind", TcpListener::bind("127.0.0.1:0").map(drop)),
        ("kill the supervisor", pid().and_then(|pid| Ok(rustix::process::test_kill_process(pid)?))),
        ("setuid", unsafe_calls::become_root()),
        ("keyctl", unsafe_calls::join_keyring()),
        ("bpf", unsafe_calls::load_no_program()),
        ("io_uring", unsafe_calls::set_up_no_ring()),
    ]
}

fn take_descriptor(of: Pid) -> io::Result<()> {
    let process = rustix::process::pidfd_open(of, PidfdFlags::empty())?;
    rustix::process::pidfd_getfd(&process, 0, PidfdGetfdFlags::empty())?;
    Ok(())
}
