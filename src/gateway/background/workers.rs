//! Keeps the connection to each worker, and passes on what its server says outside of calls.

use std::{rc::Rc, time::Duration};

use mcproxy_ipc::Route;
use slog::{debug, o, warn};

use super::catalogue_intake::CatalogueIntake;
use crate::gateway::{
    notify::{custom_notifications, elicitation_complete, log, subscriptions, task_status},
    state::Gateway,
    upstream::connection::{UpstreamEvent, WorkerConnection},
};

/// First and longest pause between attempts to reach a worker that the supervisor calls ready.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Keeps the connection to one generation of a server for as long as the supervisor calls it ready.
pub(super) async fn follow(gateway: Rc<Gateway>, route: Route) {
    let Route { server, generation, .. } = route.clone();
    let log = gateway.log.new(o!("server" => server.to_string(), "generation" => generation.0));
    let mut pause = RECONNECT.0;
    let mut changes = gateway.servers.watch();
    while gateway.servers.wants_connection(&server, generation) {
        if gateway.servers.rests(&server) {
            // It was left and ends, unless a call reached it before.
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        }
        match WorkerConnection::open(
            &route,
            &gateway.supervisor,
            gateway.metrics.server(server.as_str()),
            gateway.budget.clone(),
        )
        .await
        {
            Ok((connection, receiver)) => {
                if !gateway.servers.attach(&server, connection.clone()) {
                    return;
                }
                pause = RECONNECT.0;
                let of = gateway.clone();
                let (name, intake) = (server.clone(), CatalogueIntake::new(&gateway, &server, &connection, &log));
                let end = connection
                    .clone()
                    .read(receiver, move |event| match event {
                        UpstreamEvent::Catalogue(payload) => intake.catalogue(payload),
                        UpstreamEvent::ListChanged(kind, only) => intake.list_changed(kind, only),
                        UpstreamEvent::Notification(method, params, only) => {
                            custom_notifications::to_clients(&of, &name, &method, &params, only);
                        }
                        UpstreamEvent::OwnCatalogue(payload, session) => intake.own(session, payload),
                        UpstreamEvent::LikelyLog(params, caller) => {
                            log::log_message(&of, &name, &params, caller);
                        }
                        UpstreamEvent::Log(params, None) => log::log_message(&of, &name, &params, None),
                        UpstreamEvent::Log(params, Some(session)) => {
                            log::log_to_one(&of, &name, session, &params);
                        }
                        UpstreamEvent::PageDone(params, only) => elicitation_complete::done(&of, &name, &params, only),
                        UpstreamEvent::Updated(params, only) => subscriptions::updated(&of, &name, &params, only),
                        UpstreamEvent::TaskChanged(params, only) => task_status::changed(&of, &name, &params, only),
                    })
                    .await;
                if let Err(error) = end {
                    warn!(log, "the connection to the worker failed"; "error" => #error);
                }
                gateway.servers.detach(&server, &connection);
            }
            Err(error) => debug!(log, "the worker cannot be reached yet"; "error" => #error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RECONNECT.1);
    }
}
