//! What workers and servers may not ask of the kernel: all but this they may. A program that was written for any Linux must not
//! notice; what ordinary users cannot do anyway is here because the kernel has to look at it first, and was wrong before.

use std::io;

use libc as c;
use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompRule, sock_filter};

use super::{Rules, all, apply, compile, has_bits, is, is_word};

/// What a server may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerCalls {
    /// Make and enter namespaces (`sandbox.namespaces`).
    pub namespaces: bool,
    /// And change what is mounted in them. Landlock refuses that in any case.
    pub mounts: bool,
    /// Attach to other processes: Landlock refuses it outside of the server's own ones.
    pub attaching: bool,
}

/// The filter for a worker and all that it starts.
///
/// # Errors
/// The kernel takes no filters.
pub fn deny_to_servers(calls: ServerCalls) -> io::Result<()> {
    apply(&filter(calls).map_err(io::Error::other)?)
}

/// The filter for a worker that starts nothing: no other program takes its place, or runs beside it.
///
/// # Errors
/// The kernel takes no filters.
pub fn deny_programs() -> io::Result<()> {
    apply(&no_programs().map_err(io::Error::other)?)
}

fn no_programs() -> Result<BpfProgram, BackendError> {
    let rules = [c::SYS_execve, c::SYS_execveat].map(|call| (call, Vec::new()));
    compile(rules.into(), SeccompAction::Errno(c::EPERM.unsigned_abs()), SeccompAction::Allow)
}

/// Refused whatever the arguments are, each for a reason.
const DENIED: &[i64] = &[
    // The memory of other processes, by the numbers of their pages; debuggers use ptrace(2).
    c::SYS_process_vm_readv,
    c::SYS_process_vm_writev,
    // Another kernel in the place of this one.
    c::SYS_kexec_load,
    #[cfg(target_arch = "x86_64")]
    c::SYS_kexec_file_load,
    c::SYS_reboot,
    // Code in the kernel: modules, programs, and what was meant for observing it and leaked.
    c::SYS_init_module,
    c::SYS_finit_module,
    c::SYS_delete_module,
    c::SYS_bpf,
    c::SYS_perf_event_open,
    // Handlers for page faults: the second half of most exploits of races in the kernel.
    c::SYS_userfaultfd,
    // Work that is done without system calls, so that no filter sees it. libuv and others go on without.
    c::SYS_io_uring_setup,
    c::SYS_io_uring_enter,
    c::SYS_io_uring_register,
    // Keys of the user and the session, which are the same for all servers of a user.
    c::SYS_add_key,
    c::SYS_request_key,
    c::SYS_keyctl,
    // Files by number, past the directories on the way to them.
    c::SYS_open_by_handle_at,
    // The clock of the machine.
    c::SYS_settimeofday,
    c::SYS_clock_settime,
    c::SYS_clock_adjtime,
    c::SYS_adjtimex,
    // The machine: swap, accounting, quotas, its name, the log of its kernel.
    c::SYS_swapon,
    c::SYS_swapoff,
    c::SYS_acct,
    c::SYS_quotactl,
    c::SYS_quotactl_fd,
    c::SYS_sethostname,
    c::SYS_setdomainname,
    c::SYS_syslog,
    c::SYS_vhangup,
    // Ports of the hardware.
    #[cfg(target_arch = "x86_64")]
    c::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    c::SYS_ioperm,
];

/// What is mounted where, by the old calls and the new ones. Landlock goes by the tree of files as it is.
const MOUNTS: &[i64] = &[
    c::SYS_mount,
    c::SYS_umount2,
    c::SYS_pivot_root,
    c::SYS_open_tree,
    c::SYS_move_mount,
    c::SYS_fsopen,
    c::SYS_fsconfig,
    c::SYS_fsmount,
    c::SYS_fspick,
    c::SYS_mount_setattr,
];

/// Namespaces: in one of its own a process is root, and all of the kernel that only root could reach is open to it.
const NAMESPACES: &[i32] = &[
    c::CLONE_NEWNS,
    c::CLONE_NEWCGROUP,
    c::CLONE_NEWUTS,
    c::CLONE_NEWIPC,
    c::CLONE_NEWUSER,
    c::CLONE_NEWPID,
    c::CLONE_NEWNET,
];

