//! What the command line says in the place of the file.

use std::net::IpAddr;

use mcproxy_config::Config;
use mcproxy_confine::Hardening;

/// Flags that win over keys of the file, at the start and with every reload.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Overrides {
    pub(crate) host: Option<IpAddr>,
    pub(crate) port: Option<u16>,
    pub(crate) hardening: Option<Hardening>,
}

impl Overrides {
    /// A configuration with them put into it; one that they cannot be put into has that as its only problem.
    pub(crate) fn applied(self, config: Result<Config, Vec<String>>) -> Result<Config, Vec<String>> {
        let mut config = config?;
        config.hardening = self.hardening.unwrap_or(config.hardening);
        config.override_listen(self.host, self.port).map_err(|error| vec![error.to_string()])?;
        Ok(config)
    }
}
