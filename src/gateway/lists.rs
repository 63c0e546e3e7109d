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
    let view = exchange.view();
    let readers = if exchange.caller.session().is_some() { Readers::Sessions } else { Readers::Visitors };
    let page = view.list(kind, cursor.as_deref(), readers);
    page.map(|page| (view, page)).map_err(|error| ErrorObject::new(ErrorCode::INVALID_PARAMS, error))
}
