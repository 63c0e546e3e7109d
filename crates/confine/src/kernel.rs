//! What the kernel of this machine can be asked for.

use std::{fs, thread};

use landlock::{ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, Scope};

use crate::{Degradation, Protection, syscalls};

/// What of Landlock there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Landlock {
    /// Nothing: older than Linux 5.13, switched off, or kept from us by a filter of system calls.
    Missing,
    /// Files, without moves between directories or truncation (ABI 1 and 2).
    SomeFiles,
    /// Files (ABI 3, Linux 6.2).
    Files,
    /// And TCP ports (ABI 4, Linux 6.7).
    Ports,
    /// And signals and abstract sockets (ABI 6, Linux 6.12).
    Scopes,
}

/// What this machine gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// Landlock, by its age.
    pub landlock: Landlock,
    /// Filters of system calls.
    pub syscall_filters: bool,
    /// Namespaces of users and networks, as far as can be told without making one.
    pub namespaces: bool,
}

impl Kernel {
    /// Tries what can be tried: in a thread that ends afterwards, because nothing of it can be taken back.
    pub fn probe() -> Self {
        // A thread that ended in panic had nothing to say.
        let tried = |attempt: fn() -> bool| thread::spawn(attempt).join().unwrap_or(false);
        let landlock = if tried(enters_a_domain) { age() } else { Landlock::Missing };
        Self { landlock, syscall_filters: tried(syscalls::takes_filters), namespaces: gives_namespaces() }
    }

    /// What servers and gateway lack on it, whatever their configuration.
    pub fn degradations(&self) -> Vec<Degradation> {
        let lacks = |protection, reason: &str, help: &str| Degradation {
            protection,
            reason: reason.to_owned(),
            help: help.to_owned(),
        };
        let landlock = |protection, what: &str, linux: &str| {
            let missing = "this kernel has no Landlock, or keeps it from MCProxy";
            let (reason, help) = match self.landlock {
                Landlock::Missing => (missing.to_owned(), HAVE_LANDLOCK.to_owned()),
                _ => (format!("the Landlock of this kernel knows no {what}"), format!("use Linux {linux} or newer")),
            };
            lacks(protection, &reason, &help)
        };
        let wanted = [
            (Landlock::Files, Protection::Files, "moves and truncation of files", "6.2"),
            (Landlock::SomeFiles, Protection::OwnFiles, "files", "5.13"),
            (Landlock::Ports, Protection::Ports, "TCP ports", "6.7"),
            (Landlock::Scopes, Protection::Scopes, "signals and abstract sockets", "6.12"),
        ];
        let mut missing: Vec<Degradation> = wanted
            .into_iter()
            .filter(|(from, ..)| self.landlock < *from)
            .map(|(_, protection, what, linux)| landlock(protection, what, linux))
            .collect();
        if !self.syscall_filters {
            let help = "use a kernel with seccomp filters (CONFIG_SECCOMP_FILTER), and a container that lets seccomp(2) through";
            missing.push(lacks(Protection::SystemCalls, "this kernel takes no filters of system calls", help));
        }
        missing
    }

    /// The same of a server with a network of its own.
    pub fn network_degradation(&self) -> Option<Degradation> {
        (!self.namespaces).then(|| Degradation::without_network("this machine makes no user and network namespaces"))
    }
}

const HAVE_LANDLOCK: &str = "use Linux 6.12 or newer with Landlock among its security modules (`lsm=landlock,…`), and a container that lets its calls through";

impl Degradation {
    /// A server that was to have a network of its own has not.
    pub fn without_network(reason: &str) -> Self {
        Self {
            protection: Protection::Network,
            reason: format!("no network namespace: {reason}"),
            help: "allow user namespaces to MCProxy's user (sysctl user.max_net_namespaces, \
                   kernel.apparmor_restrict_unprivileged_userns), or a container to make them"
                .to_owned(),
        }
    }
}

fn enters_a_domain() -> bool {
    let domain = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::MakeBlock)
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    domain.is_ok()
}

fn age() -> Landlock {
    let strictly = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    if strictly().scope(Scope::from_all(ABI::V6)).is_ok() {
        Landlock::Scopes
    } else if strictly().handle_access(AccessNet::from_all(ABI::V4)).is_ok() {
        Landlock::Ports
    } else if strictly().handle_access(AccessFs::from_all(ABI::V3)).is_ok() {
        Landlock::Files
    } else {
        Landlock::SomeFiles
    }
}

/// A process with threads, as the supervisor is, cannot try.
fn gives_namespaces() -> bool {
    let number = |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let allowed = |path: &str| number(&format!("/proc/sys/{path}")) != Some(0);
    let is_there = |name: &str| fs::exists(format!("/proc/self/ns/{name}")).unwrap_or(false);
    is_there("user")
        && is_there("net")
        && allowed("user/max_user_namespaces")
        && allowed("user/max_net_namespaces")
        && allowed("kernel/unprivileged_userns_clone")
        && number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") != Some(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protections(kernel: Kernel) -> Vec<&'static str> {
        kernel.degradations().iter().map(|degradation| degradation.protection.name()).collect()
    }

    #[test]
    fn a_kernel_is_said_to_lack_just_what_it_lacks() {
        let all = Kernel { landlock: Landlock::Scopes, syscall_filters: true, namespaces: true };
        assert_eq!(protections(all), [""; 0]);
        assert_eq!(protections(Kernel { landlock: Landlock::Ports, ..all }), ["scopes"]);
        assert_eq!(protections(Kernel { landlock: Landlock::SomeFiles, ..all }), ["files", "ports", "scopes"]);
        let none = Kernel { landlock: Landlock::Missing, syscall_filters: false, namespaces: false };
        assert_eq!(protections(none), ["files", "own-files", "ports", "scopes", "system-calls"]);
        assert!(none.network_degradation().is_some() && all.network_degradation().is_none());
    }

    #[test]
    fn a_probe_leaves_this_process_as_it_was() {
        let filters = || {
            fs::read_to_string("/proc/thread-self/status").map(|status| {
                status.lines().filter(|line| line.starts_with("Seccomp")).map(str::to_owned).collect::<Vec<_>>()
            })
        };
        let before = filters().expect("status");
        let probed = Kernel::probe();
        assert_eq!(Kernel::probe(), probed, "a second probe finds the same");
        assert_eq!(filters().expect("status"), before);
        tempfile::tempdir().expect("files can be made as before");
    }
}
