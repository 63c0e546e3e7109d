//! What a process is told before it begins to listen: bytes that it inherits as an anonymous file, which nobody can change any more,
//! its sender included. The command line names the number of its descriptor and nothing of what it says.

use std::{
    ffi::{OsStr, OsString},
    fs::OpenOptions,
    io::{self, Read},
    os::fd::OwnedFd,
};

use crate::{hand_on, inherited, is_sealed, sealed_file};

/// Sealed bytes that wait for the process that is to read them.
#[derive(Debug)]
pub struct SealedMemory(OwnedFd);

impl SealedMemory {
    /// Most bytes that are written or read.
    pub const MOST: usize = 1024 * 1024;

    /// Writes `bytes` into a file of their own and seals it.
    ///
    /// # Errors
    /// There are too many, or the kernel gives no such file.
    pub fn create(bytes: &[u8]) -> io::Result<Self> {
        if bytes.len() > Self::MOST {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the order for a process is too large"));
        }
        sealed_file("mcproxy-order", bytes).map(Self)
    }

    /// As [`hand_on`].
    ///
    /// # Errors
    /// Those of `spawn`.
    pub fn hand_on<R>(self, spawn: impl FnOnce(OsString) -> io::Result<R>) -> io::Result<R> {
        hand_on(self.0, spawn)
    }

    /// Reads what this process was started with. The descriptor stays open; [`crate::close_on_exec`] keeps it from what this process
    /// starts.
    ///
    /// # Errors
    /// There is none of this number, or it is not sealed.
    pub fn read(number: &OsStr) -> io::Result<Vec<u8>> {
        let file = inherited(number, OpenOptions::new().read(true))?;
        if !is_sealed(&file) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the order is not sealed"));
        }
        let mut bytes = Vec::new();
        file.take(Self::MOST as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _, os::fd::AsRawFd};

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    #[test]
    fn an_order_arrives_as_it_was_written_and_cannot_be_changed() {
        let order = SealedMemory::create(b"echo").expect("created");
        order
            .hand_on(|number| {
                assert_eq!(SealedMemory::read(&number)?, b"echo");
                let mut changed = inherited(&number, OpenOptions::new().write(true)).expect("its owner may open it");
                changed.write_all(b"x").expect_err("nobody may write");
                changed.set_len(0).expect_err("nor cut");
                Ok(())
            })
            .expect("handed on");
    }

    #[test]
    fn what_is_not_sealed_is_no_order() {
        let number = |file: &File| OsString::from(file.as_raw_fd().to_string());
        let file = tempfile::tempfile().expect("a file");
        let error = SealedMemory::read(&number(&file)).expect_err("refused");
        assert_eq!(error.to_string(), "the order is not sealed");
        let open = File::from(memfd_create("open", MemfdFlags::ALLOW_SEALING).expect("created"));
        assert!(SealedMemory::read(&number(&open)).is_err());
    }

    #[test]
    fn more_than_the_bound_is_not_written() {
        SealedMemory::create(&vec![0; SealedMemory::MOST]).expect("created");
        SealedMemory::create(&vec![0; SealedMemory::MOST + 1]).expect_err("too large");
    }

    #[test]
    fn a_process_that_is_started_afterwards_inherits_nothing() {
        let order = SealedMemory::create(b"7").expect("created");
        let listing = || {
            let output = std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output()?;
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        assert!(order.hand_on(|_| listing()).expect("listed").contains("mcproxy-order"));
        assert!(!listing().expect("listed").contains("memfd:mcproxy-order"));
    }
}
