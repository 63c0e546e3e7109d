//! The client of one request of 2026-07-28, as far as a call has to know it.

use std::{cell::RefCell, rc::Rc};

use mcproxy_ipc::{
    SessionKey,
    data::{ServerEra, ServerTraits},
};
use mcproxy_mcp::{ClientCapabilities, ErrorCode, Level, RawObject};

use super::{Ending, input_required, missing_capability, param_headers::ParamHeaders, request_meta::RequestMeta};
use crate::gateway::{
    base::{principal::Principal, reply::Reply, scope::Scope},
    upstream::connection::CallHandle,
};

/// The reason for the cancellation that a server is told.
const LEFT: &str = "the client closed the stream of its request";

/// A client for the time of one request: all that is known of it came with that request.
pub(crate) struct StatelessClient {
    scope: Scope,
    principal: Principal,
    meta_of_request: RequestMeta,
    params: ParamHeaders,
    is_replay: bool,
    calls: RefCell<Vec<CallHandle>>,
}

impl StatelessClient {
    /// A client at this endpoint that declares this of itself.
    pub(crate) fn new(scope: Scope, principal: Principal, meta_of_request: RequestMeta, params: ParamHeaders) -> Self {
        Self { scope, principal, meta_of_request, params, is_replay: false, calls: RefCell::default() }
    }

    /// The web page makes a call again that was made before, if that is so.
    pub(crate) fn replaying(self, is_replay: bool) -> Self {
        Self { is_replay, ..self }
    }

    /// Whether it does.
    pub(crate) fn is_replay(&self) -> bool {
        self.is_replay
    }

    /// The headers of its request that repeat arguments of the tool that it calls.
    pub(crate) fn param_headers(&self) -> &ParamHeaders {
        &self.params
    }

    /// Its scope.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Its principal.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// How much it wants to hear while its request is worked on.
    pub(crate) fn level(&self) -> Option<Level> {
        self.meta_of_request.level
    }

    /// Its capabilities, as a JSON object.
    pub(crate) fn capabilities(&self) -> &str {
        &self.meta_of_request.capabilities
    }

    /// Its name and version, if it stated them.
    pub(crate) fn client_label(&self) -> Option<Rc<str>> {
        self.meta_of_request.client.clone()
    }

    /// Whether it can show its user a page.
    fn can_open_pages(&self) -> bool {
        self.features().has_pages()
    }

    /// Whether it can show its user a form.
    pub(crate) fn fills_forms(&self) -> bool {
        self.features().has_forms()
    }

    fn features(&self) -> ClientCapabilities {
        RawObject::from_text(self.capabilities())
            .map_or(ClientCapabilities(0), |capabilities| ClientCapabilities::read(&capabilities))
    }

    /// See [`Downstream::ending`](super::Downstream::ending).
    pub(super) fn ending(&self, server: ServerTraits, reply: &Reply) -> Ending {
        if server.era == ServerEra::Legacy
            && let Reply::Error(error) = reply
            && error.code == Some(ErrorCode::URL_ELICITATION_REQUIRED)
            && let Some(wanted) = input_required::pages_wanted(&error.raw)
        {
            return match self.can_open_pages() {
                true => Ending::AskForPages(wanted),
                false => Ending::Error(missing_capability::cannot_open_pages(&error.raw)),
            };
        }
        // Only a server that may ask can have been refused.
        let missing = server.asks.then(|| missing_capability::missing_capability(reply)).flatten();
        missing.map_or(Ending::Unchanged, Ending::Error)
    }

    /// Whose instance it calls, of a server that has one for each session: requests of the same principal share one, and so
    /// do all without any.
    pub(crate) fn key(&self) -> SessionKey {
        self.principal.key()
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
