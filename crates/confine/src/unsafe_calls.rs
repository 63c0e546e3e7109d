//! The system calls that no library gives safely. Nothing else in this crate, or in MCProxy, is `unsafe`.
#![expect(unsafe_code, reason = "this module is the one that may")]

use std::{
    io,
    os::fd::{FromRawFd as _, OwnedFd, RawFd},
};

#[cfg(debug_assertions)]
pub(crate) use self::attempts::*;

/// Has the kernel close all descriptors but the standard streams when this process becomes another program.
pub(crate) fn close_on_exec() -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 1 << 2;
    // SAFETY: close_range(2) reads no memory of ours, and with this flag it closes nothing: all descriptors stay what they are.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Becomes the owner of a descriptor that this process was started with. No other code may have one of this number: the caller
/// takes each once, before anything else was opened.
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: with F_GETFD fcntl(2) reads and writes no memory of ours.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and by the caller's word nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// What the tests of the gateway's confinement try ([`crate::attempt_escapes`]). Where it is not refused it does nothing.
#[cfg(debug_assertions)]
mod attempts {
    use std::{io, ptr::null};

    fn outcome(result: libc::c_long) -> io::Result<()> {
        if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// A process that ends at once.
    pub(crate) fn fork_and_exit() -> io::Result<()> {
        // SAFETY: the child calls nothing but _exit(2), which is safe after a fork.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: see above.
            unsafe { libc::_exit(0) }
        }
        outcome(pid.into())
    }

    /// Becomes the tracer of another process, which goes on.
    pub(crate) fn attach(pid: i32) -> io::Result<()> {
        // SAFETY: PTRACE_SEIZE uses no memory of ours.
        outcome(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, null::<u8>(), null::<u8>()) })
    }

    /// Mounts something where nothing can be.
    pub(crate) fn mount_anew() -> io::Result<()> {
        let (what, place, kind) = (c"none", c"/nowhere/at/all", c"tmpfs");
        // SAFETY: the texts live longer than the call, which only reads them.
        outcome(unsafe { libc::mount(what.as_ptr(), place.as_ptr(), kind.as_ptr(), 0, null()) }.into())
    }

    /// Gives this thread a user namespace of its own.
    pub(crate) fn unshare_users() -> io::Result<()> {
        // SAFETY: unshare(2) uses no memory of ours, and no descriptors change hands.
        outcome(unsafe { libc::unshare(libc::CLONE_NEWUSER) }.into())
    }

    /// Becomes root.
    pub(crate) fn become_root() -> io::Result<()> {
        // SAFETY: setresuid(2) uses no memory of ours.
        outcome(unsafe { libc::syscall(libc::SYS_setresuid, 0, 0, 0) })
    }

    /// Begins a session of keys.
    pub(crate) fn join_keyring() -> io::Result<()> {
        const JOIN_SESSION_KEYRING: libc::c_long = 1;
        // SAFETY: with a null pointer for its name keyctl(2) reads no memory of ours.
        outcome(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, null::<u8>()) })
    }

    /// Loads nothing into the kernel.
    pub(crate) fn load_no_program() -> io::Result<()> {
        const PROG_LOAD: libc::c_long = 5;
        // SAFETY: with attributes of no length bpf(2) reads no memory of ours.
        outcome(unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, null::<u8>(), 0) })
    }

    /// Sets up a ring without its parameters.
    pub(crate) fn set_up_no_ring() -> io::Result<()> {
        // SAFETY: io_uring_setup(2) reads its parameters, for which a null pointer is an error.
        outcome(unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, null::<u8>()) })
    }
}
