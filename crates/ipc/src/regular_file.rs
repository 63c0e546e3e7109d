//! Opening a file that people may have put something else in the place of.

use std::{
    fs::{self, File, FileType, OpenOptions},
    io,
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

/// Whether a symbolic link at the end of the path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// It is followed: people and Kubernetes put configurations behind links.
    Follow,
    /// It is an error: it may lead anywhere.
    Refuse,
}

/// Opens a file to be read, or says what lies there instead: a pipe would be waited for, a device may be anything. What is in it is
/// for the caller to bound. Blocks as long as the disk does, which may be for ever where that is a network.
pub fn open(path: &Path, links: Links) -> io::Result<File> {
    let found = match links {
        Links::Follow => fs::metadata(path)?,
        Links::Refuse => fs::symlink_metadata(path)?,
    };
    // Opening a device may do something to it, so it is looked at first; and again, because it may be another one by then.
    check(found.file_type())?;
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    if links == Links::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

fn check(found: FileType) -> io::Result<()> {
    let what = match found {
        _ if found.is_file() => return Ok(()),
        _ if found.is_dir() => "a directory",
        _ if found.is_fifo() => "a named pipe",
        _ if found.is_socket() => "a socket",
        _ if found.is_symlink() => "a symbolic link",
        _ => "a device",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is {what} in the place of the file")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::*;

    #[test]
    fn what_is_no_file_is_named_at_once_and_never_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
        fs::create_dir(at("dir")).expect("a directory");
        let _listener = UnixListener::bind(at("socket")).expect("a socket");
        fs::write(at("file"), "text").expect("written");
        symlink(at("file"), at("link")).expect("a link");
        symlink(at("pipe"), at("to-pipe")).expect("a link");
        let said = |name: &str| open(&at(name), Links::Follow).expect_err("no file").to_string();
        assert!(said("pipe").contains("named pipe") && said("to-pipe").contains("named pipe"));
        assert!(said("dir").contains("directory") && said("socket").contains("socket"));
        let error = open("/dev/zero".as_ref(), Links::Follow).expect_err("no file").to_string();
        assert!(error.contains("device"), "{error}");
        assert_eq!(io::read_to_string(open(&at("link"), Links::Follow).expect("a file")).expect("text"), "text");
        assert!(open(&at("link"), Links::Refuse).is_err());
        assert!(open(&at("file"), Links::Refuse).is_ok());
    }
}
