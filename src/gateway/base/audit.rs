//! Records of calls on their way to the supervisor, which writes them. A call takes its place before it is made, so that what is made can
//! be recorded; no more are unwritten than there are places.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use mcproxy_ipc::{AUDIT_UNWRITTEN, AuditRecord, AuditTerms};
use tokio::sync::{Notify, watch};

use super::audit_entry::AuditEntry;

/// Most bytes of records that wait to be sent.
const PENDING_BYTES: usize = 8 << 20;
/// Most records, and bytes of them, in one message.
const MAX_RECORDS: usize = 256;
const MESSAGE_BYTES: usize = 256 * 1024;

/// How far the supervisor has come with what it was sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuditProgress {
    /// How many records are written, ever.
    pub(crate) written: u64,
    /// Why no more can be.
    pub(crate) error: Option<String>,
}

/// Why a call is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRecorded {
    /// Records cannot be written.
    #[error("calls cannot be recorded (audit.fail is closed): {0}")]
    Failing(String),
    /// Too many are not written yet.
    #[error("too many calls are not recorded yet (audit.fail is closed)")]
    Behind,
}

/// The audit of this gateway.
pub(crate) struct AuditLog {
    terms: RefCell<Option<Rc<AuditTerms>>>,
    progress: watch::Receiver<AuditProgress>,
    pending: RefCell<VecDeque<AuditEntry>>,
    pending_bytes: Cell<usize>,
    /// Records that could not be sent.
    returned: RefCell<Vec<AuditRecord>>,
    /// Places that were taken, ever, and not given back without a record.
    taken: Cell<u64>,
    /// Calls that are recorded nowhere and not told yet.
    untold: Cell<u64>,
    /// Calls that are recorded nowhere, ever.
    dropped: Cell<u64>,
    /// Rung when there is something to send.
    pub(crate) news: Notify,
}

/// The place of one record.
pub(crate) struct AuditPlace {
    log: Rc<AuditLog>,
    /// Of those that there are; else what is recorded here is only counted.
    is_one: bool,
    terms: Rc<AuditTerms>,
}

impl AuditLog {
    pub(crate) fn new(progress: watch::Receiver<AuditProgress>) -> Rc<Self> {
        Rc::new(Self {
            terms: RefCell::default(),
            progress,
            pending: RefCell::default(),
            pending_bytes: Cell::default(),
            returned: RefCell::default(),
            taken: Cell::default(),
            untold: Cell::default(),
            dropped: Cell::default(),
            news: Notify::new(),
        })
    }

    /// Takes over what is to be recorded.
    pub(crate) fn set(&self, terms: Option<&AuditTerms>) {
        if self.terms.borrow().as_deref() != terms {
            *self.terms.borrow_mut() = terms.cloned().map(Rc::new);
        }
    }

    /// Whether calls are recorded.
    pub(crate) fn is_on(&self) -> bool {
        self.terms.borrow().is_some()
    }

    /// How many calls are recorded nowhere.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// A call is to be made; `None`: calls are not recorded.
    ///
    /// # Errors
    /// It could not be recorded, and is not to be made then.
    pub(crate) fn begin(self: &Rc<Self>) -> Result<Option<AuditPlace>, NotRecorded> {
        let Some(terms) = self.terms.borrow().clone() else { return Ok(None) };
        let (unwritten, error) = {
            let progress = self.progress.borrow();
            (self.taken.get().saturating_sub(progress.written), progress.error.clone())
        };
        let has_place = unwritten < AUDIT_UNWRITTEN && self.pending_bytes.get() < PENDING_BYTES;
        match error {
            Some(error) if terms.closed => return Err(NotRecorded::Failing(error)),
            _ if terms.closed && !has_place => return Err(NotRecorded::Behind),
            _ => {}
        }
        self.taken.set(self.taken.get() + u64::from(has_place));
        Ok(Some(AuditPlace { log: self.clone(), is_one: has_place, terms }))
    }

    /// Takes out what fits into a message, and how many calls before it are recorded nowhere.
    pub(crate) fn batch(&self) -> Option<(Vec<AuditRecord>, u64)> {
        let returned = self.returned.take();
        if !returned.is_empty() {
            return Some((returned, self.untold.take()));
        }
        let mut pending = self.pending.borrow_mut();
        let (mut records, mut bytes) = (Vec::new(), 0);
        // Without terms nothing is redacted any more, and nothing shown.
        let terms =
            self.terms.borrow().clone().unwrap_or_else(|| Rc::new(AuditTerms { arguments: None, closed: false }));
        while let Some(entry) = pending.front() {
            let size = entry.size();
            // One that is larger goes alone.
            if records.len() == MAX_RECORDS || (bytes + size > MESSAGE_BYTES && !records.is_empty()) {
                break;
            }
            bytes += size;
            records.extend(pending.pop_front().map(|entry| entry.into_record(&terms)));
        }
        self.pending_bytes.set(self.pending_bytes.get() - bytes);
        (!records.is_empty()).then(|| (records, self.untold.take()))
    }

