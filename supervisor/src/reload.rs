//! Reading the configuration again: a bad file changes nothing, a good one only what differs.

use std::{net::SocketAddr, time::Instant};

use mcproxy_config::{Config, ConfigDiff, diff};
use mcproxy_ipc::{ConfigSource, LogLevel, ServerName, control::GatewaySettings};
use slog::{debug, error, info, warn};
use tokio::sync::oneshot;

use crate::{
    bounded_text::{MAX_CONFIG_ERROR, cut},
    config_file::ConfigReading,
    config_problems,
    context::Directory,
    gateway::GatewayCommand,
    reload_report::{self, Touched},
    sentences::sentences,
    server::{self, ChangeState, ServerCommand},
    supervisor::Supervisor,
};

/// Outcomes of reloads that are waited for at once; further requests are answered without one.
const MAX_OUTCOMES: usize = 16;
/// Causes of readings that wait; who comes then is told to come back.
const MAX_CAUSES: usize = 16;

/// Why the file is read again.
#[derive(Debug)]
pub(super) enum Cause {
    /// It is another one.
    FileChanged,
    /// SIGHUP.
    Hangup,
    /// A person who waits for the outcome, in a sentence.
    Operator(oneshot::Sender<Result<String, String>>),
}

impl Cause {
    fn word(&self) -> &'static str {
        match self {
            Self::FileChanged => "file changed",
            Self::Hangup => "SIGHUP",
            Self::Operator(_) => "operator",
        }
    }

    /// Whether a person asked for it, who then also wants what failed to be tried again.
    fn is_wish(&self) -> bool {
        matches!(self, Self::Hangup | Self::Operator(_))
    }

    fn answer(self, outcome: Result<String, String>) {
        if let Self::Operator(reply) = self {
            // The caller may have left.
            let _ = reply.send(outcome);
        }
    }
}

/// How a reload ended.
#[derive(Debug)]
pub(super) struct ReloadOutcome {
    cause: Cause,
    /// For who asked: what has changed, or what is not as the file says.
    answer: Result<String, String>,
}

impl Supervisor {
    /// Has the file read beside this task; [`Supervisor::take`] goes on with what it says. Causes that come meanwhile have a reading of
    /// their own each: the file may have changed since the one before began.
    pub(super) fn read(&mut self, cause: Cause) {
        let is_news = matches!(cause, Cause::FileChanged);
        // One that has not begun will see it.
        if is_news && self.causes.iter().skip(1).any(|cause| matches!(cause, Cause::FileChanged)) {
            return;
        }
        if !is_news {
            self.service_manager.reloading();
        }
        if self.causes.len() >= MAX_CAUSES {
            let answer = Err("the configuration is being read for others; try again".to_owned());
            return self.is_over(ReloadOutcome { cause, answer });
        }
        self.causes.push_back(cause);
        self.read_next();
    }

    fn read_next(&mut self) {
        if self.readings.is_empty() && !self.causes.is_empty() {
            self.readings.spawn(self.file.clone().read());
        }
    }

    /// Puts in force what the file says. The outcome is logged, and told to the operator that waits for it.
    pub(super) async fn take(&mut self, reading: ConfigReading) {
        if let Some(cause) = self.causes.pop_front() {
            // The watch often reports a file that has not changed.
            if matches!(cause, Cause::FileChanged) && reading.fingerprint == self.fingerprint {
                debug!(self.context.log, "configuration touched, not changed");
            } else {
                if matches!(cause, Cause::FileChanged) {
                    self.service_manager.reloading();
                }
                if let Some(outcome) = self.put_in_force(reading, cause).await {
                    self.is_over(outcome);
                }
            }
        }
        self.read_next();
    }

    /// A reload is over: the service manager is told, and then whoever waits for it.
    pub(super) fn is_over(&mut self, ReloadOutcome { cause, answer }: ReloadOutcome) {
        self.service_manager.reloaded(&self.context, Instant::now());
        cause.answer(answer);
    }

