//! The stderr of a server: a bounded rate of log lines, and the last of it for error messages.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use mcproxy_ipc::LogRecord;
use tokio::sync::mpsc;

use crate::{
    lines::{ServerLine, Splitter, printable},
    mask::{Mask, Veil},
    permission_hints::complaint,
};

/// How much of the end is kept for error messages.
pub(crate) const TAIL: usize = 32 * 1024;
/// Longest line in the log.
const MAX_LINE: usize = 8 * 1024;
/// How much of a longer line is logged.
const KEEP: usize = 1024;
/// Bytes that are read per window. A server that writes more is slowed down, so that a flood costs a bounded share of a core.
const BYTES_PER_WINDOW: usize = 4 * 1024 * 1024;
const WINDOW: Duration = Duration::from_millis(100);
/// So many lines that a server wrote while it was asked what it speaks are logged like others; more are not at all.
const FEW: usize = 10;
/// A complaint about the question is whole after this long. Fewer lines than that are about something else, such as a page
/// that a user has to visit, and do not wait for the answer.
const COMPLAINT: Duration = Duration::from_secs(2);
/// So many lines about a permission that was lacking wait to be looked at.
const MAX_COMPLAINTS: usize = 4;

/// Receives the lines for the log, and how many were dropped before each.
pub(crate) type Sink = Box<dyn FnMut(String, u64)>;

/// Lines as records for the supervisor, in whose log `instance` tells apart what runs at once. A full queue drops lines and
/// counts them.
pub(crate) fn to_log(records: mpsc::Sender<LogRecord>, instance: Option<u32>) -> Sink {
    let mut lost = 0;
    Box::new(move |line, dropped| {
        let mut record = LogRecord::stderr(line);
        record.fields.extend(instance.map(|number| ("instance".to_owned(), number.to_string())));
        record.dropped = lost + dropped;
        lost = match records.try_send(record) {
            Ok(()) => 0,
            Err(_) => lost + dropped + 1,
        };
    })
}

/// Keeps and forwards what a server writes to stderr.
pub(crate) struct Stderr {
    /// Nothing behind it has seen a secret: neither lines nor the tail, however they are cut.
    veil: Veil,
    splitter: Splitter,
    tail: VecDeque<u8>,
    /// The last of what was written while the server was asked what it speaks, and how many lines of it there were.
    apart: (VecDeque<u8>, usize),
    /// When the first of that was written.
    apart_since: Instant,
    dropped: u64,
    /// Lines per second that are logged; the rest is counted.
    lines: u32,
    tokens: u32,
    refilled: Instant,
    window: Instant,
    read: usize,
    /// Lines about a permission that was lacking.
    complaints: Vec<String>,
    sink: Sink,
}

impl Stderr {
    pub(crate) fn new(lines: u32, mask: Mask, sink: Sink, now: Instant) -> Self {
        Self {
            veil: Veil::new(mask),
            splitter: Splitter::new(MAX_LINE, KEEP),
            tail: VecDeque::new(),
            apart: (VecDeque::new(), 0),
            apart_since: now,
            dropped: 0,
            lines,
            tokens: lines,
            refilled: now,
            window: now,
            read: 0,
            complaints: Vec::new(),
            sink,
        }
    }

    /// Takes in what was read.
    pub(crate) fn take(&mut self, bytes: &[u8], now: Instant) {
        self.count(bytes, now);
        let shown = self.veil.pass(bytes);
        self.take_counted(&shown, now);
    }

    fn count(&mut self, bytes: &[u8], now: Instant) {
        if now.duration_since(self.window) >= WINDOW {
            self.window = now;
            self.read = 0;
        }
        self.read += bytes.len();
    }

    fn take_counted(&mut self, bytes: &[u8], now: Instant) {
        self.keep(bytes);
        if now.duration_since(self.refilled) >= Duration::from_secs(1) {
            self.refilled = now;
            self.tokens = self.lines;
        }
        if self.tokens == 0 {
            self.dropped += memchr::memchr_iter(b'\n', bytes).count() as u64;
            self.splitter.clear();
            return;
        }
        self.splitter.push(bytes);
        while let Some(line) = self.splitter.next() {
            self.log(line);
        }
    }

    /// Takes in what the server wrote while it was asked what it speaks.
    pub(crate) fn take_apart(&mut self, bytes: &[u8], now: Instant) {
        self.count(bytes, now);
        let bytes = &*self.veil.pass(bytes);
        if bytes.is_empty() {
            return;
        }
        if self.apart.0.is_empty() {
            self.apart_since = now;
        }
        self.apart.1 += memchr::memchr_iter(b'\n', bytes).count();
        push_bounded(&mut self.apart.0, bytes);
    }

