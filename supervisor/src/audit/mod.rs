//! The audit: records of the gateway on their way to the file. They are written one batch after the other on another thread; what cannot
//! be written is kept and tried again, and the gateway is told, which sends no more than `AUDIT_UNWRITTEN` that are not written.

mod file;

use std::{collections::VecDeque, io, path::PathBuf, time::Duration};

use mcproxy_config::AuditConfig;
use mcproxy_ipc::{AUDIT_UNWRITTEN, AuditRecord, disk::on_disk};
use slog::{Logger, error, info};
use tokio::{task::JoinSet, time::Instant};

use self::file::AuditFile;

/// Before what could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Records that may wait, those of a gateway that ended included; a gateway that sends more breaks its word.
const MAX_WAITING: u64 = 2 * AUDIT_UNWRITTEN;

/// Records of one message.
struct Batch {
    records: Vec<AuditRecord>,
    /// So many before them are none.
    dropped: u64,
}

/// A batch after an attempt to write it.
struct AuditAttempt {
    file: Option<AuditFile>,
    batch: Batch,
    outcome: io::Result<()>,
}

/// What the gateway is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Audited {
    pub(crate) written: u64,
    pub(crate) error: Option<String>,
}

/// The trail as it is written.
pub(crate) struct AuditTrail {
    log: Logger,
    /// Where it lies unless the configuration says.
    default_dir: Option<PathBuf>,
    config: Option<AuditConfig>,
    /// Open, while nothing is being written.
    file: Option<AuditFile>,
    waiting: VecDeque<Batch>,
    writing: JoinSet<AuditAttempt>,
    retry_at: Option<Instant>,
    /// Why the last attempt failed.
    error: Option<String>,
}

impl AuditTrail {
    /// Of this configuration, in `default_dir` unless that says where.
    pub(crate) fn new(config: Option<AuditConfig>, default_dir: Option<PathBuf>, log: Logger) -> Self {
        Self {
            log,
            default_dir,
            config,
            file: None,
            waiting: VecDeque::new(),
            writing: JoinSet::new(),
            retry_at: None,
            error: None,
        }
    }

    /// Another configuration is in force. Without an audit in it, what comes late still goes where it was meant to go.
    pub(crate) fn configure(&mut self, config: Option<AuditConfig>) {
        if config.is_some() && self.config != config {
            self.config = config;
            self.file = None;
            self.retry_at = None;
        }
    }

    /// Takes records in.
    pub(crate) fn add(&mut self, records: Vec<AuditRecord>, dropped: u64) {
        let waiting: u64 = self.waiting.iter().map(|batch| batch.records.len() as u64).sum();
        if waiting >= MAX_WAITING {
            let lost = dropped + records.len() as u64;
            self.waiting.back_mut().into_iter().for_each(|batch| batch.dropped += lost);
            return;
        }
        self.waiting.push_back(Batch { records, dropped });
        self.write();
    }

    /// Begins to write what waits, if nothing is being written.
    fn write(&mut self) {
        if !self.writing.is_empty() || self.retry_at.is_some() {
            return;
        }
        let Some(batch) = self.waiting.pop_front() else { return };
        let (config, file) = (self.config.clone().unwrap_or_default(), self.file.take());
        let dir = config.dir.clone().or_else(|| self.default_dir.clone());
        self.writing.spawn(async move {
            let work = move || {
                let opened = match file {
                    Some(file) => Ok(file),
                    None => dir
                        .ok_or_else(|| io::Error::other("there is no state directory; name one in `audit.dir`"))
                        .and_then(|dir| AuditFile::open(&dir, config)),
                };
                match opened {
                    Ok(mut file) => {
                        let outcome = file.write(&batch.records, batch.dropped);
                        // After an error its end is looked at anew.
                        let file = outcome.is_ok().then_some(file);
                        AuditAttempt { file, batch, outcome }
                    }
                    Err(error) => AuditAttempt { file: None, batch, outcome: Err(error) },
                }
            };
            on_disk(work).await.unwrap_or_else(|panicked| AuditAttempt {
                file: None,
                batch: Batch { records: Vec::new(), dropped: 0 },
                outcome: Err(io::Error::other(panicked)),
            })
        });
    }

    /// Waits until there is something to tell the gateway.
    pub(crate) async fn news(&mut self) -> Audited {
        loop {
            let retry_at = self.retry_at;
            let retry = async move {
                match retry_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(done) = self.writing.join_next() => {
                    if let Ok(written) = done {
                        return self.took(written);
                    }
                }
                () = retry => {
                    self.retry_at = None;
                    self.write();
                }
                else => std::future::pending().await,
            }
        }
    }

    fn took(&mut self, AuditAttempt { file, batch, outcome }: AuditAttempt) -> Audited {
        match outcome {
            Ok(()) => {
                if self.error.take().is_some() {
                    info!(self.log, "audit is written again");
                }
                // A configuration that came meanwhile may name another place.
                self.file = file.filter(|file| Some(file.config()) == self.config.as_ref());
                self.write();
                Audited { written: batch.records.len() as u64, error: None }
            }
            Err(error) => {
                let error = error.to_string();
                if self.error.as_ref() != Some(&error) {
                    error!(self.log, "audit cannot be written"; "error" => &error);
                }
                self.error = Some(error.clone());
                self.waiting.push_front(batch);
                self.retry_at = Some(Instant::now() + RETRY);
                Audited { written: 0, error: Some(error) }
            }
        }
    }

    /// Writes what waits, for as long as that works.
    pub(crate) async fn settle(&mut self) {
        while !(self.writing.is_empty() && self.waiting.is_empty()) {
            if self.news().await.error.is_some() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use slog::{Discard, o};

    use super::*;

    fn record() -> AuditRecord {
        AuditRecord {
            approval: None,
            at_ms: 0,
            principal: None,
            client: None,
            session: "none".into(),
            endpoint: "all".into(),
            server: "a".into(),
            method: "tools/call".into(),
            name: "x".into(),
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

    #[tokio::test]
    async fn what_cannot_be_written_is_kept_and_written_when_it_can() {
        let place = tempfile::tempdir().expect("a directory");
        let dir = place.path().join("audit");
        std::fs::write(&dir, "no directory").expect("written");
        let config = AuditConfig { dir: Some(dir.clone()), ..AuditConfig::default() };
        let mut trail = AuditTrail::new(Some(config), None, Logger::root(Discard, o!()));
        trail.add(vec![record(), record()], 0);
        let news = trail.news().await;
        assert!(news.written == 0 && news.error.is_some(), "{news:?}");
        std::fs::remove_file(&dir).expect("removed");
        trail.add(vec![record()], 3);
        assert_eq!(trail.news().await, Audited { written: 2, error: None });
        assert_eq!(trail.news().await, Audited { written: 1, error: None });
        let text = std::fs::read_to_string(dir.join(mcproxy_audit::FILE)).expect("the file");
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().last().is_some_and(|line| line.contains("\"dropped\":3")), "{text}");
    }
}
