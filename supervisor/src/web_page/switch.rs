//! Switching a server on or off until the configuration is read again. The file is not written.

use mcproxy_ipc::ServerName;
use tokio::sync::oneshot;

use crate::{server::ServerCommand, supervisor::Supervisor};

impl Supervisor {
    /// Puts the entry of a server in force with another `enabled`, as a reload would; the next reload compares with that.
    pub(crate) async fn switch(&mut self, name: &ServerName, enabled: bool) -> Result<String, String> {
        let word = if enabled { "enabled" } else { "disabled" };
        let Some(config) = self.config.servers.iter_mut().find(|server| server.name == *name) else {
            return Err(format!("there is no server `{name}` any more"));
        };
        if config.enabled == enabled {
            return Ok(format!("{name} is {word} already"));
        }
        let Some(server) = self.context.server(name.as_str()) else {
            return Err(format!("there is no server `{name}` any more"));
        };
        config.enabled = enabled;
        let (reply, _) = oneshot::channel();
        let command = ServerCommand::Configure { config: Box::new(config.clone()), renew: true, reply };
        // A task that is gone has no server.
        let _ = server.commands.send(command).await;
        self.context.routes_changed.notify_one();
        Ok(format!("{name} is {word} until the configuration is read again; the file says what is in force then"))
    }
}
