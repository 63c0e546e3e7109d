//! Limits of servers that the kernel does not keep here, for want of their controllers. Only what an entry wants can be missing.

use std::fmt::Write as _;

use mcproxy_config::ServerConfig;
use mcproxy_confine::{Degradation, Protection};
use mcproxy_ipc::{Instances, ServerLimits};

use super::{
    bounds::{Controller, bounds},
    error::CgroupsError,
};

/// Controllers that cannot be had, and why.
#[derive(Debug, Clone)]
pub(crate) struct MissingBounds {
    controllers: Vec<Controller>,
    /// Why, in a sentence.
    pub(crate) reason: String,
    help: &'static str,
}

impl MissingBounds {
    /// None of them can be had.
    pub(super) fn all(error: &CgroupsError) -> Self {
        Self { controllers: Controller::ALL.to_vec(), reason: error.to_string(), help: error.help() }
    }

    /// Some of them cannot.
    pub(super) fn some(controllers: Vec<Controller>, reason: String, help: &'static str) -> Self {
        Self { controllers, reason, help }
    }

    /// What these servers lack of what their limits say. With the limits, and whose they are.
    pub(crate) fn degradation<'a>(&self, servers: impl IntoIterator<Item = &'a ServerConfig>) -> Option<Degradation> {
        // Nothing is started for one that is reached over the network.
        let servers: Vec<&ServerConfig> = servers.into_iter().filter(|server| server.launch_spec().is_some()).collect();
        let mut kept_by_nobody = String::new();
        for controller in &self.controllers {
            let is_wanted = |server: &&&ServerConfig| wants(&server.limits, &server.instances, *controller);
            let names: Vec<&str> = servers.iter().filter(is_wanted).map(|server| server.name.as_str()).collect();
            if !names.is_empty() {
                let separator = if kept_by_nobody.is_empty() { "" } else { ", " };
                // A text takes all that is written.
                let _ = write!(kept_by_nobody, "{separator}`limits.{}` of {}", key(*controller), names.join(" and "));
            }
        }
        (!kept_by_nobody.is_empty()).then(|| Degradation {
            protection: Protection::Cgroups,
            reason: format!("{}, so the kernel does not keep {kept_by_nobody}", self.reason),
            help: format!("{}; without these limits nothing is missing", self.help),
        })
    }
}

/// Whether a server with these limits wants this controller.
fn wants(limits: &ServerLimits, instances: &Instances, controller: Controller) -> bool {
    bounds(limits, instances).iter().any(|(needed, ..)| *needed == controller)
}

/// The key that needs it.
fn key(controller: Controller) -> &'static str {
    match controller {
        Controller::Memory => "maxMemory",
        Controller::Pids => "maxProcesses",
        Controller::Cpu => "cpu",
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_config::Config;

    use super::*;

    fn servers(entries: &str) -> Vec<ServerConfig> {
        let text = format!(r#"{{"servers": [{entries}]}}"#);
        Config::parse(&text, &|_| None).expect("a configuration").servers
    }

    fn without_cpu() -> MissingBounds {
        MissingBounds::some(vec![Controller::Cpu], "/x lacks controllers: cpu".to_owned(), "delegate it")
    }

    #[test]
    fn what_no_entry_wants_is_not_missing() {
        let nobody =
            servers(r#"{"name": "a", "command": "x"}, {"name": "b", "command": "x", "limits": {"maxFiles": 99}}"#);
        assert_eq!(MissingBounds::all(&CgroupsError::NoHierarchy).degradation(&nobody), None);
        let memory = servers(r#"{"name": "a", "command": "x", "limits": {"maxMemory": 9999999, "maxProcesses": 9}}"#);
        assert_eq!(without_cpu().degradation(&memory), None, "its controllers are there");
    }

    #[test]
    fn what_an_entry_wants_is_named_with_the_entry() {
        let wanting = servers(
            r#"{"name": "a", "command": "x", "limits": {"cpu": 1, "maxMemory": 9999999}}, {"name": "b", "command": "x", "limits": {"cpu": 2}}"#,
        );
        let some = without_cpu().degradation(&wanting).expect("missing");
        assert_eq!(some.reason, "/x lacks controllers: cpu, so the kernel does not keep `limits.cpu` of a and b");
        assert_eq!(some.help, "delegate it; without these limits nothing is missing");
        let all = MissingBounds::all(&CgroupsError::NoHierarchy).degradation(&wanting).expect("missing");
        assert!(
            all.reason.ends_with("does not keep `limits.maxMemory` of a, `limits.cpu` of a and b"),
            "{}",
            all.reason
        );
        assert!(all.help.contains("version 2"), "{}", all.help);
    }
}
