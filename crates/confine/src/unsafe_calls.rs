//! The system calls that no library gives safely. Nothing else in this crate, or in MCProxy, is `unsafe`.
#![expect(unsafe_code, reason = "this module is the one that may")]

use std::io;

/// Has the kernel close all descriptors but the standard streams when this process becomes another program.
pub(crate) fn close_on_exec() -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 1 << 2;
    // SAFETY: close_range(2) reads no memory of ours, and with this flag it closes nothing: all descriptors stay what they are.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
