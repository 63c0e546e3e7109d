//! Which calls wait for a person, from what is written to what the gateway follows.

use std::time::Duration;

use mcproxy_ipc::{ApprovalMode, ApprovalTerms, Remember, ServerApprovals};

use crate::raw::{RawApprovals, RawApprove, RawRemember, RawSettings};

/// Which calls.
pub(crate) fn mode(raw: RawApprove) -> ApprovalMode {
    match raw {
        RawApprove::Never => ApprovalMode::Never,
        RawApprove::Destructive => ApprovalMode::Destructive,
        RawApprove::Always => ApprovalMode::Always,
    }
}

/// Those of a server.
pub(crate) fn of_server(raw: &RawSettings) -> ServerApprovals {
    let tools = raw.tools.approve.iter().map(|(pattern, raw)| (pattern.clone(), mode(*raw)));
    ServerApprovals { all: mode(raw.approve), tools: tools.collect() }
}

/// How people are asked.
pub(crate) fn terms(raw: &RawApprovals) -> ApprovalTerms {
    ApprovalTerms {
        timeout: Duration::from_secs_f64(raw.timeout),
        remember: match raw.remember {
            RawRemember::Never => Remember::Never,
            RawRemember::Session => Remember::Session,
            RawRemember::Always => Remember::Always,
        },
    }
}
