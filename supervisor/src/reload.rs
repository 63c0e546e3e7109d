//! Reading the configuration again: a bad file changes nothing, a good one only what differs.

use mcproxy_config::{Auth, Config, ConfigDiff, GatewayConfig, diff};
use mcproxy_ipc::{
    LogLevel,
    control::{GatewaySettings, Group, TokenHash},
};
use slog::{debug, error, info, warn};

use crate::{
    config_watch::Fingerprint,
    context::Directory,
    gateway::GatewayCommand,
    server::{self, Command},
    status::{MAX_CONFIG_ERROR, cut},
    supervisor::Supervisor,
};

impl Supervisor {
    /// After news of the watch, which often are none.
    pub(super) async fn reload_if_changed(&mut self) {
        if Fingerprint::of(&self.config_path) == self.fingerprint {
            debug!(self.context.log, "configuration touched, not changed");
            return;
        }
        let _ = self.reload("file changed").await; // it is logged
    }

    /// Reads the file and applies it. Both outcomes are sentences for people.
    pub(super) async fn reload(&mut self, cause: &'static str) -> Result<String, String> {
        self.fingerprint = Fingerprint::of(&self.config_path);
        let new = match self.read_config() {
            Ok(new) => new,
            Err(problems) => {
                for problem in &problems {
                    error!(self.context.log, "configuration rejected, the old one stays in force";
                        "problem" => problem, "cause" => cause);
                }
                let problems = problems.join("\n");
                self.overview
                    .send_modify(|overview| overview.config_error = Some(cut(problems.clone(), MAX_CONFIG_ERROR)));
                return Err(format!("the configuration was not changed:\n{problems}"));
            }
        };
        self.overview.send_modify(|overview| overview.config_error = None);
        let changes = diff(&self.config, &new);
        let said = describe(&changes);
        self.apply(new, &changes).await;
        info!(self.context.log, "configuration read again"; "cause" => cause, "changes" => &said);
        Ok(said)
    }

    fn read_config(&self) -> Result<Config, Vec<String>> {
        let mut new = load(&self.config_path)?;
        let (host, port) = self.address;
        new.override_listen(host, port).map_err(|error| vec![error.to_string()])?;
        let too_long = new.servers.iter().filter_map(|server| self.context.paths.check(&server.name).err());
        let too_long: Vec<String> = too_long.map(|error| error.to_string()).collect();
        if too_long.is_empty() { Ok(new) } else { Err(too_long) }
    }

    async fn apply(&mut self, new: Config, changes: &ConfigDiff) {
        let old: Directory = self.directory.borrow().clone();
        for name in &changes.removed {
            if let Some(handle) = old.iter().find(|server| server.name == *name) {
                // A task that is gone has nothing to leave.
                let _ = handle.commands.send(Command::Leave).await;
                self.leaving.push(handle.clone());
            }
        }
        let mut directory = Vec::with_capacity(new.servers.len());
        for config in &new.servers {
            let known = old.iter().find(|server| server.name == config.name);
            let change = changes.changed.iter().find(|change| change.name == config.name);
            let handle = match known {
                Some(handle) => handle.clone(),
                None => {
                    let predecessor = self.predecessor(&config.name);
                    server::spawn(config.clone(), predecessor, &self.context, &mut self.servers)
                }
            };
            if let Some(change) = change {
                let config = Box::new(config.clone());
                let _ = handle.commands.send(Command::Configure { config, renew: change.needs_new_worker }).await;
            }
            directory.push(handle);
        }
        self.directory.send_replace(directory.into());
        self.context.routes_changed.notify_one();
        if changes.listen_changed {
            warn!(self.context.log, "`listen` changed; that needs a restart of MCProxy";
                "old" => %self.config.listen, "new" => %new.listen);
        }
        let level = self.fixed_level.unwrap_or(new.log_level);
        self.level.set(level);
        if changes.gateway_changed || changes.supervisor_changed {
            let settings = Box::new(gateway_settings(&new.gateway, level));
            let _ = self.gateway.send(GatewayCommand::Configure(settings)).await;
        }
        self.config = new;
    }
}

/// Reads the file; every problem is one line.
pub(crate) fn load(path: &std::path::Path) -> Result<Config, Vec<String>> {
    Config::load(path, &|name| std::env::var(name).ok()).map_err(|error| {
        let mut text = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            text = format!("{text}: {source}");
        }
        text.lines().map(str::to_owned).collect()
    })
}

/// What the gateway is told of the configuration.
pub(crate) fn gateway_settings(config: &GatewayConfig, log_level: LogLevel) -> GatewaySettings {
    let tokens = match &config.auth {
        Auth::Unspecified | Auth::None => None,
        Auth::Tokens(tokens) => {
            Some(tokens.iter().map(|token| TokenHash { name: token.name.clone(), sha256: token.sha256 }).collect())
        }
    };
    let group = |group: &mcproxy_config::Group| Group { name: group.name.to_string(), servers: group.servers.clone() };
    GatewaySettings {
        list_wait: config.list_wait,
        allowed_hosts: config.allowed_hosts.clone(),
        allowed_origins: config.allowed_origins.clone(),
        tokens,
        groups: config.groups.iter().map(group).collect(),
        max_body_bytes: config.max_body,
        max_sessions: config.max_sessions,
        max_sessions_per_token: config.max_sessions_per_token,
        session_idle: config.session_idle,
        replay_events: config.replay_events,
        replay_bytes: config.replay_bytes,
        replay_total: config.replay_total,
        stream_time: config.stream_time,
        log_level,
        log_calls: config.log_calls,
    }
}

fn describe(changes: &ConfigDiff) -> String {
    if changes.is_empty() {
        return "nothing changed".to_owned();
    }
    let names = |label: &str, names: Vec<&str>| (!names.is_empty()).then(|| format!("{label} {}", names.join(", ")));
    let flag = |set: bool, text: &str| set.then(|| text.to_owned());
    let parts = [
        names("added", changes.added.iter().map(|name| name.as_str()).collect()),
        names("removed", changes.removed.iter().map(|name| name.as_str()).collect()),
        names("changed", changes.changed.iter().map(|change| change.name.as_str()).collect()),
        flag(changes.reordered, "another order"),
        flag(changes.gateway_changed, "gateway settings"),
        flag(changes.supervisor_changed, "logging or grace"),
        flag(changes.listen_changed, "`listen` (needs a restart)"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::ServerName;

    use super::*;

    #[test]
    fn a_reload_says_what_it_changed() {
        let name = |text: &str| ServerName::try_from(text).expect("valid");
        let changes = ConfigDiff { added: vec![name("a"), name("b")], listen_changed: true, ..ConfigDiff::default() };
        assert_eq!(describe(&changes), "added a, b; `listen` (needs a restart)");
        assert_eq!(describe(&ConfigDiff::default()), "nothing changed");
    }
}
