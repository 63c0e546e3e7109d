//! Keeps the connections to the workers that ask authorization servers, and the keys of those fresh.

use std::{rc::Rc, time::Duration};

use mcproxy_ipc::Route;
use slog::{debug, o, warn};
use tokio::time::sleep;

use crate::gateway::{state::Gateway, upstream::connection::WorkerConnection};

/// First and longest pause between attempts to reach a worker.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Takes over what the supervisor says of the workers.
pub(super) fn take(gateway: &Rc<Gateway>, routes: Vec<Route>) {
    for ready in gateway.authorities.told(routes) {
        tokio::task::spawn_local(connect(gateway.clone(), ready));
    }
}

/// Keeps the connection to one generation of a worker for as long as the supervisor calls it ready.
async fn connect(gateway: Rc<Gateway>, route: Route) {
    let log = gateway.log.new(o!("server" => route.server.to_string(), "generation" => route.generation.0));
    let mut pause = RECONNECT.0;
    while gateway.authorities.wants(&route.server, route.generation) {
        let metrics = gateway.metrics.server(route.server.as_str());
        match WorkerConnection::open(&route, &gateway.supervisor, metrics, gateway.budget.clone()).await {
            Ok((connection, receiver)) => {
                if !gateway.authorities.wants(&route.server, route.generation) {
                    return;
                }
                gateway.authorities.attach(&route.server, connection.clone());
                pause = RECONNECT.0;
                // It offers nothing, and says nothing unasked.
                let reading = connection.clone().read(receiver, drop);
                tokio::select! {
                    read = reading => {
                        if let Err(error) = read {
                            warn!(log, "the connection to the worker failed"; "error" => #error);
                        }
                    }
                    () = renew(&gateway, &route) => {}
                }
                gateway.authorities.detach(&route.server, &connection);
            }
            Err(error) => debug!(log, "the worker cannot be reached yet"; "error" => #error),
        }
        sleep(pause).await;
        pause = (pause * 2).min(RECONNECT.1);
    }
}

/// Fetches keys before they are old, for ever.
async fn renew(gateway: &Gateway, route: &Route) {
    loop {
        sleep(gateway.authorities.renew(&route.server).await).await;
    }
}
