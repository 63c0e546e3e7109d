//! The last catalogues of servers, in files that the supervisor hands over open (`docs/decisions/0035`).
//!
//! A file is a help and no more: one that is missing, too large or damaged is as good as none.

use std::{
    fs::File,
    io::{self, Read as _},
};

use bytes::Bytes;
use mcproxy_ipc::frame::MAX_PAYLOAD;

/// Reads such a file; `None` when there is nothing in it. Blocks as long as the disk does.
pub(crate) fn read(file: File) -> io::Result<Option<Bytes>> {
    let mut content = Vec::new();
    // Nothing is kept that no frame could have carried.
    file.take(MAX_PAYLOAD as u64 + 1).read_to_end(&mut content)?;
    match content.len() {
        // The disk had not got it yet when the power failed.
        0 => Ok(None),
        1..=MAX_PAYLOAD => Ok(Some(content.into())),
        _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_nothing_and_one_that_is_too_large_is_an_error() {
        let file = || tempfile::tempfile().expect("a file");
        assert!(read(file()).expect("nothing wrong with that").is_none());
        let sparse = file();
        sparse.set_len(MAX_PAYLOAD as u64 + 1).expect("long, and all zeros");
        assert!(read(sparse).is_err());
        assert!(read(File::open("/dev/zero").expect("a device")).is_err());
    }
}
