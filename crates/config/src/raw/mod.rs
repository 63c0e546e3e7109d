//! The file as people write it. The JSON Schema is generated from these types, and the shape of every file is checked
//! against that schema, so a key exists in one place only. Nothing here derives `Debug`: values may be secret.

mod gateway;
mod hardening;
mod oauth;
mod remote;
mod resource_server;
mod server;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use gateway::{
    RawApprovals, RawApprove, RawAudit, RawAuditFail, RawAuth, RawAuthMode, RawCallLevel, RawEmbeddings, RawGateway,
    RawGatewayLimits, RawGroup, RawGroupTools, RawLevel, RawListen, RawPins, RawRate, RawRemember, RawToken,
    RawToolView,
};
pub(crate) use hardening::{RawHardening, RawIsolation};
pub(crate) use oauth::{RawGrant, RawOauth};
pub(crate) use remote::RawRemote;
pub(crate) use resource_server::{RawIssuer, RawResourceServer};
pub(crate) use server::{
    RawAnnotations, RawEntry, RawEra, RawInstances, RawNetwork, RawOnChange, RawSandbox, RawSandboxObject,
    RawSandboxWord, RawServer, RawServerLimits, RawServerRate, RawSettings, RawStart, RawSuspicious, RawTools,
};

/// The MCP servers that MCProxy starts or reaches over the network, and how it offers them.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", default)]
#[schemars(title = "mcp-servers.json", rename = "Config")]
pub(crate) struct RawConfig {
    /// Where the schema of this file is, for editors.
    #[serde(rename = "$schema")]
    pub(crate) schema: String,
    /// The servers, as a list. Their order is the order of the tools. As in VS Code, an object of servers by name is taken, too.
    #[schemars(extend("default" = []))]
    pub(crate) servers: Vec<RawEntry>,
    /// The servers by name: the form that MCP clients use. Both forms may be mixed.
    pub(crate) mcp_servers: BTreeMap<String, RawServer>,
    /// Settings for all servers. A server's own settings win. `env` and other objects are merged key by key.
    #[schemars(extend("default" = {}))]
    pub(crate) defaults: RawSettings,
    /// What the kernel is asked to enforce on the gateway, the workers and the servers: all of it, or MCProxy does not start (`strict`); what this machine gives (`best-effort`), with what is missing in `mcproxy status`; nothing (`off`). Read when MCProxy starts.
    pub(crate) hardening: RawHardening,
    /// The users that the gateway and the servers run as, where MCProxy is started as root. Read when MCProxy starts.
    pub(crate) isolation: RawIsolation,
    #[serde(flatten)]
    pub(crate) gateway: RawGateway,
}
