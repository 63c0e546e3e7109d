//! What a client of OAuth is told when its token is good and has too few scopes: which ones to ask for (RFC 6750 section 3.1, MCP
//! 2026-07-28, Scope Challenge Handling). Only scopes of the configuration that open what was asked for, so that nobody is sent for
//! something that does not exist.

use std::rc::Rc;

use actix_web::{HttpMessage, HttpRequest};
use mcproxy_ipc::control::OAuthSettings;
use mcproxy_mcp::{method, split_name};

use super::error::HttpError;
use crate::gateway::{
    base::{
        oauth::resource,
        principal::Principal,
        scope::{EndpointScope, Scope},
    },
    call::incoming::{Params, Request},
    catalogue::ListKind,
    state::Gateway,
};

/// The path at which a client asked, where that is served under another one.
#[derive(Debug, Clone)]
pub(super) struct RequestedPath(pub(super) Rc<str>);

/// The refusal of a request to an endpoint of which the token's scopes open nothing; `None`: no scope does, or the client has no scopes.
pub(super) fn at_endpoint(
    gateway: &Gateway,
    request: &HttpRequest,
    endpoint: &EndpointScope,
    principal: &Principal,
) -> Option<HttpError> {
    let exists = |scope: &Scope| gateway.servers.has(scope);
    refusal(gateway, request, endpoint, principal, exists)
}

/// The refusal of a request that names what the token's scopes do not open, and another scope does; `None`: it may go on.
pub(super) fn of_request(gateway: &Gateway, http: &HttpRequest, scope: &Scope, request: &Request) -> Option<HttpError> {
    // Without scopes, or with enough of them for everything, there is nothing to look at.
    if scope.holder.scopes().is_none() || !gateway.servers.is_limited(&scope.holder) {
        return None;
    }
    let (member, kind) = match &*request.method {
        method::TOOLS_CALL => ("name", ListKind::Tools),
        method::PROMPTS_GET => ("name", ListKind::Prompts),
        method::RESOURCES_READ => ("uri", ListKind::Resources),
        _ => return None,
    };
    let params = Params::read(&request.params).ok()?;
    let named = params.members.get_string(member)?;
    let opens = |scope: &Scope| opens(gateway, scope, kind, &named);
    if opens(scope) {
        return None;
    }
    refusal(gateway, http, &scope.endpoint, &scope.holder, opens)
}

/// Whether a scope has something of this name.
fn opens(gateway: &Gateway, scope: &Scope, kind: ListKind, named: &str) -> bool {
    let view = gateway.servers.view(scope);
    let is_listed = match kind {
        ListKind::Tools => view.tool(named).is_some(),
        ListKind::Prompts => view.prompt(named).is_some(),
        ListKind::Resources | ListKind::Templates => view.resource(named).is_some(),
    };
    // Servers that do not say yet what they offer.
    let is_unlisted = || {
        let (server, own) = match &scope.endpoint {
            EndpointScope::Server(server) => (server.clone(), named),
            EndpointScope::All | EndpointScope::Group(_) | EndpointScope::Search(_) => {
                let Some((server, own)) = split_name(named) else { return false };
                let Ok(server) = server.try_into() else { return false };
                (server, own)
            }
        };
        let is_named = matches!(kind, ListKind::Tools | ListKind::Prompts);
        is_named
            && !gateway.servers.answers(server.as_str())
            && gateway.servers.shows(scope, &server)
            && gateway.servers.unlisted(scope, &server, kind, own).is_some()
    };
    is_listed || is_unlisted()
}

fn refusal(
    gateway: &Gateway,
    request: &HttpRequest,
    endpoint: &EndpointScope,
    principal: &Principal,
    opens: impl Fn(&Scope) -> bool,
) -> Option<HttpError> {
    let granted = principal.scopes()?;
    let settings = gateway.settings();
    let oauth = settings.oauth.as_ref()?;
    let needed = needed(oauth, granted, |scope| {
        let holder = Principal::with_scopes(principal.name().unwrap_or_default(), scope);
        opens(&gateway.servers.scope_for(endpoint.clone(), holder))
    })?;
    let requested = request.extensions().get::<RequestedPath>().cloned();
    let path = requested.as_ref().map_or(request.path(), |requested| &requested.0);
    Some(HttpError::insufficient_scope(&resource::hint(oauth, path, &needed), &needed))
}

/// The scopes that the token has, and the first that would do.
fn needed(settings: &OAuthSettings, granted: &str, opens: impl Fn(&str) -> bool) -> Option<String> {
    let has = |scope: &str| granted.split_whitespace().any(|one| one == scope);
    let missing = settings.scopes.iter().map(|of| of.scope.as_str()).filter(|scope| !has(scope));
    // A narrow one before one that opens everything.
    let access = |scope: &str| settings.scopes.iter().find(|of| of.scope == scope).map(|of| of.access.is_unlimited());
    let (wide, narrow): (Vec<&str>, Vec<&str>) = missing.partition(|scope| access(scope) == Some(true));
    let first = narrow.into_iter().chain(wide).find(|scope| opens(scope))?;
    Some(format!("{granted} {first}").trim_start().to_owned())
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::control::{ScopeGrant, TokenAccess};

    use super::*;

    #[test]
    fn what_is_asked_for_is_what_there_is_and_the_first_that_would_do() {
        let limited = TokenAccess { servers: Some(Vec::new()), ..TokenAccess::default() };
        let grant =
            |(scope, access): (&str, &TokenAccess)| ScopeGrant { scope: scope.to_owned(), access: access.clone() };
        let settings = OAuthSettings {
            public_url: String::new(),
            issuers: Vec::new(),
            audiences: Vec::new(),
            scopes: [("all", &TokenAccess::default()), ("r", &limited), ("w", &limited)].map(grant).into(),
            initial_scopes: Vec::new(),
            principal_claim: String::new(),
        };
        let of = |granted, opening: &[&str]| needed(&settings, granted, |scope| opening.contains(&scope));
        assert_eq!(of("r", &["all", "w"]).as_deref(), Some("r w"));
        assert_eq!(of("r w", &["all"]).as_deref(), Some("r w all"));
        assert_eq!(of("r", &["r"]), None);
        assert_eq!(of("", &["r"]).as_deref(), Some("r"));
    }
}
