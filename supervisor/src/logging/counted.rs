//! The bounded queue in front of the sink: what finds no room in it is dropped and counted, and the count is said with the
//! next record that does. No task ever waits for a sink.

use std::sync::atomic::{AtomicU64, Ordering};

use mcproxy_ipc::log::DroppedRecords;
use slog::{Drain, Level, Never, OwnedKVList, Record, b, o, record};
use slog_async::{AsyncCore, AsyncCoreBuilder, AsyncGuard};

/// Records that may wait for the sink.
const QUEUE: usize = 2048;

/// A queue, and a thread that empties it into the sink.
pub(super) struct Counted {
    queue: AsyncCore,
    /// Since the last record that found room.
    dropped: AtomicU64,
    dropped_ever: DroppedRecords,
}

impl Counted {
    /// Starts the thread. Dropping the guard writes out what is queued, and waits for that.
    pub(super) fn new<D>(sink: D) -> (Self, AsyncGuard)
    where
        D: Drain<Ok = (), Err = Never> + Send + 'static,
    {
        let builder: AsyncCoreBuilder<D> = AsyncCore::custom(sink).chan_size(QUEUE).thread_name("log".to_owned());
        let (queue, guard) = builder.build_with_guard();
        (Self { queue, dropped: AtomicU64::new(0), dropped_ever: DroppedRecords::default() }, guard)
    }

    /// To tell how many records were dropped.
    pub(super) fn dropped_records(&self) -> DroppedRecords {
        self.dropped_ever.clone()
    }
}

impl Drain for Counted {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        if self.queue.log(record, values).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.dropped_ever.add(1);
            return Ok(());
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let message = format_args!("log records were dropped because their queue was full");
            let said = self.queue.log(&record!(Level::Warning, "", &message, b!("dropped" => dropped)), &o!().into());
            if said.is_err() {
                self.dropped.fetch_add(dropped, Ordering::Relaxed); // with the next one, then
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::net::UnixDatagram,
        sync::mpsc,
        time::{Duration, Instant},
    };

    use slog::{Logger, info};

    use super::*;
    use crate::logging::{Logging, syslog::Syslog};

    /// Holds up the thread until the test lets it go on.
    struct Gate(mpsc::Receiver<()>, mpsc::Sender<String>);

    impl Drain for Gate {
        type Ok = ();
        type Err = Never;

        fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
            let _ = self.0.recv(); // an error is for ever open
            let _ = self.1.send(record.msg().to_string());
            Ok(())
        }
    }

    #[test]
    fn a_sink_that_is_stuck_delays_nobody_and_what_it_missed_is_said_later() {
        let (open, gate) = mpsc::channel();
        let (to, written) = mpsc::channel();
        let (counted, guard) = Counted::new(Gate(gate, to));
        let dropped = counted.dropped_records();
        let log = Logger::root(counted, o!());
        (0..QUEUE + 100).for_each(|_| info!(log, "a record"));
        assert!((99..=100).contains(&dropped.count()), "{}", dropped.count());
        drop(open);
        let next = || written.recv_timeout(Duration::from_secs(20)).expect("the sink goes on");
        (0..QUEUE).for_each(|_| assert_eq!(next(), "a record"));
        info!(log, "one more");
        drop((log, guard));
        assert!(written.iter().any(|message| message.contains("were dropped")));
    }

    #[test]
    fn a_syslog_daemon_that_does_not_read_delays_neither_a_record_nor_the_end() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("log");
        let _daemon = UnixDatagram::bind(&path).expect("binds"); // and never reads
        let logging = Logging::with_sink(Syslog::open(&[&path]).expect("it listens"), mcproxy_ipc::LogLevel::Info);
        let begun = Instant::now();
        (0..20_000).for_each(|number| info!(logging.log, "a record"; "number" => number));
        assert!(logging.dropped.count() > 10_000, "{}", logging.dropped.count());
        logging.finish();
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}