    /// The server has answered, or goes on with another process: a few lines of that are taken in like others. Says how many
    /// are not.
    pub(crate) fn settle(&mut self, now: Instant) -> usize {
        if self.apart.1 > FEW {
            return std::mem::take(&mut self.apart).1;
        }
        self.give_back(now);
        0
    }

    /// The answer takes its time: a few lines of that are taken in like others now.
    pub(crate) fn release_few(&mut self, now: Instant) {
        if self.apart.1 <= FEW && now.duration_since(self.apart_since) >= COMPLAINT {
            self.give_back(now);
        }
    }

    /// Takes all of that in like others: it may say why the server does not start.
    pub(crate) fn give_back(&mut self, now: Instant) {
        let (apart, _) = std::mem::take(&mut self.apart);
        if !apart.is_empty() {
            self.take_counted(&Vec::from(apart), now);
        }
    }

    /// The output of a process that was replaced explains nothing of what comes later.
    pub(crate) fn forget(&mut self) {
        self.finish();
        self.tail.clear();
    }

    /// The stream is over.
    pub(crate) fn finish(&mut self) {
        let rest = self.veil.finish();
        if !rest.is_empty() {
            self.keep(&rest);
            self.splitter.push(&rest);
            while let Some(line) = self.splitter.next() {
                self.log(line);
            }
        }
        if let Some(line) = self.splitter.finish() {
            self.log(line);
        }
        if self.dropped > 0 {
            let dropped = std::mem::take(&mut self.dropped);
            (self.sink)(String::from("(lines dropped)"), dropped);
        }
    }

    /// Until when nothing more should be read.
    pub(crate) fn pause(&self, now: Instant) -> Option<Instant> {
        let over = self.window + WINDOW;
        (self.read >= BYTES_PER_WINDOW && now < over).then_some(over)
    }

    /// The last bytes as text, at most `max` of them.
    pub(crate) fn tail(&self, max: usize) -> String {
        let skip = (self.tail.len() + self.apart.0.len()).saturating_sub(max);
        let bytes: Vec<u8> =
            self.tail.iter().chain(&self.apart.0).copied().skip(skip).skip_while(|b| b & 0xc0 == 0x80).collect();
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        // Replacement characters are longer than what they replace.
        while text.len() > max {
            text.remove(0);
        }
        text
    }

    /// The lines about a permission that was lacking, since this was asked last.
    pub(crate) fn take_complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// A line of ours, for whoever reads the last words of the server.
    pub(crate) fn add_to_tail(&mut self, line: &str) {
        if self.tail.back().is_some_and(|last| *last != b'\n') {
            self.keep(b"\n");
        }
        self.keep(format!("mcproxy: {line}\n").as_bytes());
    }

    fn keep(&mut self, bytes: &[u8]) {
        push_bounded(&mut self.tail, bytes);
    }

    fn log(&mut self, line: ServerLine) {
        if self.tokens == 0 {
            self.dropped += 1;
            return;
        }
        self.tokens -= 1;
        let text = match line {
            ServerLine::Text(text) => printable(&text, MAX_LINE),
            ServerLine::TooLong { head, len, .. } => format!("{} ({len} bytes)", printable(&head, KEEP)),
        };
        if self.complaints.len() < MAX_COMPLAINTS
            && let Some(complaint) = complaint(&text)
        {
            self.complaints.push(complaint.to_owned());
        }
        (self.sink)(text, std::mem::take(&mut self.dropped));
    }
}