/// Of unshare(2) only: in clone(2) the bit has another meaning.
const NEW_TIME: i32 = 0x80;

/// Requests of ptrace(2) that begin to trace a process which does not ask for it.
const ATTACH: u64 = 16;
const SEIZE: u64 = 0x4206;

/// Requests of ioctl(2) that type for the user: what a shell finds on its terminal when the worker ends.
const TYPING: [u32; 2] = [0x5412, 0x541c];

fn filter(calls: ServerCalls) -> Result<BpfProgram, BackendError> {
    let mut rules: Rules = DENIED.iter().map(|call| (*call, Vec::new())).collect();
    if !calls.mounts {
        rules.extend(MOUNTS.iter().map(|call| (*call, Vec::new())));
    }
    if !calls.namespaces {
        rules.push((c::SYS_setns, Vec::new()));
        let flags = || NAMESPACES.iter().copied();
        rules.push((c::SYS_clone, with_any_of(flags())?));
        rules.push((c::SYS_unshare, with_any_of(flags().chain([NEW_TIME]))?));
    }
    if !calls.attaching {
        rules.push((c::SYS_ptrace, vec![all(vec![is(0, ATTACH)?])?, all(vec![is(0, SEIZE)?])?]));
    }
    let typing: Result<Vec<SeccompRule>, BackendError> =
        TYPING.iter().map(|request| all(vec![is_word(1, *request)?])).collect();
    rules.push((c::SYS_ioctl, typing?));
    let denied = compile(rules, SeccompAction::Errno(c::EPERM.unsigned_abs()), SeccompAction::Allow)?;
    Ok(unknown_calls(!calls.namespaces).into_iter().chain(denied).collect())
}

fn with_any_of(flags: impl Iterator<Item = i32>) -> Result<Vec<SeccompRule>, BackendError> {
    flags.map(|flag| all(vec![has_bits(0, flag.unsigned_abs().into(), flag.unsigned_abs().into())?])).collect()
}

