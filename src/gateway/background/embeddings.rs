//! Has the tools of all servers embedded, in batches and beside everything else, and keeps the connection to the worker that does it.

use std::{rc::Rc, time::Duration};

use mcproxy_ipc::{MAX_EMBED_TEXTS, Route};
use slog::{debug, o, warn};
use tokio::time::sleep;

use crate::gateway::{
    base::offload::offload,
    catalogue::{Finder, VectorSurvey},
    state::Gateway,
    upstream::connection::WorkerConnection,
};

/// First and longest pause between attempts to reach the worker.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// First and longest pause after texts that could not be embedded.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Changes of catalogues come in groups.
const SETTLE: Duration = Duration::from_millis(20);
/// For one batch of texts.
const BATCH_TIMEOUT: Duration = Duration::from_secs(60);

/// Takes over what the supervisor says of the worker: at most one route.
pub(super) fn take(gateway: &Rc<Gateway>, routes: Vec<Route>) {
    if let Some(ready) = gateway.embedder.told(routes.into_iter().next()) {
        tokio::task::spawn_local(connect(gateway.clone(), ready));
    }
}

/// Keeps the connection to one generation of the worker for as long as the supervisor calls it ready.
async fn connect(gateway: Rc<Gateway>, route: Route) {
    let log = gateway.log.new(o!("server" => route.server.to_string(), "generation" => route.generation.0));
    let mut pause = RECONNECT.0;
    while gateway.embedder.wants(route.generation) {
        let metrics = gateway.metrics.server(route.server.as_str());
        match WorkerConnection::open(&route, &gateway.supervisor, metrics, gateway.budget.clone()).await {
            Ok((connection, receiver)) => {
                if !gateway.embedder.wants(route.generation) {
                    return;
                }
                gateway.embedder.attach(connection.clone());
                pause = RECONNECT.0;
                // It offers nothing, and says nothing unasked.
                if let Err(error) = connection.clone().read(receiver, drop).await {
                    warn!(log, "the connection to the worker failed"; "error" => #error);
                }
                gateway.embedder.detach(&connection);
            }
            Err(error) => debug!(log, "the worker cannot be reached yet"; "error" => #error),
        }
        sleep(pause).await;
        pause = (pause * 2).min(RECONNECT.1);
    }
}

/// Has embedded what is not yet: of all servers, and as groups show their tools.
pub(super) async fn fill(gateway: Rc<Gateway>) {
    let mut changes = gateway.servers.watch();
    let mut retry = RETRY.0;
    loop {
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = gateway.embedder.wanted() => {}
        }
        if !gateway.embedder.is_there() {
            continue;
        }
        sleep(SETTLE).await;
        match catch_up(&gateway).await {
            FillOutcome::Done => retry = RETRY.0,
            FillOutcome::Later => {
                // Meanwhile a worker that is started again is asked at once.
                let worker = gateway.embedder.wanted();
                tokio::select! { () = sleep(retry) => retry = (retry * 2).min(RETRY.1), () = worker => {} }
                gateway.embedder.want();
            }
        }
    }
}

/// How far it has come.
enum FillOutcome {
    /// There is nothing to do at present.
    Done,
    /// Texts cannot be embedded at present.
    Later,
}

async fn catch_up(gateway: &Gateway) -> FillOutcome {
    loop {
        let finders: Vec<Finder> = gateway.servers.all_views().iter().map(|view| view.finder()).collect();
        let vectors = gateway.embedder.vectors();
        let survey = offload(move || {
            let mut survey = VectorSurvey::default();
            finders.iter().for_each(|finder| finder.survey(&vectors, MAX_EMBED_TEXTS, &mut survey));
            survey
        });
        let Some(VectorSurvey { live, missing }) = survey.await else { return FillOutcome::Done };
        gateway.embedder.retain(|digest| live.contains(digest));
        if missing.is_empty() || !gateway.embedder.is_there() {
            return FillOutcome::Done;
        }
        let (digests, texts): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
        let Some((of, vectors)) = gateway.embedder.embed(texts, true, BATCH_TIMEOUT).await else {
            return FillOutcome::Later;
        };
        if let Err(full) = gateway.embedder.keep(of, digests.into_iter().zip(vectors)) {
            debug!(gateway.log, "some tools are found by their words alone"; "reason" => %full);
            return FillOutcome::Done;
        }
    }
}
