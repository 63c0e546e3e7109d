//! An order that a process reads before it begins to listen, in sealed memory and in the encoding of the frames.

use std::{
    ffi::{OsStr, OsString},
    io,
};

use bytes::BytesMut;
use mcproxy_confine::SealedMemory;
use serde::{Serialize, de::DeserializeOwned};

use crate::codec;

/// An order that waits for the process that is to read it.
#[derive(Debug)]
pub struct SealedOrder(SealedMemory);

impl SealedOrder {
    /// Writes `order` into a file of its own and seals it.
    ///
    /// # Errors
    /// It is too large, or the kernel gives no such file.
    pub fn create<T: Serialize>(order: &T) -> io::Result<Self> {
        let mut bytes = BytesMut::new();
        codec::encode(order, &mut bytes).map_err(io::Error::other)?;
        SealedMemory::create(&bytes).map(Self)
    }

    /// Lets `spawn` start the process that inherits it; what it is given is the number for the command line. No other thread may
    /// start a process meanwhile: it would inherit the order as well.
    ///
    /// # Errors
    /// Those of `spawn`.
    pub fn hand_on<R>(self, spawn: impl FnOnce(OsString) -> io::Result<R>) -> io::Result<R> {
        self.0.hand_on(spawn)
    }

    /// Reads the order that this process was started with. The descriptor stays open; close_on_exec of `mcproxy-confine` keeps it
    /// from what this process starts.
    ///
    /// # Errors
    /// There is none of this number, or it is not sealed, or not such an order.
    pub fn read<T: DeserializeOwned>(number: &OsStr) -> io::Result<T> {
        let bytes = SealedMemory::read(number)?;
        codec::decode(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_arrives_as_it_was_written() {
        let order = SealedOrder::create(&("echo".to_owned(), vec![1u32, 2])).expect("created");
        let read = order.hand_on(|number| SealedOrder::read::<(String, Vec<u32>)>(&number)).expect("read");
        assert_eq!(read, ("echo".to_owned(), vec![1, 2]));
    }

    #[test]
    fn an_order_that_is_not_of_its_type_is_refused() {
        let order = SealedOrder::create(&1u8).expect("created");
        order.hand_on(|number| SealedOrder::read::<(u32, String)>(&number)).expect_err("refused");
        assert!(SealedOrder::read::<u32>("x".as_ref()).is_err());
        assert!(SealedOrder::read::<u32>("77777".as_ref()).is_err());
    }
}
