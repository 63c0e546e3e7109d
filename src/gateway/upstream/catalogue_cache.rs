//! The last catalogues of servers, as their workers keep them in files (`docs/decisions/0035`).
//!
//! A file is a help and no more: one that is missing, too large or damaged is as good as none.

use std::{
    io::{self, Read as _},
    path::Path,
};

use bytes::Bytes;
use mcproxy_ipc::{frame::MAX_PAYLOAD, kept_file};

/// Reads such a file; `None` when there is none. Blocks as long as the disk does.
pub(crate) fn read(file: &Path) -> io::Result<Option<Bytes>> {
    let file = match kept_file::open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    // A worker does not keep more than it could have sent.
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
    fn a_missing_file_is_nothing_and_one_that_is_too_large_or_none_is_an_error() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("time.00.json");
        assert!(read(&file).expect("nothing wrong with that").is_none());
        std::fs::write(&file, "").expect("written");
        assert!(read(&file).expect("nothing wrong with that, either").is_none());
        let sparse = std::fs::File::create(&file).expect("a file");
        sparse.set_len(MAX_PAYLOAD as u64 + 1).expect("long, and all zeros");
        assert!(read(&file).is_err());
        assert!(read(Path::new("/dev/zero")).is_err());
    }
}
