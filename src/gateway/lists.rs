//! Pages of merged lists, for clients of every dialect.

use std::rc::Rc;

use bytes::Bytes;
use mcproxy_mcp::{ErrorCode, ErrorObject, RawObject};

use super::{
    catalogue::{ListKind, Readers, View},
    exchange::Exchange,
    request::required,
};

/// The page that the params ask for, and the view it is of. Waits for servers that have never run, for as long as it is
/// configured.
pub(crate) async fn page(
    exchange: &Exchange,
    kind: ListKind,
    params: &RawObject<'_>,
) -> Result<(Rc<View>, Bytes), ErrorObject> {
    let cursor = match params.get("cursor") {
        None => None,
        // Some clients write all members that they know of.
        Some(cursor) if cursor.get() == "null" => None,
        Some(_) => Some(required(params, "cursor")?),
    };
    let gateway = &exchange.gateway;
    gateway.fleet.settled(exchange.scope(), gateway.settings().list_wait).await;
    // Who turns pages goes on in the list that was begun.
    if cursor.is_none() {
        check(exchange, kind).await;
    }
    let view = exchange.view();
    let readers = if exchange.caller.session().is_some() { Readers::Sessions } else { Readers::Visitors };
    let page = view.list(kind, cursor.as_deref(), readers);
    page.map(|page| (view, page)).map_err(|error| ErrorObject::new(ErrorCode::INVALID_PARAMS, error))
}

/// Lets workers look whether their servers' lists are too old. What the gateway knows is the answer all the same, but for
/// servers that said themselves for how long it is true: those are waited for, for a moment.
async fn check(exchange: &Exchange, kind: ListKind) {
    let fleet = &exchange.gateway.fleet;
    let mut waited_for = Vec::new();
    for (server, link) in fleet.links(exchange.scope()) {
        let session = link.is_per_session().then(|| exchange.caller.key());
        link.check_list(kind, session);
        if session.is_none() && fleet.states_ttl(&server, kind) {
            waited_for.push(link);
        }
    }
    for link in waited_for {
        link.list_checked(kind).await;
    }
}
