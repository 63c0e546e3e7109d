//! The client's `initialize`: opens a session at the other end or, where that speaks 2026-07-28 and nothing else, begins to
//! emulate one.

use mcproxy_mcp::RequestId;
use tokio::time::timeout;

use super::{
    emulation::Emulation,
    relay::{INITIALIZE_TIMEOUT, Relay, params_of},
};
use crate::cli::{endpoint::EndpointError, modern::may_be_modern};

/// Sends the client's own `initialize` and tells it what comes of it. Returns what emulates a session, if one has to be emulated
/// from then on.
pub(super) async fn initialize(relay: &Relay, id: &RequestId, text: Vec<u8>) -> Option<Emulation> {
    let handshake = relay.shake_hands(id, text.clone());
    let result = timeout(INITIALIZE_TIMEOUT, handshake).await.unwrap_or(Err(EndpointError::NoAnswer));
    let may_have_no_sessions = match &result {
        Ok((key, _)) => key.version.is_none(),
        Err(error) => may_be_modern(error),
    };
    if may_have_no_sessions {
        let begin = Emulation::begin(&relay.endpoint, params_of(&text));
        if let Ok(Some(emulation)) = timeout(INITIALIZE_TIMEOUT, begin).await {
            relay.output.line(&emulation.introduction(id)).await;
            return Some(emulation);
        }
    }
    match result {
        Ok((key, answer)) => relay.begin_session(key, text, &answer).await,
        Err(error) => relay.fail(id, &error).await,
    }
    None
}