/// Answers as an older kernel would, before all else: calls of the x32 ABI, which have numbers of their own for everything above; and
/// clone3(2), whose flags are in memory, where no filter sees them. The C library goes on with clone(2).
fn unknown_calls(without_clone3: bool) -> Vec<sock_filter> {
    const LOAD: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    const IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const X32: u32 = 0x4000_0000;
    let step = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    let unknown = c::SECCOMP_RET_ERRNO | c::ENOSYS.unsigned_abs();
    let mut steps = vec![step(LOAD, 0, 0, 0), step(IF_AT_LEAST, X32, 0, 1), step(RETURN, unknown, 0, 0)];
    if without_clone3 {
        // The same number everywhere.
        steps.extend([step(IF_EQUAL, 435, 0, 1), step(RETURN, unknown, 0, 0)]);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscalls::verdict::{Verdict, verdict};

    const NOTHING: ServerCalls = ServerCalls { namespaces: false, mounts: false, attaching: false };
    const REFUSED: Verdict = Verdict::Errno(c::EPERM);
    const UNKNOWN: Verdict = Verdict::Errno(c::ENOSYS);

    fn answer(calls: ServerCalls, call: i64, arguments: &[u64]) -> Verdict {
        verdict(&[filter(calls).expect("compiles")], call, arguments)
    }

    #[test]
    fn what_is_on_the_list_is_refused_and_nothing_else() {
        for call in DENIED.iter().chain(MOUNTS) {
            assert_eq!(answer(NOTHING, *call, &[]), REFUSED, "{call}");
        }
        let everyday = [
            c::SYS_read,
            c::SYS_openat,
            c::SYS_execve,
            c::SYS_seccomp,
            c::SYS_prctl,
            c::SYS_memfd_create,
            c::SYS_mprotect,
            c::SYS_pidfd_open,
            c::SYS_sched_setaffinity,
            c::SYS_name_to_handle_at,
            c::SYS_chroot,
            c::SYS_clock_gettime,
            c::SYS_landlock_create_ruleset,
        ];
        for call in everyday {
            assert_eq!(answer(NOTHING, call, &[]), Verdict::Allow, "{call}");
        }
    }

    #[test]
    fn threads_and_processes_can_be_made_and_namespaces_cannot() {
        let thread = 0x003d_0f00;
        for flags in [thread, c::SIGCHLD as u64, (c::CLONE_VM | c::CLONE_VFORK | c::SIGCHLD) as u64] {
            assert_eq!(answer(NOTHING, c::SYS_clone, &[flags]), Verdict::Allow, "{flags:#x}");
        }
        for flag in NAMESPACES {
            let flag = u64::from(flag.unsigned_abs());
            assert_eq!(answer(NOTHING, c::SYS_clone, &[flag | c::SIGCHLD as u64]), REFUSED, "{flag:#x}");
            assert_eq!(answer(NOTHING, c::SYS_unshare, &[flag]), REFUSED, "{flag:#x}");
        }
        assert_eq!(answer(NOTHING, c::SYS_unshare, &[c::CLONE_FILES as u64]), Verdict::Allow);
        assert_eq!(answer(NOTHING, c::SYS_unshare, &[NEW_TIME as u64]), REFUSED);
        assert_eq!(answer(NOTHING, c::SYS_clone3, &[]), UNKNOWN, "the C library goes on with clone");
        let allowed = ServerCalls { namespaces: true, ..NOTHING };
        for (call, flags) in [(c::SYS_clone, c::CLONE_NEWUSER), (c::SYS_unshare, c::CLONE_NEWNET), (c::SYS_clone3, 0)] {
            assert_eq!(answer(allowed, call, &[flags as u64]), Verdict::Allow, "{call}");
        }
        assert_eq!(answer(allowed, c::SYS_mount, &[]), REFUSED);
        assert_eq!(answer(ServerCalls { mounts: true, ..allowed }, c::SYS_mount, &[]), Verdict::Allow);
    }

    #[test]
    fn attaching_is_refused_where_landlock_does_not_and_being_traced_never() {
        for request in [ATTACH, SEIZE] {
            assert_eq!(answer(NOTHING, c::SYS_ptrace, &[request]), REFUSED);
            assert_eq!(answer(ServerCalls { attaching: true, ..NOTHING }, c::SYS_ptrace, &[request]), Verdict::Allow);
        }
        assert_eq!(answer(NOTHING, c::SYS_ptrace, &[0]), Verdict::Allow, "PTRACE_TRACEME");
    }

    #[test]
    fn nobody_types_for_the_user() {
        assert_eq!(answer(NOTHING, c::SYS_ioctl, &[0, 0x5412]), REFUSED, "TIOCSTI");
        assert_eq!(answer(NOTHING, c::SYS_ioctl, &[0, 0xffff_ffff_0000_5412]), REFUSED, "the kernel takes 32 bits");
        assert_eq!(answer(NOTHING, c::SYS_ioctl, &[0, 0x5401]), Verdict::Allow, "TCGETS");
    }

    #[test]
    fn calls_of_the_x32_abi_do_not_pass_the_list_by() {
        assert_eq!(answer(NOTHING, 0x4000_0000 | c::SYS_mount, &[]), UNKNOWN);
        assert_eq!(answer(ServerCalls { namespaces: true, ..NOTHING }, 0x4000_0000 | c::SYS_mount, &[]), UNKNOWN);
    }

    #[test]
    fn a_worker_that_starts_nothing_runs_no_program() {
        let filters = [no_programs().expect("compiles")];
        for call in [c::SYS_execve, c::SYS_execveat] {
            assert_eq!(verdict(&filters, call, &[]), REFUSED);
        }
        assert_eq!(verdict(&filters, c::SYS_connect, &[]), Verdict::Allow);
    }

    #[test]
    fn the_filter_is_small() {
        let length = filter(NOTHING).expect("compiles").len();
        assert!(length < 500, "{length} steps");
    }
}
