//! Small files of the state directory, each of which one process writes and another may read.
//!
//! They are a help, and nothing may depend on them: whatever lies in the place of one and is no file (a pipe, a device, a
//! folder, a link) is an error at once, and never something to wait for. For the same reason no caller waits until the disk has
//! one: after a power failure it may be empty or old, and its reader takes that for none.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::fs::OFlags;

use crate::regular_file::{self, Links};

/// Opens such a file to be read. What is in it is for the caller to bound. Blocks as long as the disk does.
pub fn open(file: &Path) -> io::Result<File> {
    regular_file::open(file, Links::Refuse)
}

/// Puts the whole content in place at once, readable by its owner only, or leaves what was there. A pipe or a link in its
/// place is replaced, a folder is an error. Blocks as long as the disk does.
pub fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    // Two processes may write at the same time.
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(format!(".{}.tmp", std::process::id()));
    let unfinished = Path::new(&unfinished);
    let written = write_new(unfinished, content).and_then(|()| fs::rename(unfinished, file));
    if written.is_err() {
        // It is removed at the next start, too.
        let _ = fs::remove_file(unfinished);
    }
    written
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).custom_flags(flags).open(path)?;
    file.write_all(content)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_no_file_is_an_error_at_once_and_is_replaced_unless_it_is_a_folder() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
        symlink("/dev/zero", at("device")).expect("a link");
        symlink(at("nowhere"), at("dangling")).expect("a link");
        fs::create_dir(at("folder")).expect("a folder");
        for name in ["pipe", "device", "dangling", "folder"] {
            assert!(open(&at(name)).is_err(), "{name}");
        }
        assert!(replace(&at("folder"), b"new").is_err());
        for name in ["pipe", "device", "dangling", "nothing"] {
            replace(&at(name), b"new").unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(io::read_to_string(open(&at(name)).expect("a file")).expect("text"), "new", "{name}");
        }
        assert!(!at("nowhere").exists(), "no link is followed");
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 5, "nothing unfinished is left");
    }
}
