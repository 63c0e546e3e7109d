//! What servers offered when they last ran, as their workers kept it in files (`docs/decisions/0035`).
//!
//! A file is a help and no more: one that is missing, too large or damaged is as good as none.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use bytes::Bytes;
use mcproxy_ipc::frame::MAX_PAYLOAD;

/// Reads such a file; `None` when there is none. Blocks as long as the disk does.
pub(crate) fn read(file: &Path) -> io::Result<Option<Bytes>> {
    let file = match File::open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    // A worker does not keep more than it could have sent.
    file.take(MAX_PAYLOAD as u64 + 1).read_to_end(&mut content)?;
    match content.len() {
        0..=MAX_PAYLOAD => Ok(Some(content.into())),
        _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_nothing_and_one_without_end_is_an_error() {
        let dir = std::env::temp_dir();
        assert!(read(&dir.join("no-such-directory/no-such-file")).expect("nothing wrong with that").is_none());
        assert!(read(Path::new("/dev/zero")).is_err());
    }
}
