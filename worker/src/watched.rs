//! Descriptors that become readable when something has happened.

use std::{io, os::fd::OwnedFd};

use tokio::io::unix::AsyncFd;

/// Has the runtime watch one, which it must run for.
///
/// # Errors
/// The kernel takes no more of them.
#[expect(deprecated, reason = "its successor is `unsafe`, for descriptors that may change; an OwnedFd cannot")]
pub(crate) fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(descriptor)
}
