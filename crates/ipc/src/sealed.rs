//! What a process is told before it begins to listen: an order that it inherits as an anonymous file, which nobody can change any
//! more, its sender included. The command line names the number of its descriptor and nothing of what it says.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsRawFd, OwnedFd},
};

use bytes::BytesMut;
use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create},
    io::{FdFlags, fcntl_setfd},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::codec::{self, MAX_HEAD};

/// Neither what it says nor how long it is can be changed, nor can these seals.
const SEALS: SealFlags = SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// An order that waits for the process that is to read it.
#[derive(Debug)]
pub struct SealedOrder(OwnedFd);

impl SealedOrder {
    /// Writes `order` into a file of its own and seals it.
    ///
    /// # Errors
    /// It is too large, or the kernel gives no such file.
    pub fn create<T: Serialize>(order: &T) -> io::Result<Self> {
        let mut bytes = BytesMut::new();
        codec::encode(order, &mut bytes).map_err(io::Error::other)?;
        if bytes.len() > MAX_HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the order for a process is too large"));
        }
        let file = memfd_create("mcproxy-order", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut file = File::from(file);
        file.write_all(&bytes)?;
        fcntl_add_seals(&file, SEALS)?;
        Ok(Self(file.into()))
    }

    /// Lets `spawn` start the process that inherits it; what it is given is the number for the command line. No other thread may
    /// start a process meanwhile: it would inherit the order as well.
    ///
    /// # Errors
    /// Those of `spawn`.
    pub fn hand_on<R>(self, spawn: impl FnOnce(OsString) -> io::Result<R>) -> io::Result<R> {
        fcntl_setfd(&self.0, FdFlags::empty())?;
        spawn(self.0.as_raw_fd().to_string().into())
    }

    /// Reads the order that this process was started with. The descriptor stays open; close_on_exec of `mcproxy-confine` keeps it
    /// from what this process starts.
    ///
    /// # Errors
    /// There is none of this number, or it is not sealed, or not such an order.
    pub fn read<T: DeserializeOwned>(number: &OsStr) -> io::Result<T> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("the order {what}"));
        let number: u32 = number.to_str().and_then(|n| n.parse().ok()).ok_or_else(|| wrong("is no descriptor"))?;
        // Opened anew, because a number alone is no safe claim on a descriptor.
        let file = File::open(format!("/proc/self/fd/{number}"))?;
        // Only files that memfd_create(2) made have seals.
        if !fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SEALS)) {
            return Err(wrong("is not sealed"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_HEAD as u64 + 1).read_to_end(&mut bytes)?;
        codec::decode(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_arrives_as_it_was_written_and_cannot_be_changed() {
        let order = SealedOrder::create(&("echo".to_owned(), vec![1u32, 2])).expect("created");
        order
            .hand_on(|number| {
                let read: (String, Vec<u32>) = SealedOrder::read(&number)?;
                assert_eq!(read, ("echo".to_owned(), vec![1, 2]));
                let path = format!("/proc/self/fd/{}", number.to_string_lossy());
                let mut changed = File::options().write(true).open(path).expect("its owner may open it");
                changed.write_all(b"x").expect_err("nobody may write");
                changed.set_len(0).expect_err("nor cut");
                Ok(())
            })
            .expect("handed on");
    }

    #[test]
    fn what_is_not_sealed_is_no_order() {
        let file = tempfile::tempfile().expect("a file");
        let error = SealedOrder::read::<u32>(file.as_raw_fd().to_string().as_ref()).expect_err("refused");
        assert_eq!(error.to_string(), "the order is not sealed");
        let open = File::from(memfd_create("open", MemfdFlags::ALLOW_SEALING).expect("created"));
        assert!(SealedOrder::read::<u32>(open.as_raw_fd().to_string().as_ref()).is_err());
        assert!(SealedOrder::read::<u32>("x".as_ref()).is_err());
        assert!(SealedOrder::read::<u32>("77777".as_ref()).is_err());
    }

    #[test]
    fn an_order_that_is_not_of_its_type_is_refused() {
        let order = SealedOrder::create(&1u8).expect("created");
        order.hand_on(|number| SealedOrder::read::<(u32, String)>(&number)).expect_err("refused");
    }

    #[test]
    fn a_process_that_is_started_afterwards_inherits_nothing() {
        let order = SealedOrder::create(&7u32).expect("created");
        let listing = || {
            let output = std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output()?;
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        assert!(order.hand_on(|_| listing()).expect("listed").contains("mcproxy-order"));
        assert!(!listing().expect("listed").contains("memfd:mcproxy-order"));
    }
}
