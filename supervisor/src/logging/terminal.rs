//! Standard output that is a terminal. While everything starts, a person is shown one line for each server instead of records
//! that wrap, and warnings as lines of the same kind; those lines come as records too, so that all that is written goes through
//! one queue and no task waits for it.

use std::{
    fmt::Write as _,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use slog::{Drain, Level, Logger, OwnedKVList, Record};

use super::{escape::one_line, facts::facts};

/// The tag of a line that is written as it is.
const PLAIN: &str = "plain";
/// The tag of the last of them: records are written again behind it.
const LAST: &str = "last";

/// Whether records are held back for a while; errors never are, and warnings become plain lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quiet(Arc<AtomicBool>);

impl Quiet {
    /// From now on.
    pub(crate) fn set(&self, quiet: bool) {
        self.0.store(quiet, Ordering::Relaxed);
    }
}

/// Writes plain lines itself, and leaves other records to `inner`.
pub(super) struct TerminalDrain<D, W> {
    pub(super) inner: D,
    pub(super) out: W,
    pub(super) quiet: Quiet,
}

/// Writes a line for a person: without level, time and keys.
pub(crate) fn say(log: &Logger, line: &str) {
    // Whatever level is in force: who sits at the terminal has asked for this.
    slog::log!(log, Level::Critical, PLAIN, "{}", line);
}

/// The same; records that come later are written again. Those that came before are still held back, however late they are
/// written.
pub(crate) fn say_last(log: &Logger, line: &str) {
    slog::log!(log, Level::Critical, LAST, "{}", line);
}

impl<D: Drain<Ok = ()>, W> Drain for TerminalDrain<D, W>
where
    for<'a> &'a W: Write,
{
    type Ok = ();
    type Err = D::Err;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), D::Err> {
        if [PLAIN, LAST].contains(&record.tag()) {
            if record.tag() == LAST {
                self.quiet.set(false);
            }
            // As with records: what a terminal does not take is lost.
            let _ = writeln!(&self.out, "{}", record.msg());
            return Ok(());
        }
        if !self.quiet.0.load(Ordering::Relaxed) || record.level().is_at_least(Level::Error) {
            return self.inner.log(record, values);
        }
        if record.level() == Level::Warning {
            let _ = writeln!(&self.out, "{}", warning(record, values));
        }
        Ok(())
    }
}

/// A warning without level, time and what only says where it comes from.
fn warning(record: &Record<'_>, values: &OwnedKVList) -> String {
    let mut line = format!("warning: {}", record.msg());
    let facts = facts(record, values).into_iter().filter(|(key, _)| *key != "generation");
    for (place, (key, value)) in facts.enumerate() {
        let _ = write!(line, "{}{key}: {value}", if place == 0 { " – " } else { ", " });
    }
    one_line(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, sync::Mutex};

    use slog::{error, info, o, warn};

    use super::*;

    #[test]
    fn a_line_is_written_as_it_is_and_records_only_when_it_is_not_quiet() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let opened = || File::options().append(true).open(file.path()).expect("opened");
        let quiet = Quiet::default();
        let inner = Mutex::new(slog_json::Json::default(opened()));
        let log = Logger::root(TerminalDrain { inner, out: opened(), quiet: quiet.clone() }.ignore_res(), o!("k" => 1));
        quiet.set(true);
        say(&log, "everything  ready");
        info!(log, "held back");
        warn!(log, "key is not known"; "key" => "x\u{1b}", "line" => 3);
        error!(log, "never held back");
        say_last(&log, "that is all");
        info!(log, "shown");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("read");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert_eq!(lines[0], "everything  ready");
        assert_eq!(lines[1], "warning: key is not known – k: 1, key: x\\u{1b}, line: 3");
        assert!(lines[2].contains("never held back") && lines[4].contains("shown"), "{text}");
    }
}
