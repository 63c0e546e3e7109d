//! The terms between a server and its clients: how they are declared to it, and what it may ask them for.

use mcproxy_ipc::{ClientDeclaration, ClientFeatures, Instances, WorkerSpec, data::ServerEra};

use crate::dialect::legacy;

/// The terms between one server and its clients.
pub(super) struct ClientTerms {
    pub(super) features: ClientFeatures,
    /// The declaration in `initialize`.
    pub(super) declaration: ClientDeclaration,
    /// Extensions that clients are said to have.
    pub(super) extensions: Vec<String>,
    /// The features that the configuration allows a server that all share.
    pub(super) listed: Option<ClientFeatures>,
}

impl ClientTerms {
    pub(super) fn new(spec: &WorkerSpec) -> Self {
        let features = spec.features.unwrap_or_default();
        Self {
            features,
            declaration: spec.client.clone().unwrap_or_else(|| legacy::declaration(features, &spec.extensions)),
            extensions: spec.extensions.clone(),
            listed: spec.features.filter(|_| spec.instances != Instances::SingleClient),
        }
    }

    /// The features that a server of this era may ask for by requests of its own; one of 2026-07-28 does not ask in the middle of
    /// a call.
    pub(super) fn askable(&self, era: ServerEra) -> ClientFeatures {
        if era == ServerEra::Legacy { self.features } else { ClientFeatures::default() }
    }
}