/// The last [`TAIL`] bytes of both.
fn push_bounded(tail: &mut VecDeque<u8>, bytes: &[u8]) {
    let fresh = &bytes[bytes.len().saturating_sub(TAIL)..];
    let surplus = (tail.len() + fresh.len()).saturating_sub(TAIL);
    tail.drain(..surplus);
    tail.extend(fresh);
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;

    type Seen = Rc<RefCell<Vec<(String, u64)>>>;

    fn stderr(now: Instant) -> (Stderr, Seen) {
        let seen = Seen::default();
        let sink = Rc::clone(&seen);
        (
            Stderr::new(
                200,
                Mask::default(),
                Box::new(move |line, dropped| sink.borrow_mut().push((line, dropped))),
                now,
            ),
            seen,
        )
    }

    #[test]
    fn a_flood_is_counted_and_the_count_travels_with_the_next_line() {
        let now = Instant::now();
        let (mut stderr, seen) = stderr(now);
        for _ in 0..100 {
            stderr.take(&b"y\n".repeat(100), now);
        }
        assert_eq!(seen.borrow().len(), 200);
        stderr.take(b"later\n", now + Duration::from_secs(1));
        assert_eq!(seen.borrow().last(), Some(&("later".to_owned(), 9_800)));
    }

    #[test]
    fn a_secret_is_in_no_line_and_not_in_the_tail_however_it_arrives() {
        let now = Instant::now();
        let secret = "sup3rs3cr3tvalue";
        // Before it, so much that the line is cut in the middle of it, and so much that the tail begins there.
        for before in [0, KEEP - 5, MAX_LINE - 5, TAIL - 5, 2 * TAIL] {
            let text = format!("{}{secret} and more\n", "x".repeat(before));
            for cut in [1, 5, 4096] {
                let seen = Seen::default();
                let sink = Rc::clone(&seen);
                let sink = Box::new(move |line, dropped| sink.borrow_mut().push((line, dropped)));
                let mut stderr = Stderr::new(200, Mask::new([secret.to_owned()]), sink, now);
                text.as_bytes().chunks(cut).for_each(|part| stderr.take(part, now));
                stderr.take_apart(secret.as_bytes(), now);
                stderr.give_back(now);
                stderr.finish();
                let shown = seen.borrow().iter().map(|(line, _)| line.as_str()).collect::<String>();
                for shown in [shown, stderr.tail(usize::MAX), stderr.tail(14)] {
                    assert!(!shown.contains("r3t") && !shown.contains("sup3"), "{before} {cut}: {shown}");
                }
            }
        }
    }

    #[test]
    fn the_tail_is_bounded_and_holds_the_end() {
        let now = Instant::now();
        let (mut stderr, _) = stderr(now);
        for i in 0..10_000 {
            stderr.take(format!("line {i} ä\n").as_bytes(), now);
        }
        assert!(stderr.tail(usize::MAX).len() <= TAIL);
        assert_eq!(stderr.tail(12), "ine 9999 ä\n");
    }

    #[test]
    fn what_is_written_at_the_question_is_logged_only_if_it_is_little_and_explains_a_failed_start() {
        let now = Instant::now();
        let (mut stderr, seen) = stderr(now);
        stderr.take(b"starting\n", now);
        stderr.take_apart(b"what is that?\n", now);
        assert_eq!((stderr.settle(now), seen.borrow().len()), (0, 2));
        stderr.take_apart("field required\n".repeat(100).as_bytes(), now);
        assert!(stderr.tail(usize::MAX).ends_with("field required\n"), "as long as nothing is decided");
        assert_eq!((stderr.settle(now), seen.borrow().len()), (100, 2));
        assert_eq!(stderr.tail(usize::MAX), "starting\nwhat is that?\n");
        stderr.take_apart("field required\n".repeat(100).as_bytes(), now);
        stderr.give_back(now);
        assert_eq!(seen.borrow().len(), 102);
        assert!(stderr.tail(usize::MAX).ends_with("field required\n"));
        for _ in 0..1_000 {
            stderr.take_apart(&[b'y'; 4096], now);
        }
        assert!(stderr.apart.0.len() <= TAIL);
    }

    #[test]
    fn a_few_lines_do_not_wait_for_an_answer_that_takes_its_time_and_a_long_complaint_does() {
        let now = Instant::now();
        let (mut stderr, seen) = stderr(now);
        stderr.take_apart(b"visit this page to log in\n", now);
        stderr.release_few(now + COMPLAINT / 2);
        assert_eq!(seen.borrow().len(), 0);
        stderr.release_few(now + COMPLAINT);
        assert_eq!(seen.borrow().len(), 1);
        stderr.take_apart("field required\n".repeat(100).as_bytes(), now + COMPLAINT);
        stderr.release_few(now + 9 * COMPLAINT);
        assert_eq!(seen.borrow().len(), 1);
    }

    #[test]
    fn a_flood_is_read_at_a_bounded_rate() {
        let now = Instant::now();
        let (mut stderr, _) = stderr(now);
        stderr.take(&vec![b'y'; BYTES_PER_WINDOW], now);
        assert_eq!(stderr.pause(now), Some(now + WINDOW));
        let later = now + WINDOW;
        assert_eq!(stderr.pause(later), None);
        stderr.take_apart(&vec![b'y'; BYTES_PER_WINDOW], later);
        assert_eq!(stderr.pause(later), Some(later + WINDOW), "while it is asked what it speaks as well");
    }
}
