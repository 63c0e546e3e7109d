//! Who uses the interface, and what that caller may see and do.

use std::{
    future::{Ready, ready},
    net::SocketAddr,
    rc::Rc,
};

use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError, dev::Payload, http::StatusCode};

use mcproxy_ipc::{StatusReport, control::ActingCaller};

use super::answer;
use crate::gateway::{
    base::{
        auth::Admission,
        auth_error::AuthError,
        own_page::{self, FORWARDED},
        principal::Principal,
        status_cache::part_of,
    },
    http::error::HttpError,
    state::Gateway,
};

/// A caller of the interface.
pub(super) struct Caller {
    pub(super) gateway: Rc<Gateway>,
    pub(super) principal: Principal,
    /// Where its connection comes from.
    pub(super) peer: Option<SocketAddr>,
    /// Whether it may do what an operator may, as far as this process can tell.
    pub(super) may_administer: bool,
}

/// Why a caller is not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoCaller {
    /// There is no page.
    #[error("the web page is switched off")]
    SwitchedOff,
    /// It shows no credentials that are accepted.
    #[error(transparent)]
    Credentials(#[from] AuthError),
}

impl ResponseError for NoCaller {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::SwitchedOff => {
                answer::not_found("the web page is switched off", Some("write `\"ui\": true` into the configuration"))
            }
            Self::Credentials(error) => answer::refused(&HttpError::unauthorized(*error, None)),
        }
    }
}

/// The state of this thread.
pub(super) fn gateway_of(request: &HttpRequest) -> Rc<Gateway> {
    request.app_data::<Rc<Gateway>>().expect("every App of ours is given its Gateway").clone()
}

impl Caller {
    fn of(request: &HttpRequest) -> Result<Self, NoCaller> {
        let gateway = gateway_of(request);
        if !gateway.settings().ui {
            return Err(NoCaller::SwitchedOff);
        }
        let admission: Admission = gateway.auth().identify(request.headers(), request.uri())?;
        let peer = request.peer_addr();
        let host = request.headers().get("host").and_then(|host| host.to_str().ok());
        let is_forwarded = FORWARDED.iter().any(|name| request.headers().contains_key(*name));
        let is_local = own_page::is_local(peer.map(|peer| peer.ip()), host, is_forwarded);
        let may_administer = admission.may_administer(is_local);
        Ok(Self { principal: admission.principal(), may_administer, peer, gateway })
    }

    /// The same caller, whom the supervisor was asked about: without authentication every process of this machine looks alike here, a
    /// server's included. To be called before anything is shown that only operators see.
    pub(super) async fn verified(mut self) -> Self {
        if self.may_administer && self.gateway.auth().is_open() {
            let by = ActingCaller { principal: None, peer: self.peer };
            self.may_administer = self.gateway.verified_peers.may_administer(by, &self.gateway.supervisor).await;
        }
        self
    }

    /// What the supervisor knows of the servers that the caller may use; `None`: it does not answer.
    pub(super) async fn report(&self) -> Option<Rc<StatusReport>> {
        let gateway = &self.gateway;
        let report = gateway.status_cache.report(&gateway.supervisor).await?;
        if self.may_administer || !gateway.servers.is_limited(&self.principal) {
            return Some(report);
        }
        Some(Rc::new(part_of(&report, |server| gateway.servers.reaches(&self.principal, server))))
    }

    /// Whether it may see what is somebody's own: calls and sessions of this principal. Who may administer sees all; without
    /// authentication nobody else is told apart, so that nobody else sees any.
    pub(super) fn sees(&self, principal: &Principal) -> bool {
        self.may_administer || (!self.principal.is_anonymous() && self.principal == *principal)
    }

    /// The answer to a caller that would have to be allowed to administer, and is not.
    pub(super) fn refused(&self, what: &str) -> HttpResponse {
        let remedy = match self.gateway.auth().is_open() {
            true => {
                "without `auth` this is for browsers on the same machine only, at a loopback address and without a proxy; elsewhere give yourself a token with `\"admin\": true` in `auth.tokens`"
            }
            false => "it needs a token with `\"admin\": true` in `auth.tokens`",
        };
        answer::error(StatusCode::FORBIDDEN, &format!("you may not {what}"), Some(remedy))
    }
}

impl FromRequest for Caller {
    type Error = NoCaller;
    type Future = Ready<Result<Self, NoCaller>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}
