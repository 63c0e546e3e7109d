use std::{
    future::{Ready, ready},
    rc::Rc,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, dev::Payload, error::InternalError};
use mcproxy_ipc::ServerName;
use mcproxy_mcp::ErrorCode;

use super::refuse;
use crate::gateway::{scope::Scope, state::Gateway};

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
    fn of(request: &HttpRequest) -> Result<Self, HttpResponse> {
        let gateway = request.app_data::<Rc<Gateway>>().expect("every App of ours is given its Gateway").clone();
        let path = request.match_info();
        let scope = match (path.get("server"), path.get("group")) {
            (Some(server), _) => match ServerName::try_from(server) {
                Ok(name) => Scope::Server(name),
                Err(error) => return Err(refuse(HttpResponse::NotFound(), ErrorCode::INVALID_REQUEST, error)),
            },
            (None, Some(group)) => Scope::Group(group.to_owned()),
            (None, None) => Scope::All,
        };
        if !gateway.fleet.has(&scope) {
            return Err(refuse(
                HttpResponse::NotFound(),
                ErrorCode::INVALID_REQUEST,
                format_args!("{scope} is not configured"),
            ));
        }
        let principal = request.extensions().get::<Principal>().and_then(|p| p.0.clone());
        Ok(Self { gateway, scope, principal })
    }
}

impl FromRequest for Place {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).map_err(|response| InternalError::from_response("no such endpoint", response).into()))
    }
}
