//! Who makes a request that stands for itself, as far as what is behind the dialect needs to know.

use std::cell::RefCell;

use mcproxy_ipc::SessionKey;
use mcproxy_mcp::{ClientCapabilities, Level, RawObject};
use sha2::{Digest, Sha256};

use super::{claim::Claim, params::ParamHeaders};
use crate::gateway::{link::CallHandle, scope::Scope};

/// What the client of a cancelled call is said to have done.
const LEFT: &str = "the client closed the stream of its request";

/// A client for the time of one request: all that is known of it came with that request.
pub(crate) struct Visitor {
    scope: Scope,
    principal: Option<String>,
    claim: Claim,
    params: ParamHeaders,
    calls: RefCell<Vec<CallHandle>>,
}

impl Visitor {
    /// Somebody who calls at this endpoint and says this of itself.
    pub(crate) fn new(scope: Scope, principal: Option<String>, claim: Claim, params: ParamHeaders) -> Self {
        Self { scope, principal, claim, params, calls: RefCell::default() }
    }

    /// What its request says in headers of the arguments of the tool that it calls.
    pub(crate) fn param_headers(&self) -> &ParamHeaders {
        &self.params
    }

    /// What it sees.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Who it is, when there is authentication.
    pub(crate) fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    /// How much it wants to hear while its request is worked on.
    pub(crate) fn level(&self) -> Option<Level> {
        self.claim.level
    }

    /// What it can be asked for, as a JSON object.
    pub(crate) fn capabilities(&self) -> &str {
        &self.claim.capabilities
    }

    /// Whether it can show its user a page.
    pub(crate) fn can_open_pages(&self) -> bool {
        RawObject::from_text(self.capabilities())
            .is_ok_and(|capabilities| ClientCapabilities::read(&capabilities).has_pages())
    }

    /// Whose instance it calls, of a server that has one for each session: requests of the same principal share one, and so
    /// do all without any.
    pub(crate) fn key(&self) -> SessionKey {
        key_of(self.principal())
    }

    /// From now on its leaving reaches the server.
    pub(crate) fn attach_call(&self, handle: CallHandle) {
        let mut calls = self.calls.borrow_mut();
        calls.retain(CallHandle::is_under_way);
        calls.push(handle);
    }

    /// Its request is over. If it is not answered, the client has closed its stream, which cancels (2026-07-28, transports,
    /// cancellation).
    pub(crate) fn end_call(&self) {
        for call in self.calls.take() {
            call.cancel(Some(LEFT.to_owned())); // nothing happens to a call that was answered
        }
    }
}

/// Random keys of sessions do not meet a digest, and principals do not meet each other.
pub(crate) fn key_of(principal: Option<&str>) -> SessionKey {
    let mut digest = Sha256::new();
    digest.update(b"requests without a session\0");
    digest.update([u8::from(principal.is_some())]);
    digest.update(principal.unwrap_or_default());
    let digest: [u8; 32] = digest.finalize().into();
    SessionKey(*digest.first_chunk().expect("16 of 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_have_instances_of_their_own() {
        assert_eq!(key_of(Some("ann")), key_of(Some("ann")));
        assert_ne!(key_of(Some("ann")), key_of(Some("bob")));
        assert_ne!(key_of(Some("")), key_of(None));
    }
}
