//! The changes of a reload.

use mcproxy_ipc::{Generation, ServerName, control::GatewaySettings};

use crate::config::Config;
use crate::server::ServerConfig;

/// The difference between two configurations; empty when they are equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigDiff {
    /// Servers that only the new one has, in its order.
    pub added: Vec<ServerName>,
    /// Servers that only the old one has.
    pub removed: Vec<ServerName>,
    /// Servers that differ, in the order of the new one.
    pub changed: Vec<ServerChange>,
    /// The servers of both stand in another order, which is the order of the lists.
    pub reordered: bool,
    /// The address to listen on differs.
    pub listen_changed: bool,
    /// The settings of the gateway differ.
    pub gateway_changed: bool,
    /// The log level or the grace at the end differs.
    pub supervisor_changed: bool,
    /// Keys that differ and are read when MCProxy starts.
    pub needs_restart: Vec<&'static str>,
}

/// A server whose entry differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerChange {
    /// Which server.
    pub name: ServerName,
    /// Whether its process is affected. Otherwise only what surrounds it is: restart policy, offered tools.
    pub needs_new_worker: bool,
}

impl ConfigDiff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The changes that lead from `old` to `new`.
pub fn diff(old: &Config, new: &Config) -> ConfigDiff {
    let only = |these: &Config, those: &Config| -> Vec<ServerName> {
        let missing = |server: &&ServerConfig| those.server(server.name.as_str()).is_none();
        these.servers.iter().filter(missing).map(|server| server.name.clone()).collect()
    };
    let common = |these: &Config, those: &Config| -> Vec<ServerName> {
        let shared = |server: &&ServerConfig| those.server(server.name.as_str()).is_some();
        these.servers.iter().filter(shared).map(|server| server.name.clone()).collect()
    };
    let changed = new.servers.iter().filter_map(|new| {
        let old = old.server(new.name.as_str())?;
        (old != new).then(|| ServerChange { name: new.name.clone(), needs_new_worker: !same_worker(old, new) })
    });
    let at_start = [("hardening", old.hardening != new.hardening), ("isolation", old.isolation != new.isolation)];
    ConfigDiff {
        needs_restart: at_start.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect(),
        added: only(new, old),
        removed: only(old, new),
        changed: changed.collect(),
        reordered: common(old, new) != common(new, old),
        listen_changed: old.listen != new.listen,
        gateway_changed: GatewaySettings { log_level: new.gateway.log_level, ..old.gateway.clone() } != new.gateway
            || (old.states_auth, &old.audit) != (new.states_auth, &new.audit),
        supervisor_changed: (old.gateway.log_level, old.shutdown_grace) != (new.gateway.log_level, new.shutdown_grace),
    }
}

/// Whether a worker that was started for the one serves the other as well: it would be told the same.
fn same_worker(old: &ServerConfig, new: &ServerConfig) -> bool {
    let told = |server: &ServerConfig| server.worker_spec(Generation(0));
    old.enabled == new.enabled && old.run_as == new.run_as && told(old) == told(new)
}
