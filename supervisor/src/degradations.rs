//! What is wanted of the kernel and cannot be had here: one list, which every place that shows it reads.

use std::sync::Arc;

use mcproxy_confine::{Degradation, Protection};
use slog::{Logger, info, o, warn};
use tokio::sync::watch;

use crate::{bounded_text::cut, logging::one_line};

/// Of a reason, and of what helps.
const MAX_TEXT: usize = 400;

/// The protections that are missing for all; what only one server lacks is in its own status.
#[derive(Debug, Clone, Default)]
pub(crate) struct Degradations(Arc<watch::Sender<Vec<Degradation>>>);

impl Degradations {
    /// Adds one, and says so in the log; once for each protection and reason.
    pub(crate) fn add(&self, Degradation { protection, reason, help }: Degradation, log: &Logger) {
        let degradation = Degradation { protection, reason: cut(reason, MAX_TEXT), help: cut(help, MAX_TEXT) };
        let added = self.0.send_if_modified(|list| {
            let is_new = !list.contains(&degradation);
            if is_new {
                list.push(degradation.clone());
            }
            is_new
        });
        if added {
            let facts = o!("protection" => degradation.protection.name(), "reason" => degradation.reason, "help" => degradation.help);
            if is_usual(degradation.protection) {
                info!(log, "a protection is missing"; facts);
            } else {
                warn!(log, "a protection is missing"; facts);
            }
        }
    }

    /// Adds what a process of ours says that it could not get, as far as nothing is known yet of that protection.
    pub(crate) fn add_unless_known(&self, missing: Vec<Degradation>, log: &Logger) {
        let text = |text: &str| one_line(text).into_owned();
        for Degradation { protection, reason, help } in missing {
            if !self.list().iter().any(|known| known.protection == protection) {
                self.add(Degradation { protection, reason: text(&reason), help: text(&help) }, log);
            }
        }
    }

    /// All of them, in the order in which they were found.
    pub(crate) fn list(&self) -> Vec<Degradation> {
        self.0.borrow().clone()
    }
}

/// Why a server is blocked that lacks this, where all is demanded.
pub(crate) fn blocked(Degradation { protection, reason, help }: &Degradation) -> String {
    format!("`hardening: strict`, and {}: {reason}; {help}", protection.name())
}

/// What every ordinary user lacks: no reason to be alarmed.
fn is_usual(protection: Protection) -> bool {
    matches!(protection, Protection::Users | Protection::Cgroups) && !rustix::process::geteuid().is_root()
}

/// What a person reads whose MCProxy does not start for want of these.
pub(crate) fn refusal(missing: &[Degradation]) -> String {
    let lines = missing.iter().map(|Degradation { protection, reason, help }| {
        format!("  {}: {reason}\n    what helps: {help}\n", protection.name())
    });
    let lines: String = lines.collect();
    format!(
        "not started: `hardening` is `strict`, and this machine lacks\n{lines}`hardening: best-effort` starts without, and says what is missing"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_protection_is_listed_once_with_what_helps() {
        let log = Logger::root(slog::Discard, slog::o!());
        let degraded = Degradations::default();
        let missing = Degradation {
            protection: Protection::Cgroups,
            reason: "this kernel has no cgroup.kill".to_owned(),
            help: "use Linux 5.14 or later".to_owned(),
        };
        degraded.add(missing.clone(), &log);
        degraded.add(missing.clone(), &log);
        assert_eq!(degraded.list(), [missing]);
        let refusal = refusal(&degraded.list());
        assert!(
            refusal.contains("cgroups: this kernel has no cgroup.kill\n    what helps: use Linux 5.14"),
            "{refusal}"
        );
    }
}
