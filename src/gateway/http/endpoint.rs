//! The endpoint that a request is for: its servers, its principal, and the sessions of both.

use std::{
    future::{Ready, ready},
    rc::Rc,
    time::Instant,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::StatusCode};
use mcproxy_ipc::ServerName;
use mcproxy_mcp::ErrorCode;
use slog::{info, warn};

use super::{error::HttpError, step_up};
use crate::gateway::{
    base::{
        principal::Principal,
        scope::{EndpointScope, Scope},
    },
    call::client_headers::ClientHeaders,
    dialect::session::{lifetime, methods::InitializeParams},
    sessions::{
        registry::{Limits, Opened},
        session::{Session, short},
    },
    state::Gateway,
};

/// Where a request arrived and for whom: the state, the endpoint, the caller.
pub(super) struct Endpoint {
    pub(super) gateway: Rc<Gateway>,
    pub(super) scope: Scope,
    pub(super) principal: Principal,
}

impl Endpoint {
    fn of(request: &HttpRequest) -> Result<Self, HttpError> {
        let gateway = request.app_data::<Rc<Gateway>>().expect("every App of ours is given its Gateway").clone();
        let path = request.match_info();
        let endpoint = match (path.get("server"), path.get("group")) {
            (Some(server), _) => match ServerName::try_from(server) {
                Ok(name) => EndpointScope::Server(name),
                Err(error) => return Err(HttpError::new(StatusCode::NOT_FOUND, ErrorCode::INVALID_REQUEST, error)),
            },
            (None, Some(group)) if path.get("view").is_some() => EndpointScope::Search(Some(group.to_owned())),
            (None, Some(group)) => gateway.servers.scope_of_group(group),
            (None, None) if path.get("view").is_some() => EndpointScope::Search(None),
            (None, None) => EndpointScope::All,
        };
        let principal = request.extensions().get::<Principal>().cloned().unwrap_or_default();
        let scope = gateway.servers.scope_for(endpoint, principal.clone());
        if !gateway.servers.has(&scope) {
            if let Some(refusal) = step_up::at_endpoint(&gateway, request, &scope.endpoint, &principal) {
                return Err(refusal);
            }
            return Err(HttpError::new(
                StatusCode::NOT_FOUND,
                ErrorCode::INVALID_REQUEST,
                format_args!("{scope} is not configured"),
            ));
        }
        Ok(Self { gateway, scope, principal })
    }

    /// The headers of a request that servers may be told. A token that is accepted here goes no further.
    pub(super) fn client_headers(&self, request: &HttpRequest) -> Result<ClientHeaders, HttpError> {
        let settings = self.gateway.settings();
        if settings.forwarding.is_empty() {
            return Ok(ClientHeaders::default());
        }
        let auth = self.gateway.auth();
        let of_name = |name: &str| {
            let (auth, name) = (&auth, name.to_owned());
            let values =
                request.headers().get_all(&*name).filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
            values.filter(move |value| !auth.accepts(&name, value))
        };
        ClientHeaders::of(&settings.forwarding, of_name).map_err(|error| {
            HttpError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, ErrorCode::INVALID_REQUEST, error)
        })
    }

    /// The session of that id, if it was opened here by this caller: one that we know, or one of an earlier gateway.
    pub(super) async fn session(&self, id: &str) -> Result<Option<Rc<Session>>, HttpError> {
        let sessions = &self.gateway.sessions;
        match sessions.get(id) {
            Some(session) if self.may_raise(&session) && self.raise(&session) => Ok(Some(session)),
            Some(session) if session.principal() != &self.principal => {
                warn!(self.gateway.log, "client presented a session of another principal"; "session" => short(id),
                    "principal" => self.principal.name());
                Ok(None)
            }
            Some(session) if session.scope() != &self.scope => Ok(None),
            Some(session) => Ok(Some(session)),
            None if sessions.restorable.are_awaited() => Box::pin(self.take_up(id)).await,
            None => Ok(None),
        }
    }

    /// Whether a session is that of the same person at the same endpoint, who has got a token with more scopes since (step-up).
    fn may_raise(&self, session: &Session) -> bool {
        self.principal.exceeds(session.principal())
            && session.scope().endpoint == self.scope.endpoint
            && !session.ends_with_its_stream()
    }

    /// Lets the session go on with the scopes of this request's token; `false`: that happened too often.
    fn raise(&self, session: &Rc<Session>) -> bool {
        let gateway = &self.gateway;
        if !gateway.sessions.raise(session, self.scope.clone(), self.principal.clone()) {
            return false;
        }
        info!(self.principal.log(&gateway.log), "session goes on with more scopes"; "session" => short(session.id()),
            "scopes" => self.principal.scopes());
        lifetime::raised(gateway, session);
        true
    }

    /// The session of HTTP with SSE of that id, if it was opened by this caller. Its endpoint is the one where its stream is: some
    /// clients know no more of the URL than its origin when they post.
    pub(super) fn stream_session(&self, id: &str) -> Option<Rc<Session>> {
        let session = self.gateway.sessions.get(id)?;
        if session.principal() != &self.principal {
            warn!(self.gateway.log, "client presented a session of another principal"; "session" => short(id),
                "principal" => self.principal.name());
            return None;
        }
        session.ends_with_its_stream().then_some(session)
    }

    /// An earlier gateway may have opened it.
    async fn take_up(&self, id: &str) -> Result<Option<Rc<Session>>, HttpError> {
        let Self { gateway, scope, principal } = self;
        let Some(claims) = gateway.sessions.claims(id, scope, principal) else { return Ok(None) };
        let left = gateway.supervisor.stored_session(claims.key).await;
        // Another request of it may have been faster. It is this caller's: the id would not have opened for others.
        if let Some(session) = gateway.sessions.get(id) {
            return Ok(Some(session));
        }
        let limits = Limits::of(&gateway.settings());
        let taken = gateway.sessions.restore(id, claims, (scope, principal), left, limits, Instant::now());
        let Some(taken) = taken else { return Ok(None) };
        let (opened, snapshot) = taken.map_err(HttpError::busy)?;
        let session = self.opened(opened);
        info!(gateway.log, "session taken over from an earlier gateway"; "session" => short(session.id()),
            "scope" => %scope, "version" => %session.version(), "client" => %session.client());
        lifetime::resume(gateway, &session, snapshot);
        Ok(Some(session))
    }

    /// Opens a session for this caller.
    pub(super) fn open_session(&self, hello: InitializeParams) -> Result<Rc<Session>, HttpError> {
        let InitializeParams { version, client, declaration } = hello;
        let (scope, principal) = (self.scope.clone(), self.principal.clone());
        let limits = Limits::of(&self.gateway.settings());
        let opened = self.gateway.sessions.open(scope, principal, version, client, limits, Instant::now());
        let session = self.opened(opened.map_err(HttpError::busy)?);
        session.set_declaration(declaration);
        lifetime::remember(&self.gateway, &session);
        Ok(session)
    }

    /// Opens a session that ends with its stream.
    pub(super) fn open_stream_session(&self) -> Result<Rc<Session>, HttpError> {
        let (scope, principal) = (self.scope.clone(), self.principal.clone());
        let limits = Limits::of(&self.gateway.settings());
        let opened = self.gateway.sessions.open_with_stream(scope, principal, limits, Instant::now());
        Ok(self.opened(opened.map_err(HttpError::busy)?))
    }

    fn opened(&self, (session, evicted): Opened) -> Rc<Session> {
        if let Some(evicted) = evicted {
            lifetime::release(&self.gateway, &evicted);
        }
        session
    }
}

impl FromRequest for Endpoint {
    type Error = HttpError;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}
