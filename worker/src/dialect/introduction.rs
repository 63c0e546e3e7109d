//! A server's description of itself at the start; the same in both eras but for where its name stands.

use mcproxy_mcp::{RawObject, RawValue};

/// Longest name or version that is told on, in characters.
const MAX_NAME: usize = 200;

/// A server's description of itself. A member that is missing or of the wrong type counts as absent.
#[derive(Debug)]
pub(crate) struct Introduction<'a> {
    pub(crate) capabilities: RawObject<'a>,
    pub(crate) capabilities_json: &'a str,
    pub(crate) info_json: &'a str,
    pub(crate) instructions_json: Option<&'a str>,
    pub(crate) name: String,
    pub(crate) server_version: String,
}

impl<'a> Introduction<'a> {
    /// Reads it from the result of the first request; `info` is what holds name and version.
    pub(super) fn read(result: &RawObject<'a>, info: Option<&'a RawValue>) -> Self {
        let is_object = |raw: &&RawValue| raw.get().starts_with('{');
        let capabilities = result.get("capabilities").filter(is_object);
        let info = info.filter(is_object);
        let members = |raw: Option<&'a RawValue>| raw.and_then(|raw| RawObject::from_raw(raw).ok()).unwrap_or_default();
        let about = members(info);
        let text = |key| about.get_string(key).map(|text| text.chars().take(MAX_NAME).collect()).unwrap_or_default();
        Self {
            capabilities: members(capabilities),
            capabilities_json: capabilities.map_or("{}", RawValue::get),
            info_json: info.map_or("{}", RawValue::get),
            instructions_json: result.get("instructions").map(RawValue::get).filter(|json| json.starts_with('"')),
            name: text("name"),
            server_version: text("version"),
        }
    }
}
