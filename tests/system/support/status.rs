use serde::Deserialize;
use serde_json::Value;

/// `mcproxy status --json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SystemView {
    pub(crate) listen: String,
    pub(crate) config_source: String,
    pub(crate) config_error: Option<String>,
    pub(crate) gateway: Option<ProcessView>,
    pub(crate) servers: Vec<ServerView>,
}

/// One process of ours.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProcessView {
    pub(crate) pid: u32,
    pub(crate) restarts: u64,
}

/// One server.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServerView {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) generation: u64,
    pub(crate) restarts: u64,
    pub(crate) retry_in_seconds: Option<f64>,
    pub(crate) stale: bool,
    pub(crate) worker_pid: Option<u32>,
    pub(crate) server_pid: Option<u32>,
    pub(crate) instances: Option<InstancesView>,
    pub(crate) last_error: Option<String>,
    pub(crate) events: Vec<EventView>,
    pub(crate) server: Option<Value>,
    pub(crate) start: Option<Value>,
    pub(crate) change: Option<Value>,
}

/// One step of a server's life.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct EventView {
    pub(crate) reason: String,
}

/// The processes of a server that has one for each session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct InstancesView {
    pub(crate) running: usize,
    pub(crate) max: usize,
}

impl SystemView {
    /// The server of that name.
    pub(crate) fn server(&self, name: &str) -> &ServerView {
        self.servers.iter().find(|server| server.name == name).unwrap_or_else(|| panic!("no server {name} in {self:?}"))
    }

    /// The gateway's process, which must be there.
    pub(crate) fn gateway_pid(&self) -> u32 {
        self.gateway.as_ref().expect("a gateway runs").pid
    }
}

impl ServerView {
    /// How many processes it has, when each session has its own.
    pub(crate) fn running(&self) -> usize {
        self.instances.unwrap_or_else(|| panic!("all sessions share it: {self:?}")).running
    }

    /// The server's own process, which must be there.
    pub(crate) fn pid(&self) -> u32 {
        self.server_pid.unwrap_or_else(|| panic!("no process: {self:?}"))
    }

    /// Whether a changed configuration did not work.
    pub(crate) fn change_failed(&self) -> bool {
        self.change.as_ref().is_some_and(|change| change["state"] == "failed")
    }

    /// Whether it took a step for this reason.
    pub(crate) fn went_through(&self, reason: &str) -> bool {
        self.events.iter().any(|event| event.reason.contains(reason))
    }

    /// Whether it answers calls.
    pub(crate) fn is_ready(&self) -> bool {
        self.state == "ready"
    }
}
