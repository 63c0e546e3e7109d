//! The system calls of the gateway: a list of all that it may make, with what for. All others fail with libc::EPERM.
//!
//! The gateway inherits or is handed every descriptor that it works on, so it opens nothing: no file, no socket. Whatever an
//! intruder in it has, no call leads to another program or process. The list was found by the system tests of the gateway.

use std::io;

use seccompiler::{BackendError, SeccompAction};

use super::{Rules, all, apply, compile, has_bits, is, is_word};

/// Whatever their arguments are.
const ALLOWED: &[i64] = &[
    // Control connection, pipes to workers, sockets of clients, files with catalogues: all of them handed over or accepted.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_close,
    libc::SYS_shutdown,
    // Clients.
    libc::SYS_accept4,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    // How large a catalogue's file is, for the buffer. By a descriptor: `stat` and `statx` would say which files exist.
    libc::SYS_fstat,
    libc::SYS_lseek,
    // The runtime's loops: what is ready, and waking another thread.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_eventfd2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    // Locks and waits of threads.
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    // The time, on machines where the kernel has no page for it.
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    // Memory (`mmap` and `mprotect` are below).
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Session ids and hash maps.
    libc::SYS_getrandom,
    // Threads, from their beginning to their end.
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sigaltstack,
    libc::SYS_sched_getaffinity,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Who this process is. These cannot fail, so callers do not expect it.
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    // Handlers for the overflow of a stack, and the abort after a panic.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    // Refused by the other filter, in the way that makes the C library use `clone`.
    libc::SYS_clone3,
    // A wait that was interrupted by a stop.
    libc::SYS_restart_syscall,
];

/// Of a thread: it shares memory and signal handlers.
const OF_A_THREAD: i32 = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
/// What no thread of ours has: namespaces of its own, a tracer.
const OF_NO_THREAD: i32 = libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWUTS
    | libc::CLONE_PTRACE
    | libc::CLONE_VFORK;

/// Allows this process, which has the number `pid`, what a gateway needs.
pub(crate) fn restrict(pid: u32) -> io::Result<()> {
    // The list comes last: with it in force nothing more can be asked of the kernel.
    for filter in [without_clone3(), allow_list(pid)] {
        apply(&filter.map_err(io::Error::other)?)?;
    }
    Ok(())
}

fn allow_list(pid: u32) -> Result<seccompiler::BpfProgram, BackendError> {
    let mut rules: Rules = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    rules.extend(depending_on_arguments(pid)?);
    compile(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM.unsigned_abs()))
}

fn depending_on_arguments(pid: u32) -> Result<Rules, BackendError> {
    let of_thread = u64::from(OF_A_THREAD.unsigned_abs());
    let of_no_thread = u64::from(OF_NO_THREAD.unsigned_abs());
    let no_code = |argument| all(vec![has_bits(argument, libc::PROT_EXEC.unsigned_abs().into(), 0)?]);
    let commands = [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL, libc::F_DUPFD_CLOEXEC];
    Ok(vec![
        // Memory that is no code.
        (libc::SYS_mmap, vec![no_code(2)?]),
        (libc::SYS_mprotect, vec![no_code(2)?]),
        // Threads, no processes.
        (libc::SYS_clone, vec![all(vec![has_bits(0, of_thread | of_no_thread, of_thread)?])?]),
        // Names of threads. (Not whether others may look into this process.)
        (libc::SYS_prctl, vec![all(vec![is_word(0, libc::PR_SET_NAME.unsigned_abs())?])?]),
        // Flags and copies of descriptors.
        (
            libc::SYS_fcntl,
            commands.iter().map(|command| all(vec![is_word(1, command.unsigned_abs())?])).collect::<Result<_, _>>()?,
        ),
        // Sockets that do not block.
        (libc::SYS_ioctl, vec![all(vec![is_word(1, libc::FIONBIO as u32)?])?]),
        // How the runtime hears of signals, whether it is used or not.
        (libc::SYS_socketpair, vec![all(vec![is_word(0, libc::AF_UNIX.unsigned_abs())?])?]),
        // The size of stacks: what limits there are, not to change them.
        (libc::SYS_prlimit64, vec![all(vec![is(0, 0)?, is(2, 0)?])?]),
        // Abort, after a panic: signals to itself.
        (libc::SYS_tgkill, vec![all(vec![is_word(0, pid)?])?]),
    ])
}

