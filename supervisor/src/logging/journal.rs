//! The journal of systemd, in its own protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>): a record has its level, its server
//! and every other fact as fields, so that `journalctl -p warning` and `journalctl MCPROXY_SERVER=time` find it.

use std::{
    cell::{Cell, RefCell},
    io::{self, Write as _},
    os::{
        fd::AsFd,
        unix::{ffi::OsStrExt as _, net::UnixDatagram},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::FileType;
use slog::{Drain, Level, OwnedKVList, Record};

use super::{
    escape::{one_line, printable},
    facts::{facts, sentence},
};
use crate::{bounded_text::cut, datagram};

/// Where journald listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// A journal that went away is looked for again at most this often.
const RETRY: Duration = Duration::from_secs(1);
/// Longest value of a field, in bytes.
const MAX_VALUE: usize = 48 * 1024;
/// Most fields of a record besides the fixed ones.
const MAX_FIELDS: usize = 64;
/// Longest name of a field (journald drops longer ones).
const LONGEST_NAME: usize = 64;
/// What our records are found by: `journalctl -t mcproxy`.
const IDENTIFIER: &str = "mcproxy";

/// Where the journal is. Tests put another socket in its place.
pub(super) fn socket() -> PathBuf {
    #[cfg(debug_assertions)]
    if let Some(path) = std::env::var_os("MCPROXY_TEST_JOURNAL") {
        return path.into();
    }
    SOCKET.into()
}

/// Whether this stream of ours is one of the journal's (`JOURNAL_STREAM`, systemd.exec(5)). Where it was redirected it is not.
pub(super) fn is_at(stream: impl AsFd) -> bool {
    let Some(named) = std::env::var_os("JOURNAL_STREAM") else { return false };
    let Ok(found) = rustix::fs::fstat(stream) else { return false };
    named.as_bytes() == format!("{}:{}", found.st_dev, found.st_ino).as_bytes()
}

/// Whether standard output is one of the journal's. Where both streams are, and not the same, `JOURNAL_STREAM` names standard error.
pub(super) fn is_at_stdout() -> bool {
    let is_socket = |found: rustix::fs::Stat| FileType::from_raw_mode(found.st_mode) == FileType::Socket;
    is_at(io::stdout()) || (is_at(io::stderr()) && rustix::fs::fstat(io::stdout()).is_ok_and(is_socket))
}

/// The level as syslog numbers it, from 0 (worst) to 7.
pub(super) fn priority(level: Level) -> u8 {
    match level {
        Level::Critical => 2,
        Level::Error => 3,
        Level::Warning => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// A connection to the journal that survives its restart.
pub(super) struct Journal {
    path: PathBuf,
    socket: RefCell<Option<UnixDatagram>>,
    tried: Cell<Instant>,
}

impl Journal {
    /// Connects to the journal that listens at `path`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let socket = connect(path)?;
        Ok(Self { path: path.to_owned(), socket: RefCell::new(Some(socket)), tried: Cell::new(Instant::now()) })
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(socket)
}

impl Drain for Journal {
    type Ok = ();
    type Err = io::Error;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> io::Result<()> {
        let fields = fields(record, values);
        let mut socket = self.socket.borrow_mut();
        if let Some(open) = socket.as_ref() {
            match send(open, &fields) {
                Ok(()) => return Ok(()),
                // journald was restarted, most likely.
                Err(_) => *socket = None,
            }
        }
        if self.tried.get().elapsed() < RETRY {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.tried.set(Instant::now());
        send(socket.insert(connect(&self.path)?), &fields)
    }
}

/// Blocks while journald does not read, which costs the log thread its time and nobody else.
fn send(socket: &UnixDatagram, fields: &[u8]) -> io::Result<()> {
    match socket.send(fields) {
        Err(error) if matches!(error.raw_os_error(), Some(code) if code == TOO_LONG || code == NO_BUFFER) => {
            datagram::send_as_file(socket, fields)
        }
        sent => sent.map(drop),
    }
}

const TOO_LONG: i32 = rustix::io::Errno::MSGSIZE.raw_os_error();
const NO_BUFFER: i32 = rustix::io::Errno::NOBUFS.raw_os_error();

/// The record as the journal takes it.
fn fields(record: &Record<'_>, values: &OwnedKVList) -> Vec<u8> {
    let mut facts = facts(record, values);
    facts.truncate(MAX_FIELDS);
    let mut fields = Vec::new();
    put(&mut fields, "MESSAGE", &printable(&sentence(record, &facts)));
    put(&mut fields, "PRIORITY", &priority(record.level()).to_string());
    put(&mut fields, "SYSLOG_IDENTIFIER", IDENTIFIER);
    put(&mut fields, "SYSLOG_FACILITY", "3");
    put(&mut fields, "SYSLOG_PID", &std::process::id().to_string());
    put(&mut fields, "MCPROXY_MESSAGE", &one_line(&record.msg().to_string()));
    for (key, value) in &facts {
        put(&mut fields, &name(key), value);
    }
    fields
}

/// A field's name for one of our keys: `MCPROXY_DELAY_MS` for `delay_ms`.
fn name(key: &str) -> String {
    let upper =
        key.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte.to_ascii_uppercase()) } else { '_' });
    "MCPROXY_".chars().chain(upper).take(LONGEST_NAME).collect()
}

fn put(fields: &mut Vec<u8>, name: &str, value: &str) {
    let value = if value.len() > MAX_VALUE { cut(value.to_owned(), MAX_VALUE) } else { value.to_owned() };
    // Writing to a Vec cannot fail.
    let _ = if value.contains('\n') {
        let length = u64::try_from(value.len()).unwrap_or(u64::MAX).to_le_bytes();
        fields.extend_from_slice(name.as_bytes());
        fields.push(b'\n');
        fields.extend_from_slice(&length);
        fields.write_all(value.as_bytes()).and_then(|()| fields.write_all(b"\n"))
    } else {
        writeln!(fields, "{name}={value}")
    };
}

/// Records as lines on a stream of the journal whose own socket cannot be reached: their level goes before them (sd-daemon(3)), and
/// the time is the journal's.
pub(super) struct Prefixed<W>(pub(super) W);

impl<W> Drain for Prefixed<W>
where
    for<'a> &'a W: io::Write,
{
    type Ok = ();
    type Err = io::Error;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> io::Result<()> {
        let text = sentence(record, &facts(record, values));
        (&self.0).write_all(format!("<{}>{}\n", priority(record.level()), one_line(&text)).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs::File, io::Read as _};

    use proptest::prelude::*;
    use slog::{b, o, record};

    use super::*;

    /// Reads records as journald does.
    fn read(mut bytes: &[u8]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
            let (name, value, rest) = match line.iter().position(|byte| *byte == b'=') {
                Some(at) => (text(&line[..at]), text(&line[at + 1..]), rest),
                None => {
                    let (length, rest) = rest.split_first_chunk::<8>().expect("a length");
                    let (value, rest) = rest.split_at(usize::try_from(u64::from_le_bytes(*length)).expect("small"));
                    (text(line), text(value), rest.strip_prefix(b"\n").expect("the end of the value"))
                }
            };
            assert!(fields.insert(name, value).is_none(), "each field once");
            bytes = rest;
        }
        assert!(bytes.is_empty(), "all of it was read");
        fields
    }

    fn record_of(error: &str) -> BTreeMap<String, String> {
        let values: OwnedKVList = o!("server" => "time").into();
        let message = format_args!("it failed");
        let parts = b!("error" => error, "delay_ms" => 3);
        read(&fields(&record!(Level::Warning, "", &message, parts), &values))
    }

    #[test]
    fn a_record_has_its_level_its_server_and_its_facts_as_fields() {
        let fields = record_of("two\nlines");
        let expected = [
            ("MESSAGE", "it failed, server: time, error: two\nlines, delay_ms: 3"),
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "mcproxy"),
            ("MCPROXY_MESSAGE", "it failed"),
            ("MCPROXY_SERVER", "time"),
            ("MCPROXY_DELAY_MS", "3"),
            ("MCPROXY_ERROR", "two\nlines"),
        ];
        for (name, value) in expected {
            assert_eq!(fields.get(name).map(String::as_str), Some(value), "{name}");
        }
        let priorities = [Level::Critical, Level::Error, Level::Warning, Level::Info, Level::Debug].map(priority);
        assert_eq!(priorities, [2, 3, 4, 6, 7]);
    }

    #[test]
    fn what_is_too_long_for_a_datagram_comes_as_a_sealed_file_and_a_restart_is_survived() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("socket");
        let daemon = UnixDatagram::bind(&path).expect("binds");
        let journal = Journal::open(&path).expect("it listens");
        let none: OwnedKVList = o!().into();
        let log = |journal: &Journal, text: &str| {
            let message = format_args!("a record");
            let parts = b!("line" => text);
            journal.log(&record!(Level::Info, "", &message, parts), &none)
        };
        log(&journal, "short").expect("sent");
        let mut bytes = vec![0; 1 << 20];
        let len = daemon.recv(&mut bytes).expect("a datagram");
        assert_eq!(read(&bytes[..len])["MCPROXY_LINE"], "short");
        // As much as a socket holds by default is more than all values of a record together; a smaller one is enough here.
        let small = connect(&path).expect("connected");
        rustix::net::sockopt::set_socket_send_buffer_size(&small, 4096).expect("smaller");
        let journal = Journal { socket: RefCell::new(Some(small)), ..journal };
        let long = "x".repeat(2 * MAX_VALUE);
        log(&journal, &long).expect("sent");
        let file = received_file(&daemon);
        assert!(mcproxy_confine::is_sealed(&file));
        let mut content = Vec::new();
        File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)))
            .expect("opened anew")
            .read_to_end(&mut content)
            .expect("read");
        assert_eq!(read(&content)["MCPROXY_LINE"].len(), MAX_VALUE + '…'.len_utf8(), "cut to its bound");

        drop(daemon);
        std::fs::remove_file(&path).expect("was there");
        let daemon = UnixDatagram::bind(&path).expect("binds again");
        let journal = Journal { tried: Cell::new(Instant::now() - 2 * RETRY), ..journal };
        log(&journal, "again").expect("connected again");
        let len = daemon.recv(&mut bytes).expect("a datagram");
        assert_eq!(read(&bytes[..len])["MCPROXY_LINE"], "again");
    }

    fn received_file(daemon: &UnixDatagram) -> std::os::fd::OwnedFd {
        use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = recvmsg(daemon, &mut [], &mut control, RecvFlags::empty()).expect("a datagram");
        assert_eq!(message.bytes, 0);
        let rights = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        rights.expect("a file")
    }

    #[test]
    fn a_line_for_a_stream_of_the_journal_is_one_line_with_its_level() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let values: OwnedKVList = o!("server" => "time").into();
        let prefixed = Prefixed(file.reopen().expect("opened"));
        let message = format_args!("it failed");
        prefixed.log(&record!(Level::Error, "", &message, b!("error" => "a\nb")), &values).expect("written");
        assert_eq!(std::fs::read_to_string(file.path()).expect("text"), "<3>it failed, server: time, error: a\\nb\n");
    }

    proptest! {
        #[test]
        fn whatever_a_value_says_it_is_read_as_that_value(value in "(?s).{0,200}") {
            let fields = record_of(&value);
            prop_assert_eq!(&fields["MCPROXY_ERROR"], &value);
            prop_assert_eq!(fields.len(), 9);
        }

        #[test]
        fn a_field_has_a_name_that_the_journal_takes(key in any::<String>()) {
            let name = name(&key);
            prop_assert!(name.len() <= LONGEST_NAME && name.starts_with("MCPROXY_"));
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'));
        }
    }
}
