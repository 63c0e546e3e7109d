//! How a run is connected to the rest of the worker.

use std::{cell::Cell, rc::Rc, time::Duration};

use mcproxy_ipc::control::WorkerToSupervisor;
use slog::Logger;
use tokio::sync::mpsc;

use super::reaches::Reaches;
use crate::{catalogue_writer::CataloguePort, launch::Launcher, link::GatewayLink, stderr, transport::Trace};

/// Orders of others to a run.
pub(crate) enum Order {
    /// End it.
    Stop,
    /// End it when the gateway has let go, or after this time.
    Drain(Duration),
    /// End it at once.
    Kill,
    /// The same, because the server uses more than it may: this.
    Exceeded(String),
    /// It goes on with installing the server.
    Installing,
    /// Here is the gateway.
    Serve(Box<GatewayLink>),
}

/// How a run is connected to the rest.
pub(crate) struct Ports {
    /// The sending half is for what watches the server.
    pub(crate) orders: (mpsc::Sender<Order>, mpsc::Receiver<Order>),
    pub(crate) reports: mpsc::Sender<WorkerToSupervisor>,
    /// Where what the server offers is kept, if it is.
    pub(crate) catalogue: Option<CataloguePort>,
    /// Where no gateway will be handed over.
    pub(crate) link: Option<GatewayLink>,
    pub(crate) stderr: stderr::Sink,
    pub(crate) trace: Option<Trace>,
    pub(crate) launcher: Launcher,
    /// What servers are reached by.
    pub(crate) reaches: Reaches,
    /// Which of several that run at once.
    pub(crate) instance: Option<u32>,
    /// Becomes true when no further call has a chance, which may be a while before the end.
    pub(crate) given_up: Rc<Cell<bool>>,
    pub(crate) log: Logger,
}