/// The arguments of `clone3` lie in memory, where no filter can look: the C library uses `clone` where it is not implemented.
fn without_clone3() -> Result<seccompiler::BpfProgram, BackendError> {
    let answer = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    compile(vec![(libc::SYS_clone3, Vec::new())], answer, SeccompAction::Allow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscalls::verdict::{Verdict, verdict};

    const PID: u32 = 4711;

    /// What the kernel answers to this call.
    fn answer(call: i64, arguments: &[u64]) -> Verdict {
        let filters = [without_clone3().expect("compiled"), allow_list(PID).expect("compiled")];
        verdict(&filters, call, arguments)
    }

    #[test]
    fn no_call_leads_to_a_program_a_process_a_file_a_socket_or_more_rights() {
        let forbidden = [
            ("execve", libc::SYS_execve),
            ("execveat", libc::SYS_execveat),
            ("ptrace", libc::SYS_ptrace),
            ("process_vm_readv", libc::SYS_process_vm_readv),
            ("process_vm_writev", libc::SYS_process_vm_writev),
            ("pidfd_open", libc::SYS_pidfd_open),
            ("pidfd_getfd", libc::SYS_pidfd_getfd),
            ("kill", libc::SYS_kill),
            ("tkill", libc::SYS_tkill),
            ("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo),
            ("mount", libc::SYS_mount),
            ("umount2", libc::SYS_umount2),
            ("pivot_root", libc::SYS_pivot_root),
            ("chroot", libc::SYS_chroot),
            ("unshare", libc::SYS_unshare),
            ("setns", libc::SYS_setns),
            ("bpf", libc::SYS_bpf),
            ("perf_event_open", libc::SYS_perf_event_open),
            ("keyctl", libc::SYS_keyctl),
            ("add_key", libc::SYS_add_key),
            ("io_uring_setup", libc::SYS_io_uring_setup),
            ("io_uring_enter", libc::SYS_io_uring_enter),
            ("userfaultfd", libc::SYS_userfaultfd),
            ("init_module", libc::SYS_init_module),
            ("kexec_load", libc::SYS_kexec_load),
            ("reboot", libc::SYS_reboot),
            ("clock_settime", libc::SYS_clock_settime),
            ("setuid", libc::SYS_setuid),
            ("setresuid", libc::SYS_setresuid),
            ("capset", libc::SYS_capset),
            ("openat", libc::SYS_openat),
            ("openat2", libc::SYS_openat2),
            ("statx", libc::SYS_statx),
            ("newfstatat", libc::SYS_newfstatat),
            ("unlinkat", libc::SYS_unlinkat),
            ("getdents64", libc::SYS_getdents64),
            ("name_to_handle_at", libc::SYS_name_to_handle_at),
            ("memfd_create", libc::SYS_memfd_create),
            ("socket", libc::SYS_socket),
            ("connect", libc::SYS_connect),
            ("bind", libc::SYS_bind),
            ("listen", libc::SYS_listen),
        ];
        for (name, call) in forbidden {
            assert_eq!(answer(call, &[]), Verdict::Errno(libc::EPERM), "{name}");
        }
    }

    #[test]
    fn a_thread_may_be_started_and_a_process_not() {
        let thread = OF_A_THREAD | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SYSVSEM | libc::CLONE_SETTLS;
        let clone = |flags: i32| answer(libc::SYS_clone, &[u64::from(flags.unsigned_abs())]);
        assert_eq!(clone(thread), Verdict::Allow);
        for flags in [
            libc::SIGCHLD,
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            thread | libc::CLONE_NEWUSER,
            thread | libc::CLONE_NEWNET,
        ] {
            assert_eq!(clone(flags), Verdict::Errno(libc::EPERM), "{flags:x}");
        }
        assert_eq!(answer(libc::SYS_clone3, &[]), Verdict::Errno(libc::ENOSYS), "so that the C library falls back");
    }

    #[test]
    fn memory_becomes_no_code_and_signals_go_to_the_gateway_itself_only() {
        let (read_write, code) = ((libc::PROT_READ | libc::PROT_WRITE).unsigned_abs().into(), 5);
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            assert_eq!(answer(call, &[0, 4096, read_write]), Verdict::Allow);
            assert_eq!(answer(call, &[0, 4096, code]), Verdict::Errno(libc::EPERM));
        }
        let signal = |pid: u32| answer(libc::SYS_tgkill, &[pid.into(), pid.into(), 6]);
        assert_eq!((signal(PID), signal(1)), (Verdict::Allow, Verdict::Errno(libc::EPERM)));
        let prctl = |what: i32| answer(libc::SYS_prctl, &[what.unsigned_abs().into()]);
        assert_eq!(prctl(libc::PR_SET_DUMPABLE), Verdict::Errno(libc::EPERM));
        assert_eq!(answer(libc::SYS_prlimit64, &[0, 7, 1]), Verdict::Errno(libc::EPERM));
    }

    #[test]
    fn what_is_on_no_list_is_refused() {
        let listed: std::collections::BTreeSet<i64> = ALLOWED
            .iter()
            .copied()
            .chain(depending_on_arguments(PID).expect("valid").into_iter().map(|(call, _)| call))
            .collect();
        for call in (0..1024).filter(|call| !listed.contains(call) && *call != libc::SYS_clone3) {
            assert_eq!(answer(call, &[]), Verdict::Errno(libc::EPERM), "{call}");
        }
        #[cfg(target_arch = "x86_64")]
        for call in listed {
            let x32 = call | 0x4000_0000;
            assert_eq!(answer(x32, &[]), Verdict::Errno(libc::EPERM), "{call} by its other number");
        }
    }
}
