//! Follows what the supervisor says of servers: connects to new workers, leaves those at rest, and reads what servers offered when they
//! last ran.

use std::{os::fd::OwnedFd, rc::Rc};

use mcproxy_ipc::{EMBEDDINGS_SERVER, Route, disk::on_disk, is_authority};
use slog::warn;

use super::{authorities, embeddings, pins, workers};
use crate::gateway::{
    notify::subscriptions,
    state::Gateway,
    upstream::{
        catalogue_cache,
        servers::{Applied, Offer},
    },
};

/// Takes over what the supervisor says of servers at this moment.
pub(super) fn take(gateway: &Rc<Gateway>) {
    let routes = gateway.supervisor.routes.clone().borrow_and_update().clone();
    let (own, routes): (Vec<_>, Vec<_>) =
        routes.into_iter().partition(|route: &Route| route.server.as_str() == EMBEDDINGS_SERVER);
    embeddings::take(gateway, own);
    let (own, routes) = routes.into_iter().partition(|route: &Route| is_authority(&route.server));
    authorities::take(gateway, own);
    let Applied { connect, read, unpinned } = gateway.servers.apply(routes);
    for server in unpinned {
        tokio::task::spawn_local(pins::look_up(gateway.clone(), server));
    }
    for route in connect {
        tokio::task::spawn_local(workers::follow(gateway.clone(), route));
    }
    for route in read {
        tokio::task::spawn_local(look_up(gateway.clone(), route));
    }
    // Between here and there no call can begin: all of it is this thread's.
    for server in gateway.servers.resting() {
        if !subscriptions::has_any(gateway, &server) {
            gateway.servers.leave(&server);
        }
    }
    gateway.forget_removed_servers();
    wake_for_ourselves(gateway);
}

/// Starts servers at rest without a call: to learn what they offer, and to hear what clients subscribed to.
fn wake_for_ourselves(gateway: &Gateway) {
    for server in gateway.servers.unknown() {
        gateway.servers.wake(&server, &gateway.supervisor);
    }
    for server in gateway.servers.asleep() {
        if subscriptions::has_any(gateway, &server) {
            gateway.servers.wake(&server, &gateway.supervisor);
        }
    }
}

/// Reads the cached catalogue of a server.
async fn look_up(gateway: Rc<Gateway>, route: Route) {
    let Some(key) = route.catalogue else { return };
    let Some(rules) = gateway.servers.rules(&route.server) else { return };
    let server = route.server.clone();
    let look = move |file: OwnedFd| -> Result<Option<Offer>, String> {
        let payload = catalogue_cache::read(file.into()).map_err(|error| error.to_string())?;
        // The warnings of that time are not repeated.
        let read = payload.map(|payload| Offer::read(&server, &rules, payload)).transpose();
        read.map(|read| read.map(|(offer, _)| offer)).map_err(|error| error.to_string())
    };
    let offer = match gateway.supervisor.catalogue_file(route.server.clone(), Some(key)).await {
        Ok(Some(file)) => on_disk(move || look(file)).await.unwrap_or(Ok(None)),
        Ok(None) => Ok(None),
        Err(error) => Err(error.to_string()),
    };
    let offer = offer.unwrap_or_else(|error| {
        warn!(gateway.log, "cannot read the cached catalogue"; "server" => %route.server, "error" => error);
        None
    });
    gateway.servers.set_kept(&route.server, key, offer);
    wake_for_ourselves(&gateway);
}

/// Follows the routes of the supervisor.
pub(super) async fn follow(gateway: Rc<Gateway>) {
    let mut routes = gateway.supervisor.routes.clone();
    while routes.changed().await.is_ok() {
        take(&gateway);
    }
}
