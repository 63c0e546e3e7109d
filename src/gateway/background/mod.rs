//! Work of the HTTP thread without a request: it follows what the supervisor says (routes, settings, the drain), keeps the
//! connections to workers, has tools embedded, expires sessions, and sends what waits for its time.

mod approvals;
mod audit;
mod authorities;
mod catalogue_intake;
mod drain;
mod embeddings;
mod expiry;
mod pins;
mod routes;
mod settings;
mod workers;

use std::rc::Rc;

use slog::Logger;

pub(crate) use self::drain::FAREWELL;
use crate::gateway::{
    base::supervisor::SupervisorHandle,
    notify::{broadcast, list_changed},
    state::Gateway,
};

/// Takes over settings and servers and starts the tasks that follow them. Must be called on the HTTP thread.
pub(crate) fn start(supervisor: SupervisorHandle, log: Logger) -> Rc<Gateway> {
    let gateway = Rc::new(Gateway::new(supervisor, log));
    routes::take(&gateway);
    // These tasks live as long as the process; a panic in one aborts it, and the supervisor starts a new gateway.
    tokio::task::spawn_local(routes::follow(gateway.clone()));
    tokio::task::spawn_local(settings::follow(gateway.clone()));
    tokio::task::spawn_local(drain::follow(gateway.clone()));
    tokio::task::spawn_local(embeddings::fill(gateway.clone()));
    tokio::task::spawn_local(list_changed::run(gateway.clone()));
    tokio::task::spawn_local(broadcast::run(gateway.clone()));
    tokio::task::spawn_local(expiry::sweep(gateway.clone()));
    tokio::task::spawn_local(expiry::learn_restorable(gateway.clone()));
    tokio::task::spawn_local(settings::tell_uses(gateway.clone()));
    tokio::task::spawn_local(pins::follow(gateway.clone()));
    tokio::task::spawn_local(audit::send(gateway.clone()));
    tokio::task::spawn_local(approvals::follow(gateway.clone()));
    let timer = gateway.clone();
    tokio::task::spawn_local(async move { timer.response_timer.run().await });
    gateway
}
