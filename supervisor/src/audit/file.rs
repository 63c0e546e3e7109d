//! The file of the audit: lines are appended, and a full or old file makes room for the next. Runs on a thread that may wait for a disk.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use mcproxy_audit::{ChainHead, FILE, MAX_LINE, file_number, rotated_name, write_line};
use mcproxy_config::AuditConfig;
use mcproxy_ipc::AuditRecord;
use rustix::fs::OFlags;

use crate::runtime_dir::own_directory;

const FLAG: &str = "audit.dir";

/// The file that is written, and where its chain has come to.
#[derive(Debug)]
pub(super) struct AuditFile {
    config: AuditConfig,
    dir: PathBuf,
    file: File,
    size: u64,
    /// When it was begun.
    begun: SystemTime,
    /// The number of its first line.
    first: u64,
    head: ChainHead,
}

impl AuditFile {
    /// Goes on with the trail in this directory, or begins one. A line that a crash cut off is no line, and is removed.
    pub(super) fn open(dir: &Path, config: AuditConfig) -> io::Result<Self> {
        own_directory(dir, true, FLAG).map_err(io::Error::other)?;
        let mut file = open(&dir.join(FILE))?;
        let size = cut_torn_line(&mut file)?;
        let meta = file.metadata()?;
        let begun = meta.created().or_else(|_| meta.modified())?;
        let (head, first) = match (size, newest(dir)?) {
            (0, None) => (ChainHead::default(), 1),
            (0, Some(before)) => {
                let head = head_of(&mut File::open(dir.join(rotated_name(before)))?)?;
                (head, head.next)
            }
            (_, _) => (head_of(&mut file)?, first_of(&mut file)?),
        };
        Ok(Self { config, dir: dir.to_owned(), file, size, begun, first, head })
    }

    pub(super) fn config(&self) -> &AuditConfig {
        &self.config
    }

    /// Appends records; `dropped` before them are none. All of them are there, or the caller tries all of them again.
    pub(super) fn write(&mut self, records: &[AuditRecord], dropped: u64) -> io::Result<()> {
        if self.is_full() {
            self.rotate()?;
        }
        let (mut text, mut head, mut dropped) = (Vec::new(), self.head, dropped);
        for record in records {
            write_line(&mut text, &mut head, record, std::mem::take(&mut dropped));
        }
        let written =
            self.file.write_all(&text).and_then(|()| if self.config.durable { self.file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // A part of them must not stay, or they would be there twice.
            let _ = self.file.set_len(self.size);
            return Err(error);
        }
        self.size += text.len() as u64;
        self.head = head;
        Ok(())
    }

    fn is_full(&self) -> bool {
        let age = SystemTime::now().duration_since(self.begun).unwrap_or(Duration::ZERO);
        self.size > 0 && (self.size >= self.config.max_bytes || age >= self.config.max_age)
    }

    /// Begins another file, and removes the oldest ones.
    fn rotate(&mut self) -> io::Result<()> {
        let path = self.dir.join(FILE);
        fs::rename(&path, self.dir.join(rotated_name(self.first)))?;
        self.file = open(&path)?;
        (self.size, self.begun, self.first) = (0, SystemTime::now(), self.head.next);
        let mut before = numbers(&self.dir)?;
        before.sort_unstable();
        for number in before.iter().rev().skip(self.config.keep) {
            fs::remove_file(self.dir.join(rotated_name(*number)))?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed();
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!("{} is no file", path.display())));
    }
    Ok(file)
}

/// Removes what follows the last line's end; the size that is left.
fn cut_torn_line(file: &mut File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let tail = tail(file, size)?;
    let torn = tail.iter().rev().take_while(|byte| **byte != b'\n').count() as u64;
    if torn > 0 {
        file.set_len(size - torn)?;
    }
    Ok(size - torn)
}

/// The end of a file, of at least one whole line.
fn tail(file: &mut File, size: u64) -> io::Result<Vec<u8>> {
    let bound = 2 * MAX_LINE as u64;
    file.seek(SeekFrom::Start(size.saturating_sub(bound)))?;
    let mut tail = Vec::new();
    file.take(bound).read_to_end(&mut tail)?;
    Ok(tail)
}

