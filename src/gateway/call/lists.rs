//! Pages of merged lists, for clients of every dialect.

use std::rc::Rc;

use bytes::Bytes;
use futures_util::future::join_all;
use mcproxy_mcp::{ErrorCode, ErrorObject};
use tokio::time::timeout;

use super::{incoming::Params, request_context::RequestContext};
use crate::gateway::{
    base::offload::offload,
    catalogue::{ListKind, Preparation, Readers, View},
    state::Gateway,
};

/// The page that the params ask for, and the view it is of. Waits for servers that have never run, for as long as it is
/// configured.
pub(crate) async fn page(
    context: &RequestContext,
    kind: ListKind,
    params: &Params<'_>,
) -> Result<(Rc<View>, Bytes), ErrorObject> {
    let cursor = match params.members.get("cursor") {
        None => None,
        // Some clients write all members that they know of.
        Some(cursor) if cursor.get() == "null" => None,
        Some(_) => Some(params.required("cursor")?),
    };
    let gateway = &context.gateway;
    gateway.servers.settled(context.scope(), gateway.settings().list_wait).await;
    meet(context).await;
    // Further pages come from the list that the client began to read.
    if cursor.is_none() {
        check(context, kind).await;
    }
    let view = context.view();
    let readers = context.downstream.readers();
    prepare(gateway, &view, kind, readers).await;
    let page = view.list(kind, cursor.as_deref(), readers);
    page.map(|page| (view, page)).map_err(|error| ErrorObject::new(ErrorCode::INVALID_PARAMS, error))
}

/// Waits until a list is there, which may take another thread some time. It is put together once, however many requests wait for it.
async fn prepare(gateway: &Rc<Gateway>, view: &Rc<View>, kind: ListKind, readers: Readers) {
    loop {
        let prepared = gateway.lists_prepared.notified();
        match view.prepare(kind, readers) {
            Preparation::Done => return,
            Preparation::Begun => prepared.await,
            Preparation::Work(work) => {
                let (gateway, view) = (gateway.clone(), view.clone());
                // The client that asked first may leave.
                tokio::task::spawn_local(async move {
                    if let Some(list) = offload(work).await {
                        view.prepared(kind, list);
                    }
                    gateway.lists_prepared.notify_waiters();
                });
                prepared.await;
            }
        }
    }
}

/// Lets workers look whether their servers' lists are too old. What the gateway knows is the answer all the same, but for
/// servers that said themselves for how long it is true: those are waited for, for a moment.
async fn check(context: &RequestContext, kind: ListKind) {
    let servers = &context.gateway.servers;
    let mut waited_for = Vec::new();
    for (server, connection) in servers.connections(context.scope()) {
        let session = connection.is_per_session().then(|| context.downstream.key());
        connection.check_list(kind, session);
        if session.is_none() && servers.states_ttl(&server, kind) {
            waited_for.push(connection);
        }
    }
    for connection in waited_for {
        connection.list_checked(kind).await;
    }
}

/// Lets the client of a session see what instances of its own offer. An instance is started if none of a client like this was
/// heard of; that takes no longer than lists may wait for servers.
async fn meet(context: &RequestContext) {
    let RequestContext { gateway, downstream, .. } = context;
    let Some(session) = downstream.own_lists() else { return };
    let unmet = gateway.servers.unmet(context.scope(), session);
    if unmet.is_empty() {
        return;
    }
    let _meeting = downstream.meet();
    let meetings = unmet.iter().map(|(_, connection)| connection.meet(downstream.instance_context()));
    // A catalogue that comes too late is announced.
    let _ = timeout(gateway.settings().list_wait, join_all(meetings)).await;
    // The session may have ended meanwhile; then nothing else would remove this.
    if !downstream.is_over() {
        unmet.iter().for_each(|(server, _)| gateway.servers.meets(server, session));
    }
}
