//! The descriptors that a program inherits.

use std::io;

use crate::unsafe_calls;

/// Lets no program that this process becomes or starts inherit a descriptor, except the standard streams and what is handed to it by
/// name: whoever started MCProxy may have left some open.
///
/// # Errors
/// The kernel is older than Linux 5.11, or a filter keeps it from it.
pub fn close_on_exec() -> io::Result<()> {
    unsafe_calls::close_on_exec()
}
