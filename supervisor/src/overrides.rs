//! What the command line says in the place of the file.

use std::net::IpAddr;

use mcproxy_config::{Config, Exposed};
use mcproxy_confine::Hardening;

/// Flags that win over keys of the file, at the start and with every reload.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Overrides {
    pub(crate) host: Option<IpAddr>,
    pub(crate) port: Option<u16>,
    pub(crate) hardening: Option<Hardening>,
}

impl Overrides {
    /// Puts them into what the file says.
    pub(crate) fn apply(self, config: &mut Config) -> Result<(), Exposed> {
        config.hardening = self.hardening.unwrap_or(config.hardening);
        config.override_listen(self.host, self.port)
    }
}
