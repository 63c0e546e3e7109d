//! The room in which a worker hands over what its server offers: memory without a name, of bounded size, which the supervisor
//! makes, a worker fills and nobody can change after that (memfd_create(2), file seals in fcntl(2)).
//!
//! So no worker needs a path in the state directory, and what lies there is written by the supervisor alone, which copies the bytes
//! and never reads them.

use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt as _},
};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use crate::frame::MAX_PAYLOAD;

/// The supervisor's end.
#[derive(Debug)]
pub struct CatalogueRoom(OwnedFd);

impl CatalogueRoom {
    /// Makes one, which takes no memory before it is filled.
    pub fn new() -> io::Result<Self> {
        let room = memfd_create("mcproxy-catalogue", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&room, MAX_PAYLOAD as u64)?;
        fcntl_add_seals(&room, SealFlags::GROW)?;
        Ok(Self(room))
    }

    /// The worker's end.
    pub fn for_worker(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }

    /// Fills the worker's end with this. May block.
    pub fn fill(end: OwnedFd, content: &[u8]) -> io::Result<()> {
        let end = File::from(end);
        end.write_all_at(content, 0)?;
        end.set_len(content.len() as u64)
    }

    /// What is in it, for good; at most [`MAX_PAYLOAD`] bytes. A worker that still holds it to be written through memory makes this
    /// an error, after a moment: it is to be called where a disk may be waited for.
    pub fn seal(self) -> io::Result<File> {
        fcntl_add_seals(&self.0, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_a_worker_filled_in_is_bounded_and_changes_no_more() {
        let room = CatalogueRoom::new().expect("made");
        let worker = File::from(room.for_worker().expect("copied"));
        worker.set_len(MAX_PAYLOAD as u64 + 1).expect_err("no room for more than a frame holds");
        CatalogueRoom::fill(worker.try_clone().expect("copied").into(), b"{}").expect("filled");
        worker.write_all_at(b"x", 2).expect_err("no more than it was cut to");
        let mut sealed = room.seal().expect("nobody holds it");
        worker.write_all_at(b"[]", 0).expect_err("sealed");
        worker.set_len(0).expect_err("sealed");
        let mut content = String::new();
        sealed.read_to_string(&mut content).expect("text");
        assert_eq!(content, "{}");
    }
}
