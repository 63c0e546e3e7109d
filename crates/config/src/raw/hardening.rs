//! What the kernel is asked to enforce, as people write it.

use mcproxy_confine::Hardening;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much of it.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum RawHardening {
    Strict,
    #[default]
    BestEffort,
    Off,
}

impl RawHardening {
    /// The checked value.
    pub(crate) fn level(self) -> Hardening {
        match self {
            Self::Strict => Hardening::Strict,
            Self::BestEffort => Hardening::BestEffort,
            Self::Off => Hardening::Off,
        }
    }
}

/// The users that processes run as.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawIsolation {
    /// The user ids that belong to MCProxy alone, as `"first-last"`: one for the gateway, one for each server. `"off"`: all run as the supervisor's user. Without it: what `/etc/subuid` gives to that user, or 60000-64999.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) uids: Option<String>,
}
