//! The only place that knows `slog-syslog`, which is old (docs/decisions). It is used from the log thread alone, so a
//! syslog daemon that blocks delays no task.

use std::{
    cell::{Cell, RefCell},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use slog::{BorrowedKV, Drain, Level, OwnedKVList, Record, RecordLocation, RecordStatic};
use slog_syslog::{Facility, Streamer3164, SyslogBuilder};

/// Where syslog daemons listen.
pub(super) const SOCKETS: &[&str] = &["/dev/log", "/var/run/syslog"];
/// A daemon that went away is looked for again at most this often.
const RETRY: Duration = Duration::from_secs(1);

/// A syslog connection that survives a restart of the daemon.
pub(super) struct Syslog {
    path: PathBuf,
    stream: RefCell<Option<Streamer3164>>,
    tried: Cell<Instant>,
}

impl Syslog {
    /// Connects to the first of `sockets` where a daemon listens.
    pub(super) fn open<P: AsRef<Path>>(sockets: &[P]) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no syslog socket is known");
        for path in sockets.iter().map(AsRef::as_ref) {
            match connect(path) {
                Ok(stream) => {
                    let stream = RefCell::new(Some(stream));
                    return Ok(Self { path: path.to_owned(), stream, tried: Cell::new(Instant::now()) });
                }
                Err(error) => last = io::Error::new(error.kind(), format!("{}: {error}", path.display())),
            }
        }
        Err(last)
    }
}

fn connect(path: &Path) -> io::Result<Streamer3164> {
    // Its own filter is inverted: at any level but this it drops the more serious records. Ours stands before it.
    SyslogBuilder::new().facility(Facility::LOG_DAEMON).level(Level::Critical).unix(path).start()
}

/// It writes `info` as syslog's notice and `debug` as syslog's info: one step further down they are what they are called.
fn as_it_numbers(level: Level) -> Level {
    match level {
        Level::Info => Level::Debug,
        Level::Debug => Level::Trace,
        level => level,
    }
}

impl Drain for Syslog {
    type Ok = ();
    type Err = io::Error;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> io::Result<()> {
        const HERE: RecordLocation =
            RecordLocation { file: file!(), line: line!(), column: 0, function: "", module: module_path!() };
        let stat = RecordStatic { location: &HERE, tag: "", level: as_it_numbers(record.level()) };
        let facts = record.kv();
        let record = &Record::new(&stat, record.msg(), BorrowedKV(&facts));
        let mut stream = self.stream.borrow_mut();
        if let Some(open) = stream.as_ref() {
            match open.log(record, values) {
                Ok(()) => return Ok(()),
                // The daemon was restarted, most likely.
                Err(_) => *stream = None,
            }
        }
        if self.tried.get().elapsed() < RETRY {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.tried.set(Instant::now());
        stream.insert(connect(&self.path)?).log(record, values)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, os::unix::net::UnixDatagram, time::Duration};

    use slog::{b, o, record};

    use super::*;

    fn receive(daemon: &UnixDatagram) -> String {
        let mut bytes = [0; 1024];
        daemon.set_read_timeout(Some(Duration::from_secs(5))).expect("a positive timeout");
        let n = daemon.recv(&mut bytes).expect("a datagram arrives");
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    }

    #[test]
    fn every_level_reaches_the_daemon_and_its_restart_is_survived() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).expect("binds");
        let syslog = Syslog::open(&[&path]).expect("the daemon listens");
        let none: OwnedKVList = o!().into();
        syslog.log(&record!(Level::Error, "", &format_args!("bad"), b!("server" => "time")), &none).expect("sent");
        assert!(receive(&daemon).contains("bad, server: time"));
        syslog.log(&record!(Level::Debug, "", &format_args!("detail"), b!()), &none).expect("sent");
        assert!(receive(&daemon).contains("detail"));

        drop(daemon);
        std::fs::remove_file(&path).expect("was there");
        let daemon = UnixDatagram::bind(&path).expect("binds again");
        let syslog = Syslog { tried: Cell::new(Instant::now() - 2 * RETRY), ..syslog };
        syslog.log(&record!(Level::Info, "", &format_args!("again"), b!()), &none).expect("reconnected");
        assert!(receive(&daemon).contains("again"));
    }
}
