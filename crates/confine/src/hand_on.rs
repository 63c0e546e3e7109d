//! A descriptor on its way from one process of ours to another that it starts.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    io,
    os::fd::{AsFd, AsRawFd},
};

use rustix::io::{FdFlags, fcntl_setfd};

/// Lets `spawn` start the process that inherits `descriptor`; what it is given is the number for the command line. No other thread
/// may start a process meanwhile: it would inherit the descriptor as well.
///
/// # Errors
/// Those of `spawn`.
pub fn hand_on<R>(descriptor: impl AsFd, spawn: impl FnOnce(OsString) -> io::Result<R>) -> io::Result<R> {
    let descriptor = descriptor.as_fd();
    fcntl_setfd(descriptor, FdFlags::empty())?;
    let spawned = spawn(descriptor.as_raw_fd().to_string().into());
    fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
    spawned
}

/// Opens what this process inherited at a number of its command line. It is opened anew, because a number alone is no safe claim on a
/// descriptor; the inherited one stays open until [`crate::close_on_exec`] and exec(3) close it.
///
/// # Errors
/// There is none of this number, or it cannot be opened in this way.
pub fn inherited(number: &OsStr, how: &OpenOptions) -> io::Result<File> {
    let number: u32 = number
        .to_str()
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it is no descriptor"))?;
    how.open(format!("/proc/self/fd/{number}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn what_is_handed_on_is_there_for_one_process_and_for_no_other() {
        let (reading, writing) = io::pipe().expect("a pipe");
        let say = |number: &OsStr| {
            let script = format!("echo here >&{}", number.display());
            std::process::Command::new("sh").args(["-c", &script]).stderr(std::process::Stdio::null()).status()
        };
        let mut number = OsString::new();
        let first = hand_on(&writing, |handed| {
            number = handed;
            say(&number)
        });
        assert!(first.expect("started").success());
        assert!(!say(&number).expect("started").success(), "it is closed again");
        drop(writing);
        let mut said = String::new();
        { reading }.read_to_string(&mut said).expect("read");
        assert_eq!(said, "here\n");
    }

    #[test]
    fn an_inherited_descriptor_is_found_by_its_number_and_nothing_else_is() {
        let (mut reading, writing) = io::pipe().expect("a pipe");
        let number = OsString::from(writing.as_raw_fd().to_string());
        let mut opened = inherited(&number, OpenOptions::new().write(true)).expect("opened");
        opened.write_all(b"x").expect("written");
        let mut byte = [0];
        reading.read_exact(&mut byte).expect("read");
        assert_eq!(byte, *b"x");
        for number in ["", "x", "-1", "77777", "../../../etc/passwd"] {
            inherited(number.as_ref(), OpenOptions::new().read(true)).expect_err(number);
        }
    }
}
