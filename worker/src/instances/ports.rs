//! How the host of all instances is connected to the rest of the worker.

use mcproxy_ipc::{LogRecord, control::WorkerToSupervisor};
use slog::Logger;
use tokio::sync::mpsc;

use crate::{
    catalogue_writer::CataloguePort,
    launch::Launcher,
    runner::{Order, Reaches},
};

/// How the host is connected to the rest.
pub(crate) struct HostPorts {
    /// The sending half keeps it open.
    pub(crate) orders: (mpsc::Sender<Order>, mpsc::Receiver<Order>),
    pub(crate) reports: mpsc::Sender<WorkerToSupervisor>,
    /// Where what the server offers is kept, if it is.
    pub(crate) catalogue: Option<CataloguePort>,
    /// Where the lines that instances write to stderr go.
    pub(crate) records: mpsc::Sender<LogRecord>,
    pub(crate) launcher: Launcher,
    /// What instances are reached by.
    pub(crate) reaches: Reaches,
    pub(crate) log: Logger,
}
