//! Small files of the state directory, which the supervisor writes, and of which the gateway is handed some to read.
//!
//! They are a help, and nothing may depend on them: whatever lies in the place of one and is no file (a pipe, a device, a
//! folder, a link) is an error at once, and never something to wait for. For the same reason no caller waits until the disk has
//! one: after a power failure it may be empty or old, and its reader takes that for none.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
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
    put(file, |unfinished| unfinished.write_all(content))
}

/// The same, and the disk has it before this returns: for what is needed most after a power failure.
pub fn replace_durably(file: &Path, content: &[u8]) -> io::Result<()> {
    put(file, |unfinished| unfinished.write_all(content).and_then(|()| unfinished.sync_all()))?;
    // The new name is the directory's.
    file.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// The same as [`replace`] with what another file holds, which nobody may change meanwhile; one that holds the same stays as it is.
pub fn replace_with(file: &Path, content: &File) -> io::Result<()> {
    if open(file).and_then(|there| hold_the_same(&there, content)).unwrap_or(false) {
        return Ok(());
    }
    put(file, |unfinished| each_part(content, |part, _| unfinished.write_all(part).map(|()| true)).map(drop))
}

fn put(file: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    // Two threads may write at the same time, and so may two processes.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(format!(".{}-{}.tmp", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
    let unfinished = Path::new(&unfinished);
    let written = create(unfinished).and_then(|mut new| write(&mut new)).and_then(|()| fs::rename(unfinished, file));
    if written.is_err() {
        // It is removed at the next start, too.
        let _ = fs::remove_file(unfinished);
    }
    written
}

fn create(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).custom_flags(flags).open(path)
}

fn hold_the_same(one: &File, other: &File) -> io::Result<bool> {
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let mut there = [0; PART];
    each_part(other, |part, at| {
        one.read_exact_at(&mut there[..part.len()], at)?;
        Ok(there[..part.len()] == *part)
    })
}

/// Bytes that are copied or compared at once.
const PART: usize = 64 * 1024;

/// Takes the parts of a file, whatever its descriptor's place in it, until one is said to be the last (`false`).
fn each_part(file: &File, mut take: impl FnMut(&[u8], u64) -> io::Result<bool>) -> io::Result<bool> {
    let (mut part, mut at) = (vec![0; PART], 0);
    loop {
        let read = match file.read_at(&mut part, at) {
            Ok(0) => return Ok(true),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if !take(&part[..read], at)? {
            return Ok(false);
        }
        at += read as u64;
    }
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

    #[test]
    fn the_same_content_is_not_written_again_and_a_failed_write_leaves_the_old_one() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let (file, long) = (dir.path().join("time.00.json"), vec![b'x'; PART + 1]);
        let inode = || fs::metadata(&file).expect("there").ino();
        let holding = |content: &[u8]| {
            let mut new = tempfile::tempfile().expect("a file");
            new.write_all(content).expect("written");
            new
        };
        replace_with(&file, &holding(&long)).expect("written");
        let first = inode();
        replace_with(&file, &holding(&long)).expect("as it is");
        assert_eq!(inode(), first);
        let other = [&long[..PART], b"y"].concat();
        replace_with(&file, &holding(&other)).expect("written");
        assert_ne!(inode(), first);
        assert_eq!(fs::read(&file).expect("there"), other);
        let nothing_to_read = OpenOptions::new().write(true).open(&file).expect("opened");
        replace_with(&file, &nothing_to_read).expect_err("it cannot be read");
        assert_eq!(fs::read(&file).expect("there"), other);
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1, "nothing unfinished is left");
    }
}