/// Where the chain has come to in a file with lines.
fn head_of(file: &mut File) -> io::Result<ChainHead> {
    let size = file.metadata()?.len();
    let tail = tail(file, size)?;
    let last = tail.strip_suffix(b"\n").unwrap_or(&tail).rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    ChainHead::after(last).ok_or_else(no_trail)
}

fn first_of(file: &mut File) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut text = Vec::new();
    file.take(2 * MAX_LINE as u64).read_to_end(&mut text)?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    ChainHead::after(line).map(|head| head.next - 1).ok_or_else(no_trail)
}

fn no_trail() -> io::Error {
    io::Error::other(
        "the file has a line that is none of an audit; move it away, `mcproxy audit verify` shows where it is",
    )
}

fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let names = fs::read_dir(dir)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter_map(|name| file_number(&name)).collect())
}

fn newest(dir: &Path) -> io::Result<Option<u64>> {
    Ok(numbers(dir)?.into_iter().max())
}

#[cfg(test)]
mod tests {
    use mcproxy_audit::ChainReader;

    use super::*;

    fn record(name: &str) -> AuditRecord {
        AuditRecord {
            approval: None,
            at_ms: 0,
            principal: None,
            client: None,
            session: "none".into(),
            endpoint: "all".into(),
            server: "a".into(),
            method: "tools/call".into(),
            name: name.to_owned(),
            definition: None,
            arguments_sha256: [0; 32],
            arguments_bytes: 0,
            arguments: None,
            outcome: "result".into(),
            reason: String::new(),
            result_bytes: 0,
            duration_us: 0,
        }
    }

    fn lines(dir: &Path) -> ChainReader {
        let mut files: Vec<u64> = numbers(dir).expect("a directory");
        files.sort_unstable();
        let names = files.into_iter().map(rotated_name).chain([FILE.to_owned()]);
        let mut reader = ChainReader::default();
        for name in names {
            let text = fs::read(dir.join(name)).expect("a file");
            for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                reader.next(line).expect("it follows");
            }
        }
        reader
    }

    fn config() -> AuditConfig {
        AuditConfig { max_bytes: 2000, keep: 3, ..AuditConfig::default() }
    }

    #[test]
    fn full_files_make_room_and_the_oldest_go_and_the_chain_goes_on_through_all_of_them() {
        let place = tempfile::tempdir().expect("a directory");
        let dir = place.path().join("audit");
        let mut file = AuditFile::open(&dir, config()).expect("opened");
        for n in 0..60 {
            file.write(&[record(&format!("t{n}"))], 0).expect("written");
            if n % 7 == 0 {
                file = AuditFile::open(&dir, config()).expect("opened again");
            }
        }
        let names = fs::read_dir(&dir).expect("a directory").count();
        assert_eq!(names, 4, "three before the one that is written");
        let read = lines(&dir);
        assert_eq!(read.head().map(|head| head.next), Some(61));
        assert!(read.first > Some(1), "the first lines are gone");
    }

    #[test]
    fn an_old_file_makes_room_too() {
        let place = tempfile::tempdir().expect("a directory");
        let config = AuditConfig { max_age: Duration::ZERO, ..AuditConfig::default() };
        let mut file = AuditFile::open(place.path(), config).expect("opened");
        for name in ["a", "b"] {
            file.write(&[record(name)], 0).expect("written");
        }
        assert_eq!(numbers(place.path()).expect("a directory"), [1]);
        assert_eq!(lines(place.path()).lines, 2);
    }

    #[test]
    fn a_line_that_a_crash_cut_off_is_removed_and_a_foreign_file_is_left_alone() {
        let place = tempfile::tempdir().expect("a directory");
        let mut file = AuditFile::open(place.path(), config()).expect("opened");
        file.write(&[record("a"), record("b")], 2).expect("written");
        drop(file);
        let path = place.path().join(FILE);
        let mut torn = OpenOptions::new().append(true).open(&path).expect("opened");
        torn.write_all(b"{\"n\":3,\"prev\":\"").expect("written");
        let mut file = AuditFile::open(place.path(), config()).expect("opened");
        file.write(&[record("c")], 0).expect("written");
        let read = lines(place.path());
        assert_eq!((read.lines, read.dropped), (3, 2));
        fs::write(&path, "somebody's notes\n").expect("written");
        assert!(AuditFile::open(place.path(), config()).is_err());
        assert_eq!(fs::read_to_string(&path).expect("there"), "somebody's notes\n");
    }
}
