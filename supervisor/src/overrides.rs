//! What the command line says in the place of the file.

use std::net::{IpAddr, SocketAddr};

use mcproxy_config::Config;
use mcproxy_confine::Hardening;

use crate::args::Args;

/// Flags that win over keys of the file, at the start and with every reload.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Overrides {
    pub(crate) host: Option<IpAddr>,
    pub(crate) port: Option<u16>,
    pub(crate) hardening: Option<Hardening>,
}

/// The address is said twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the service manager passes the socket to listen at (mcproxy.socket); leave out --host and --port")]
pub(crate) struct AddressTwice;

impl Overrides {
    /// Those of the command line, with the address of the socket that a service manager passes.
    pub(crate) fn of(args: &Args, passed: Option<SocketAddr>) -> Result<Self, AddressTwice> {
        let hardening = args.hardening();
        match passed {
            Some(_) if args.host.is_some() || args.port.is_some() => Err(AddressTwice),
            Some(address) => Ok(Self { host: Some(address.ip()), port: Some(address.port()), hardening }),
            None => Ok(Self { host: args.host, port: args.port, hardening }),
        }
    }

    /// A configuration with them put into it; one that they cannot be put into has that as its only problem.
    pub(crate) fn applied(self, config: Result<Config, Vec<String>>) -> Result<Config, Vec<String>> {
        let mut config = config?;
        config.hardening = self.hardening.unwrap_or(config.hardening);
        config.override_listen(self.host, self.port).map_err(|error| vec![error.to_string()])?;
        Ok(config)
    }
}