    /// Returns how it ended, unless it goes on beside this task.
    async fn put_in_force(&mut self, reading: ConfigReading, cause: Cause) -> Option<ReloadOutcome> {
        self.fingerprint = reading.fingerprint;
        let (mut new, mistakes) = match self.overrides.applied(reading.config) {
            Ok(mut new) => {
                let mistakes = config_problems::keep_earlier(&mut new, &self.config);
                (new, mistakes.join("\n"))
            }
            Err(problems) => {
                let answer = Err(self.rejected(&problems, cause.word()));
                return Some(ReloadOutcome { cause, answer });
            }
        };
        let changes = diff(&self.config, &new);
        if changes.listen_changed
            && let Err(error) = self.listen(new.listen).await
        {
            let answer = Err(self.rejected(&[error], cause.word()));
            return Some(ReloadOutcome { cause, answer });
        }
        let said = describe(&changes);
        config_problems::log(&new.problems, &self.context.log);
        let mut warnings = config_problems::told(&new.problems);
        warnings.extend(changes.needs_restart.iter().map(|key| read_at_start(key)));
        // What runs is as it was started, and so is the next comparison.
        (new.hardening, new.isolation) = (self.config.hardening, self.config.isolation);
        for key in &changes.needs_restart {
            warn!(self.context.log, "a changed key is in force after a restart of MCProxy"; "key" => *key);
        }
        let error = (!mistakes.is_empty()).then(|| cut(mistakes.clone(), MAX_CONFIG_ERROR));
        if let Some(content) = reading.content.filter(|_| !config_problems::has_mistakes(&new.problems)) {
            self.last_good.keep(content);
        }
        self.overview.send_modify(|overview| {
            overview.config_source = ConfigSource::File;
            overview.config_error = error;
            overview.config_warnings = warnings;
        });
        let touched = self.apply(new, &changes, cause.is_wish()).await;
        info!(self.context.log, "configuration read again"; "cause" => cause.word(), "changes" => &said);
        let (listen, servers) = (self.overview.borrow().listen.clone(), self.config.servers.len());
        let has_mistakes = !mistakes.is_empty();
        let tell = move |troubled: &[ServerName]| {
            let mut sentences = sentences(&changes, &listen, servers, troubled);
            if has_mistakes {
                let kept = "These entries have mistakes, and what they said before stays in force:";
                sentences.push(format!("{kept}\n{mistakes}"));
            }
            sentences.join("\n")
        };
        let answer = move |told: String| if has_mistakes { Err(told) } else { Ok(told) };
        if touched.is_empty() || self.outcomes.len() >= MAX_OUTCOMES {
            let answer = answer(tell(&[]));
            return Some(ReloadOutcome { cause, answer });
        }
        let log = self.context.log.clone();
        self.outcomes.spawn(async move {
            let troubles = reload_report::collect(touched).await;
            if troubles.is_empty() {
                info!(log, "changed configuration is in force"; "changes" => &said);
                let answer = answer(tell(&[]));
                return ReloadOutcome { cause, answer };
            }
            let (troubled, sentences): (Vec<_>, Vec<_>) = troubles.into_iter().unzip();
            let sentences = sentences.join("\n");
            warn!(log, "changed configuration is in force in part"; "changes" => &said, "outcome" => &sentences);
            let answer = Err(format!("{}\n{sentences}", tell(&troubled)).trim().to_owned());
            ReloadOutcome { cause, answer }
        });
        None
    }

    /// Has clients accepted at another address from now on. The one thing of a reload that can fail: so it comes first.
    async fn listen(&self, address: SocketAddr) -> Result<(), String> {
        let (reply, bound) = oneshot::channel();
        let _ = self.gateway.send(GatewayCommand::Listen { address, reply }).await;
        let bound = bound.await.map_err(|_| "MCProxy is being stopped".to_owned())?;
        let bound = bound.map_err(|error| with_source(&error))?;
        info!(self.context.log, "listening"; "url" => format!("http://{bound}/mcp"));
        self.overview.send_modify(|overview| overview.listen = bound.to_string());
        Ok(())
    }

