//! What is wanted of the kernel and cannot be had here: one list, which every place that shows it reads.

use std::sync::Arc;

use mcproxy_confine::Degradation;
use slog::{Logger, warn};
use tokio::sync::watch;

/// The protections that are missing for all; what only one server lacks is in its own status.
#[derive(Debug, Clone, Default)]
pub(crate) struct Degradations(Arc<watch::Sender<Vec<Degradation>>>);

impl Degradations {
    /// Adds one, and says so in the log; once for each protection and reason.
    pub(crate) fn add(&self, degradation: Degradation, log: &Logger) {
        let added = self.0.send_if_modified(|list| {
            let is_new = !list.contains(&degradation);
            if is_new {
                list.push(degradation.clone());
            }
            is_new
        });
        if added {
            warn!(log, "a protection is missing"; "protection" => degradation.protection.name(),
                "reason" => &degradation.reason, "help" => &degradation.help);
        }
    }

    /// All of them, in the order in which they were found.
    pub(crate) fn list(&self) -> Vec<Degradation> {
        self.0.borrow().clone()
    }
}
