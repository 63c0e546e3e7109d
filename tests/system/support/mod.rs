//! What the tests stand on: a running proxy, and clients that show every byte.

mod answer;
mod driver;
mod events;
mod legacy;
mod modern;
mod process;
mod proxy;
mod raw;
mod real_server;
mod session;
mod status;
mod wait;

pub(crate) use answer::{Answer, ask};
pub(crate) use driver::{Driver, Real, cannot, skip};
pub(crate) use events::Events;
pub(crate) use legacy::LegacySession;
pub(crate) use modern::Modern;
pub(crate) use process::{
    Finished, descriptors, is_alive, kill, limit_descriptors, peak_kib, processes_in, resident_kib, run, run_within,
    signal, terminate,
};
pub(crate) use proxy::{PassedDescriptors, Proxy, binary, fixture, http_client, supervisor};
pub(crate) use raw::{End, Raw};
pub(crate) use real_server::{RealServer, free_port};
pub(crate) use session::{Session, initialize};
pub(crate) use status::{ServerView, SystemView};
pub(crate) use wait::{DEADLINE, eventually, within};

use serde_json::Value;

/// The names in a list of tools, prompts, resources or templates, in its order.
pub(crate) fn names(list: &Value) -> Vec<String> {
    list.as_array().expect("a list").iter().map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
}

/// The first text of a tool's result.
pub(crate) fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {result}"))
}
