use std::{
    future::{Ready, ready},
    rc::Rc,
    time::Instant,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::StatusCode};
use mcproxy_ipc::ServerName;
use mcproxy_mcp::{ErrorCode, ProtocolVersion};

use super::refusal::Refusal;
use crate::gateway::{scope::Scope, session::Session, state::Gateway};

/// Who is calling, as the guard found out.
#[derive(Clone)]
pub(super) struct Principal(pub(super) Option<String>);

/// Where a request arrived and for whom: the state, the endpoint, the caller.
pub(super) struct Place {
    pub(super) gateway: Rc<Gateway>,
    pub(super) scope: Scope,
    pub(super) principal: Option<String>,
}

impl Place {
    fn of(request: &HttpRequest) -> Result<Self, Refusal> {
        let gateway = request.app_data::<Rc<Gateway>>().expect("every App of ours is given its Gateway").clone();
        let path = request.match_info();
        let scope = match (path.get("server"), path.get("group")) {
            (Some(server), _) => match ServerName::try_from(server) {
                Ok(name) => Scope::Server(name),
                Err(error) => return Err(Refusal::new(StatusCode::NOT_FOUND, ErrorCode::INVALID_REQUEST, error)),
            },
            (None, Some(group)) => Scope::Group(group.to_owned()),
            (None, None) => Scope::All,
        };
        if !gateway.fleet.has(&scope) {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                ErrorCode::INVALID_REQUEST,
                format_args!("{scope} is not configured"),
            ));
        }
        let principal = request.extensions().get::<Principal>().and_then(|p| p.0.clone());
        Ok(Self { gateway, scope, principal })
    }

    /// The session of that id, if it was opened here by this caller.
    pub(super) fn session(&self, id: &str) -> Option<Rc<Session>> {
        self.gateway.sessions.find(id, &self.scope, self.principal.as_deref())
    }

    /// Opens a session for this caller.
    pub(super) fn open_session(&self, version: ProtocolVersion) -> Result<Rc<Session>, Refusal> {
        let limit = self.gateway.settings().max_sessions;
        let (scope, principal) = (self.scope.clone(), self.principal.clone());
        let (session, evicted) =
            self.gateway.sessions.open(scope, principal, version, limit, Instant::now()).map_err(Refusal::busy)?;
        if let Some(evicted) = evicted {
            self.gateway.release(&evicted);
        }
        Ok(session)
    }
}

impl FromRequest for Place {
    type Error = Refusal;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}
