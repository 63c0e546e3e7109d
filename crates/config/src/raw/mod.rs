//! The file as people write it. The JSON Schema is generated from these types, and the shape of every file is checked
//! against that schema, so a key exists in one place only. Nothing here derives `Debug`: values may be secret.

mod gateway;
mod server;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use gateway::{
    RawAuth, RawAuthMode, RawCallLevel, RawGateway, RawGatewayLimits, RawGroup, RawLevel, RawListen, RawToken,
};
pub(crate) use server::{
    RawEntry, RawEra, RawInstances, RawOnChange, RawServer, RawServerLimits, RawSettings, RawStart, RawTools,
};

/// The MCP servers that MCProxy starts, and how it offers them.
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
    #[serde(flatten)]
    pub(crate) gateway: RawGateway,
}
