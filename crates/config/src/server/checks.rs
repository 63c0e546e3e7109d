//! Checks of an entry that the schema cannot express.

use crate::client_features;
use crate::interpolate::Expanded;
use crate::raw::{RawServer, RawSettings, RawTools};
use crate::report::Report;
use crate::tool_rules;
use crate::tree::Node;

/// Checks of an entry that the schema cannot express.
pub(super) struct ServerChecks<'a> {
    pub(super) node: &'a Node,
    pub(super) report: &'a mut Report,
}

impl ServerChecks<'_> {
    pub(super) fn problem(&mut self, path: &[&str], message: impl Into<String>) {
        let node = self.node.at(path).unwrap_or(self.node);
        // A text that does not exist yet can be neither right nor wrong.
        if node.text().is_some_and(|text| matches!(text.expanded, Expanded::Lacking(_))) {
            return;
        }
        self.report.add(node.span.start, message);
    }

    /// `disabled` is the word of other tools; when both are written they must agree.
    pub(super) fn enabled(&mut self, raw: &RawServer) -> bool {
        let (enabled, disabled) = (self.node.get("enabled"), self.node.get("disabled"));
        // An `enabled` from the defaults stands elsewhere in the file, and the entry's own word wins over it.
        let own = enabled.is_some_and(|node| self.node.span.contains(&node.span.start));
        match disabled {
            Some(_) if own && raw.settings.enabled == raw.disabled => {
                self.problem(&["disabled"], "`disabled` contradicts `enabled`");
                false
            }
            Some(_) => !raw.disabled,
            None => raw.settings.enabled,
        }
    }

    /// Times as other programs write them. A number that is one of theirs is a very long time here.
    pub(super) fn milliseconds(&mut self, settings: &RawSettings) {
        let suspect = |seconds: f64| seconds >= 60_000.0 && seconds % 1000.0 == 0.0;
        let times = [
            ("timeout", Some(settings.timeout), settings.timeout > settings.max_timeout),
            ("maxTimeout", Some(settings.max_timeout), suspect(settings.max_timeout)),
            ("idleTimeout", settings.idle_timeout, settings.idle_timeout.is_some_and(suspect)),
            ("inputTimeout", Some(settings.input_timeout), suspect(settings.input_timeout)),
        ];
        for (key, value, is_suspect) in times {
            let Some(node) = self.node.get(key).filter(|_| is_suspect) else { continue };
            let seconds = value.unwrap_or_default();
            let hours = seconds / 3600.0;
            let message = format!(
                "{seconds} seconds are {hours:.1} hours; if milliseconds are meant, write {}",
                seconds / 1000.0
            );
            self.report.warn(node.span.start, message);
        }
    }

    /// Two durations of which the second must not be shorter. Silent when only defaults disagree with what is written.
    pub(super) fn order(&mut self, short_key: &str, short: f64, long_path: &[&str], long: f64) {
        if self.node.at(long_path).is_some() && long < short {
            self.problem(long_path, format!("must not be shorter than `{short_key}`, which is {short} seconds"));
        }
    }

    /// Spare instances count. Silent when only a default is too low for what is written.
    pub(super) fn spare_instances(&mut self, raw: &RawServer) {
        let RawSettings { max_instances, prewarm, .. } = raw.settings;
        if self.node.at(&["prewarm"]).is_some() && prewarm > max_instances {
            self.problem(&["prewarm"], format!("must not be more than `maxInstances`, which is {max_instances}"));
        }
    }

    pub(super) fn client_features(&mut self) {
        let words = self.node.get("clientFeatures").map(Node::elements).unwrap_or_default();
        for node in words {
            let set = node.text().filter(|text| !matches!(text.expanded, Expanded::Lacking(_)));
            if let Some(complaint) = set.and_then(|text| client_features::complaint(text.value())) {
                self.report.add(node.span.start, complaint);
            }
        }
        if words.len() > client_features::MOST {
            self.problem(&["clientFeatures"], format!("must not list more than {} words", client_features::MOST));
        }
    }

    pub(super) fn tools(&mut self, raw: &RawTools) {
        for (old, message) in tool_rules::rename_complaints(raw.rename.iter(), |_| "") {
            self.problem(&["tools", "rename", old], message);
        }
        for list in ["allow", "deny"] {
            let patterns = self.node.at(&["tools", list]).map(Node::elements).unwrap_or_default();
            for pattern in patterns.iter().filter(|node| node.text().is_some_and(|text| text.value().is_empty())) {
                self.report.add(pattern.span.start, "an empty pattern matches no tool");
            }
        }
    }
}