    /// Puts back what could not be sent.
    pub(crate) fn put_back(&self, records: Vec<AuditRecord>, dropped: u64) {
        *self.returned.borrow_mut() = records;
        self.untold.set(self.untold.get() + dropped);
    }
}

impl AuditPlace {
    /// What is to be recorded of the arguments.
    pub(crate) fn terms(&self) -> &AuditTerms {
        &self.terms
    }

    /// Records the call.
    pub(crate) fn record(mut self, entry: AuditEntry) {
        let log = &self.log;
        if self.is_one {
            // From now on the place is the record's.
            self.is_one = false;
            log.pending_bytes.set(log.pending_bytes.get() + entry.size());
            log.pending.borrow_mut().push_back(entry);
            log.news.notify_one();
        } else {
            log.untold.set(log.untold.get() + 1);
            log.dropped.set(log.dropped.get() + 1);
        }
    }
}

impl Drop for AuditPlace {
    fn drop(&mut self) {
        if self.is_one {
            self.log.taken.set(self.log.taken.get() - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::audit_entry::tests::entry, *};

    /// Whose records show arguments.
    fn terms() -> AuditTerms {
        AuditTerms { arguments: Some(Vec::new()), closed: false }
    }

    fn log(closed: bool) -> (Rc<AuditLog>, watch::Sender<AuditProgress>) {
        let (progress, seen) = watch::channel(AuditProgress::default());
        let log = AuditLog::new(seen);
        log.set(Some(&AuditTerms { closed, ..terms() }));
        (log, progress)
    }

    #[test]
    fn nothing_is_recorded_unless_it_is_wanted() {
        let (log, _progress) = log(false);
        log.set(None);
        assert!(!log.is_on() && log.begin().is_ok_and(|place| place.is_none()));
    }

    #[test]
    fn without_a_place_a_call_is_counted_or_not_made() {
        for closed in [false, true] {
            let (log, progress) = log(closed);
            for _ in 0..AUDIT_UNWRITTEN {
                log.begin().expect("a place").expect("it is on").record(entry("{}", &terms()));
            }
            let beyond = log.begin();
            match beyond {
                Ok(Some(place)) if !closed => {
                    place.record(entry("{}", &terms()));
                    assert_eq!(log.dropped(), 1);
                }
                Err(NotRecorded::Behind) if closed => {}
                Ok(_) | Err(_) => panic!("closed: {closed}"),
            }
            let (records, dropped) = log.batch().expect("some");
            assert_eq!((records.len(), dropped), (MAX_RECORDS, u64::from(!closed)));
            progress.send_replace(AuditProgress { written: records.len() as u64, error: None });
            assert!(log.begin().is_ok_and(|place| place.is_some_and(|place| place.is_one)));
        }
    }

    #[test]
    fn while_nothing_can_be_written_calls_go_on_or_are_refused_with_the_reason() {
        let (open, progress) = log(false);
        progress.send_replace(AuditProgress { written: 0, error: Some("no space".to_owned()) });
        assert!(open.begin().is_ok());
        let (closed, progress) = log(true);
        progress.send_replace(AuditProgress { written: 0, error: Some("no space".to_owned()) });
        assert_eq!(closed.begin().err(), Some(NotRecorded::Failing("no space".to_owned())));
        progress.send_replace(AuditProgress::default());
        assert!(closed.begin().is_ok());
    }

    #[test]
    fn a_place_that_is_not_used_is_given_back_and_a_message_has_its_bounds() {
        let (log, _progress) = log(true);
        drop(log.begin());
        assert_eq!(log.taken.get(), 0);
        let long = format!("\"{}\"", "x".repeat(30 << 10));
        for _ in 0..20 {
            log.begin().expect("a place").expect("it is on").record(entry(&long, &terms()));
        }
        let (records, dropped) = log.batch().expect("some");
        assert_eq!(records.len(), 8);
        log.put_back(records, dropped);
        let all = std::iter::from_fn(|| log.batch()).map(|(records, _)| records.len()).sum::<usize>();
        assert_eq!((all, log.pending_bytes.get()), (20, 0));
    }

    #[test]
    fn what_waits_when_the_terms_go_is_recorded_without_its_arguments() {
        let (log, _progress) = log(false);
        log.begin().expect("a place").expect("it is on").record(entry("{\"a\":1}", &terms()));
        log.set(None);
        let (records, _) = log.batch().expect("one");
        assert_eq!((records.len(), records[0].arguments.as_deref()), (1, None));
    }
}
