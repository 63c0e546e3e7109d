//! What `/proc` says about one process (proc_pid_status(5)); all of it can be read by every user.

use std::{fs, path::Path};

use mcproxy_ipc::StatusReport;
use serde::Serialize;

/// By their numbers (capabilities(7)).
const CAPABILITIES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// One process of ours, or a server's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProcessFacts {
    /// `supervisor`, `gateway`, `worker NAME`, `server NAME`.
    pub(super) name: String,
    pub(super) pid: u32,
    pub(super) uid: u32,
    pub(super) user: String,
    /// Effective, permitted or to be had again.
    pub(super) capabilities: Vec<&'static str>,
    pub(super) no_new_privs: bool,
    pub(super) seccomp: &'static str,
    pub(super) groups: Vec<u32>,
    /// Open descriptors, where that can be seen.
    pub(super) descriptors: Option<u64>,
}

/// Everything that runs, as far as it still does.
pub(super) fn of_report(report: &StatusReport) -> Vec<ProcessFacts> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ours = [("supervisor".to_owned(), Some(report.supervisor.pid))];
    let gateway = [("gateway".to_owned(), report.gateway.as_ref().map(|gateway| gateway.pid))];
    let servers = report.servers.iter().flat_map(|server| {
        [(format!("worker {}", server.name), server.worker_pid), (format!("server {}", server.name), server.server_pid)]
    });
    let named = ours.into_iter().chain(gateway).chain(servers);
    named.filter_map(|(name, pid)| read(name, pid?, &users)).collect()
}

fn read(name: String, pid: u32, users: &str) -> Option<ProcessFacts> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // Since Linux 6.2 the size of the directory is their number, for every user.
    let descriptors = fs::metadata(Path::new("/proc").join(pid.to_string()).join("fd")).ok().map(|fd| fd.len());
    parse(name, pid, &status, users, descriptors.filter(|count| *count > 0))
}

fn parse(name: String, pid: u32, status: &str, users: &str, descriptors: Option<u64>) -> Option<ProcessFacts> {
    let field = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.unwrap_or_default().trim()
    };
    let set = |key: &str| u64::from_str_radix(field(key), 16).unwrap_or(u64::MAX);
    let held = set("CapEff") | set("CapPrm") | set("CapInh") | set("CapAmb");
    let uid: u32 = field("Uid").split_whitespace().next()?.parse().ok()?;
    let is_user = |line: &&str| line.split(':').nth(2) == Some(uid.to_string().as_str());
    let user = users.lines().find(is_user).and_then(|line| line.split(':').next());
    Some(ProcessFacts {
        name,
        pid,
        uid,
        user: user.map_or_else(|| uid.to_string(), str::to_owned),
        capabilities: (0..).zip(CAPABILITIES).filter(|(bit, _)| held & (1 << bit) != 0).map(|(_, name)| name).collect(),
        no_new_privs: field("NoNewPrivs") == "1",
        seccomp: match field("Seccomp") {
            "2" => "filter",
            "1" => "strict",
            _ => "none",
        },
        groups: field("Groups").split_whitespace().filter_map(|group| group.parse().ok()).collect(),
        descriptors,
    })
}

impl ProcessFacts {
    /// A row of the table.
    pub(super) fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.pid.to_string(),
            self.user.clone(),
            if self.capabilities.is_empty() { "none".to_owned() } else { self.capabilities.len().to_string() },
            if self.no_new_privs { "yes" } else { "no" }.to_owned(),
            self.seccomp.to_owned(),
            self.groups.len().to_string(),
            self.descriptors.map_or_else(|| "-".to_owned(), |count| count.to_string()),
        ]
    }

    /// Its capabilities in words.
    pub(super) fn capability_names(&self) -> String {
        if self.capabilities.len() + 3 >= CAPABILITIES.len() {
            return "all capabilities".to_owned();
        }
        format!("the capabilities {}", self.capabilities.join(", "))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A process as it should be.
    pub(in super::super) fn confined(name: &str) -> ProcessFacts {
        let status = "Uid:\t60001\t60001\t60001\t60001\nGroups:\t \nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n\
                      CapEff:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n";
        parse(name.to_owned(), 7, status, "root:x:0:0::/root:/bin/sh\n", Some(9)).expect("a status")
    }

    #[test]
    fn a_confined_process_has_no_capabilities_and_a_root_process_has_all() {
        let facts = confined("gateway");
        assert_eq!((facts.user.as_str(), facts.seccomp, facts.no_new_privs), ("60001", "filter", true));
        assert!(facts.capabilities.is_empty() && facts.groups.is_empty());
        let status = "Uid:\t0\t0\t0\t0\nGroups:\t0 27\nCapInh:\t0\nCapPrm:\t000001ffffffffff\nCapEff:\t00000000000001e1\n\
                      CapAmb:\t0\nNoNewPrivs:\t0\nSeccomp:\t0\n";
        let root = parse("x".to_owned(), 7, status, "root:x:0:0::/root:/bin/sh\n", None).expect("a status");
        assert_eq!((root.user.as_str(), root.capability_names().as_str()), ("root", "all capabilities"));
        assert_eq!(root.groups, [0, 27]);
    }

    #[test]
    fn the_running_process_can_be_looked_at() {
        let facts = read("test".to_owned(), std::process::id(), "").expect("it runs");
        assert_eq!(facts.uid, rustix::process::getuid().as_raw());
    }
}
