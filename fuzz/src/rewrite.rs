//! Results of servers on their way to a client.

use mcproxy_mcp::{ProtocolVersion, is_deeper_than};
use serde::de::IgnoredAny;

use crate::gateway::rewrite::{Naming, call_result, error, prompt_result, read_result, updated_params};

/// What was JSON stays JSON; what was none makes nobody panic.
pub(crate) fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if is_deeper_than(data, 512) {
        return;
    }
    let json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    let whole = json(text);
    for naming in [Naming::Qualified, Naming::Own] {
        for version in ProtocolVersion::ALL {
            for rewrite in [call_result, prompt_result, read_result, error, updated_params] {
                let out = rewrite(naming, "srv", text, version);
                assert!(!whole || json(&out), "{version:?}: {text} became {out}");
            }
        }
    }
}
