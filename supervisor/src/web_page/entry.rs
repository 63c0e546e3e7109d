//! The entry of a server as it is in force, with all defaults, for the web page.

use mcproxy_config::Config;
use mcproxy_ipc::ServerName;

/// Bytes of an entry that are shown: an answer has to fit into one frame.
const MAX_ENTRY: usize = 512 * 1024;

/// A JSON object; `None`: there is no such server.
pub(crate) fn entry(config: &Config, name: &ServerName) -> Option<String> {
    let entry = config.server(name.as_str())?.shown().to_string();
    Some(if entry.len() <= MAX_ENTRY { entry } else { "{}".to_owned() })
}