    fn rejected(&self, problems: &[String], cause: &'static str) -> String {
        for problem in problems {
            error!(self.context.log, "configuration rejected, the old one stays in force";
                "problem" => problem, "cause" => cause);
        }
        let problems = problems.join("\n");
        self.overview.send_modify(|overview| overview.config_error = Some(cut(problems.clone(), MAX_CONFIG_ERROR)));
        format!("the configuration was not changed:\n{problems}")
    }

    /// Returns the servers that have something to start or stop now. `again`: also those whose last change did not work.
    async fn apply(&mut self, new: Config, changes: &ConfigDiff, again: bool) -> Vec<Touched> {
        let old: Directory = self.directory.borrow().clone();
        for name in &changes.removed {
            if let Some(handle) = old.iter().find(|server| server.name == *name) {
                // A task that is gone has nothing to leave.
                let _ = handle.commands.send(ServerCommand::Leave).await;
                self.removed_servers.leaves(handle.clone());
            }
        }
        self.context.users.expect(&new.servers);
        let mut touched = Vec::new();
        let mut directory = Vec::with_capacity(new.servers.len());
        for config in &new.servers {
            let known = old.iter().find(|server| server.name == config.name);
            let change = changes.changed.iter().find(|change| change.name == config.name);
            let handle = match known {
                Some(handle) => handle.clone(),
                None => {
                    let before = self.removed_servers.before(&config.name);
                    let handle = server::spawn(config.clone(), before, &self.context, &mut self.servers);
                    touched.push(Touched::new(&handle, config.start_timeout, None));
                    handle
                }
            };
            let failed = matches!(handle.snapshot.borrow().change, Some(ChangeState::Failed(_)));
            let renew = change.is_some_and(|change| change.needs_new_worker) || (again && failed);
            if change.is_some() || renew {
                let (reply, heard) = oneshot::channel();
                let config_of = Box::new(config.clone());
                let _ = handle.commands.send(ServerCommand::Configure { config: config_of, renew, reply }).await;
                if renew {
                    touched.push(Touched::new(&handle, config.start_timeout, Some(heard)));
                }
            }
            directory.push(handle);
        }
        self.directory.send_replace(directory.into());
        self.context.routes_changed.notify_one();
        let level = self.fixed_level.unwrap_or(new.gateway.log_level);
        self.level.set(level);
        if changes.gateway_changed || changes.supervisor_changed {
            let settings = Box::new(gateway_settings(&new, level));
            let _ = self.gateway.send(GatewayCommand::Configure { settings, audit: new.audit.clone() }).await;
        }
        if let Some(state) = &self.state {
            state.keep_only(&new.servers);
        }
        self.config = new;
        touched
    }
}

/// What a status shows until MCProxy is started again.
fn read_at_start(key: &str) -> String {
    format!("`{key}` has changed; it is read when MCProxy starts, so restart MCProxy to put it in force")
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// The settings for the gateway: those of the file, with the level in force.
pub(crate) fn gateway_settings(config: &Config, log_level: LogLevel) -> GatewaySettings {
    GatewaySettings { log_level, ..config.gateway.clone() }
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
        flag(changes.listen_changed, "`listen`"),
        (!changes.needs_restart.is_empty()).then(|| format!("{} after a restart", changes.needs_restart.join(", "))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_says_what_it_changed() {
        let name = |text: &str| ServerName::try_from(text).expect("valid");
        let changes = ConfigDiff { added: vec![name("a"), name("b")], listen_changed: true, ..ConfigDiff::default() };
        assert_eq!(describe(&changes), "added a, b; `listen`");
        assert_eq!(describe(&ConfigDiff::default()), "nothing changed");
    }
}
