//! One server of the file, checked.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcproxy_ipc::{
    CallTimeouts, CatalogueKey, ClientFeatures, EraRule, Generation, InstanceRules, Instances, LaunchSpec, Secret,
    ServerLimits, ServerName, ToolRules, WorkerSpec, data::ServerEra,
};
use sha2::{Digest, Sha256};

use crate::interpolate::Expanded;
use crate::raw::{
    RawClientFeature, RawEra, RawInstances, RawOnChange, RawServer, RawServerLimits, RawSettings, RawStart, RawTools,
};
use crate::report::Report;
use crate::size::{self, MAX_SERVER_BYTES};
use crate::tree::Node;

/// A server and all that is needed to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Its name.
    pub name: ServerName,
    /// Whether it is wanted up.
    pub enabled: bool,
    /// The command as written in the file, for people; references in it are not replaced.
    pub command: String,
    /// How to start it, or why that is impossible.
    pub launch: Launch,
    /// From the start of the command until it must be ready.
    pub start_timeout: Duration,
    /// When it is started.
    pub start: Start,
    /// How long a call may take.
    pub timeouts: CallTimeouts,
    /// What it may ask its clients for, where that is said.
    pub features: Option<ClientFeatures>,
    /// Which revisions of MCP are spoken to it.
    pub era: Era,
    /// After how long its lists are asked for again, if it does not announce changes; `None`: never.
    pub list_ttl: Option<Duration>,
    /// How sessions share it.
    pub instances: Instances,
    /// What follows when it ends.
    pub restart: RestartPolicy,
    /// How another configuration of it is put in force.
    pub on_change: OnChange,
    /// Which tools are offered, and how.
    pub tools: ToolRules,
    /// What it may send or keep busy.
    pub limits: ServerLimits,
}

/// Whether a server can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launch {
    /// With this command.
    Ready(LaunchSpec),
    /// Not until the environment of MCProxy changes.
    Blocked(Blocked),
}

/// Environment variables that a server's entry refers to and that are not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", reason(variables))]
pub struct Blocked {
    /// Their names; at least one.
    pub variables: Vec<String>,
}

/// When a server is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With MCProxy, and again whenever it ended.
    Eager,
    /// By its first call.
    Lazy {
        /// It is ended after so long without one; `None`: never.
        idle_timeout: Option<Duration>,
    },
}

impl Start {
    /// After how long without a call a server is ended.
    pub fn idle_timeout(self) -> Option<Duration> {
        match self {
            Self::Eager => None,
            Self::Lazy { idle_timeout } => idle_timeout,
        }
    }
}

/// Which revisions of MCP are spoken to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// What the server answers to.
    Auto,
    /// Those that begin with `initialize`.
    Legacy,
    /// 2026-07-28.
    Modern,
}

impl Era {
    /// How a worker begins with a server of which this is known.
    pub fn rule(self, known: Option<ServerEra>) -> EraRule {
        match self {
            Self::Auto => EraRule::Auto { known },
            Self::Legacy => EraRule::Only(ServerEra::Legacy),
            Self::Modern => EraRule::Only(ServerEra::Modern),
        }
    }
}

/// How another configuration of a server is put in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnChange {
    /// The new incarnation has to be ready before the old one is let go.
    Swap,
    /// The old one ends first: the server cannot exist twice.
    Restart,
}

/// What follows when a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Before the first restart; doubled for each further one.
    pub initial_delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
    /// After this long in health the delay starts anew.
    pub healthy_after: Duration,
    /// Restarts in a row before giving up; `None` for never.
    pub max_attempts: Option<u32>,
}

impl ServerConfig {
    /// What a worker is told to run one incarnation of this server; `data_socket` is `None` by hand.
    pub fn worker_spec(&self, generation: Generation, data_socket: Option<PathBuf>) -> Result<WorkerSpec, Blocked> {
        match &self.launch {
            Launch::Blocked(blocked) => Err(blocked.clone()),
            Launch::Ready(launch) => Ok(WorkerSpec {
                server: self.name.clone(),
                generation,
                launch: launch.clone(),
                start_timeout: self.start_timeout,
                timeouts: self.timeouts,
                features: self.features,
                era: self.era.rule(None),
                idle_timeout: self.start.idle_timeout(),
                list_ttl: self.list_ttl,
                limits: self.limits,
                instances: self.instances,
                data_socket,
                cgroup: None,
                catalogue_file: None,
            }),
        }
    }

    /// What its kept catalogue belongs to; `None` while it cannot be started. The values of variables are no part of it:
    /// they are renewed more often than they change what a server offers.
    pub fn catalogue_key(&self) -> Option<CatalogueKey> {
        let Launch::Ready(launch) = &self.launch else { return None };
        let mut digest = Sha256::new();
        // With its length, so that no part can pass for two.
        let mut part = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        };
        part(launch.program.as_bytes());
        part(&launch.args.len().to_be_bytes());
        launch.args.iter().for_each(|arg| part(arg.expose().as_bytes()));
        launch.env.iter().for_each(|(name, _)| part(name.as_bytes()));
        part(launch.cwd.as_deref().map_or(&[], |cwd| cwd.as_os_str().as_encoded_bytes()));
        let digest: [u8; 32] = digest.finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Some(CatalogueKey(key))
    }

    /// Makes a relative working directory start from the directory of the file.
    pub(crate) fn resolve_cwd(&mut self, base: &Path) {
        if let Launch::Ready(LaunchSpec { cwd: Some(cwd), .. }) = &mut self.launch {
            *cwd = base.join(&*cwd);
        }
    }
}

pub(crate) fn reason(variables: &[String]) -> String {
    match variables {
        [one] => format!("environment variable {one} is not set"),
        several => format!("environment variables {} are not set", several.join(", ")),
    }
}

/// `node` is the entry with the defaults merged in, `raw` the same as serde read it; `unset` names its unset variables.
pub(crate) fn check(
    name: ServerName,
    raw: RawServer,
    node: &Node,
    unset: Vec<String>,
    report: &mut Report,
) -> ServerConfig {
    let mut checks = Checks { node, report };
    let enabled = checks.enabled(&raw);
    checks.kind(&raw.kind);
    checks.command(&raw.command);
    checks.launch_texts(&raw);
    checks.order("timeout", raw.settings.timeout, &["maxTimeout"], raw.settings.max_timeout);
    let restart = &raw.settings.restart;
    checks.order("initialDelay", restart.initial_delay, &["restart", "maxDelay"], restart.max_delay);
    checks.spare_instances(&raw);
    checks.tools(&raw.settings.tools);
    let tools = tool_rules(&raw.settings.tools);
    let bytes = size::of_server(&raw, &tools);
    if let Some(message) = size::complaint("command, arguments, environment and tool rules", bytes, MAX_SERVER_BYTES) {
        checks.problem(&[], message);
    }
    let command = node.get("command").and_then(Node::text).map_or_else(String::new, |text| text.written.clone());
    let settings = raw.settings;
    let launch = if unset.is_empty() {
        Launch::Ready(LaunchSpec {
            program: raw.command,
            args: raw.args.into_iter().map(Secret::new).collect(),
            env: settings.env.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
            cwd: settings.cwd.map(PathBuf::from),
        })
    } else {
        Launch::Blocked(Blocked { variables: unset })
    };
    ServerConfig {
        name,
        enabled,
        command,
        launch,
        start_timeout: Duration::from_secs_f64(settings.start_timeout),
        start: match settings.start {
            RawStart::Eager => Start::Eager,
            RawStart::Lazy => Start::Lazy { idle_timeout: settings.idle_timeout.map(Duration::from_secs_f64) },
        },
        timeouts: CallTimeouts {
            idle: Duration::from_secs_f64(settings.timeout),
            total: Duration::from_secs_f64(settings.max_timeout.max(settings.timeout)),
            input: Duration::from_secs_f64(settings.input_timeout),
        },
        features: settings.client_features.as_deref().map(client_features),
        era: match settings.era {
            RawEra::Auto => Era::Auto,
            RawEra::Legacy => Era::Legacy,
            RawEra::Modern => Era::Modern,
        },
        list_ttl: settings.list_ttl.filter(|seconds| *seconds > 0.0).map(Duration::from_secs_f64),
        on_change: match settings.on_change {
            RawOnChange::Swap => OnChange::Swap,
            RawOnChange::Restart => OnChange::Restart,
        },
        instances: match settings.instances {
            RawInstances::Shared => Instances::Shared,
            RawInstances::PerSession => Instances::PerSession(InstanceRules {
                max: settings.max_instances as usize,
                prewarm: settings.prewarm as usize,
                idle: settings.idle_timeout.map(Duration::from_secs_f64),
            }),
        },
        restart: RestartPolicy {
            initial_delay: Duration::from_secs_f64(settings.restart.initial_delay),
            max_delay: Duration::from_secs_f64(settings.restart.max_delay.max(settings.restart.initial_delay)),
            healthy_after: Duration::from_secs_f64(settings.restart.healthy_after),
            max_attempts: settings.restart.max_attempts,
        },
        tools,
        limits: server_limits(&settings.limits),
    }
}

fn tool_rules(raw: &RawTools) -> ToolRules {
    let pairs = |map: &BTreeMap<String, String>| map.iter().map(|(tool, new)| (tool.clone(), new.clone())).collect();
    ToolRules {
        allow: raw.allow.clone().unwrap_or_default(),
        deny: raw.deny.clone(),
        rename: pairs(&raw.rename),
        describe: pairs(&raw.describe),
    }
}

fn client_features(raw: &[RawClientFeature]) -> ClientFeatures {
    let has = |feature| raw.contains(&feature);
    ClientFeatures {
        sampling: has(RawClientFeature::Sampling),
        form: has(RawClientFeature::Elicitation),
        url: has(RawClientFeature::ElicitationUrl),
        roots: has(RawClientFeature::Roots),
        ..ClientFeatures::default()
    }
}

fn server_limits(raw: &RawServerLimits) -> ServerLimits {
    // The schema bounds all of them far below `usize::MAX` of any platform.
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    ServerLimits {
        line_bytes: size(raw.max_line),
        tools: size(raw.max_tools),
        catalogue_bytes: size(raw.max_catalogue),
        concurrent_calls: size(raw.max_concurrent),
        memory_bytes: raw.max_memory,
        processes: raw.max_processes,
        pages: size(raw.max_pages),
        garbage_lines: raw.max_garbage,
        stderr_lines: raw.max_stderr,
        write_timeout: Duration::from_secs_f64(raw.write_timeout),
    }
}

/// What the schema cannot say about an entry.
struct Checks<'a> {
    node: &'a Node,
    report: &'a mut Report,
}

impl Checks<'_> {
    fn problem(&mut self, path: &[&str], message: impl Into<String>) {
        let node = self.node.at(path).unwrap_or(self.node);
        // A text that does not exist yet can be neither right nor wrong.
        if node.text().is_some_and(|text| matches!(text.expanded, Expanded::Unset(_))) {
            return;
        }
        self.report.add(node.span.start, message);
    }

    /// `disabled` is the word of other tools; when both are written they must agree.
    fn enabled(&mut self, raw: &RawServer) -> bool {
        let (enabled, disabled) = (self.node.get("enabled"), self.node.get("disabled"));
        // An `enabled` from the defaults stands elsewhere in the file, and the entry's own word wins over it.
        let own = enabled.is_some_and(|node| self.node.span.contains(&node.span.start));
        match disabled {
            Some(_) if own && raw.settings.enabled == raw.disabled => {
                self.problem(&["disabled"], "`disabled` contradicts `enabled`");
                false
            }
            Some(_) => !raw.disabled,
            None => raw.settings.enabled,
        }
    }

    fn kind(&mut self, kind: &str) {
        if !kind.eq_ignore_ascii_case("stdio") {
            self.problem(&["type"], "the only type is `stdio`");
        }
    }

    fn command(&mut self, command: &str) {
        if command.trim().is_empty() {
            self.problem(&["command"], "the command is empty");
        } else if !command.contains('/') && command.contains(char::is_whitespace) {
            self.problem(&["command"], "a command contains no spaces; write its arguments in `args`");
        }
    }

    /// What the operating system cannot pass on.
    fn launch_texts(&mut self, raw: &RawServer) {
        let node = self.node;
        let nul = "a NUL character cannot be passed to a program";
        let args = node.get("args").map(Node::elements).unwrap_or_default();
        let env = node.get("env").map(Node::members).unwrap_or_default();
        let single = [node.get("command"), node.get("cwd")].into_iter().flatten();
        for text in args.iter().chain(env.iter().map(|member| &member.node)).chain(single) {
            if text.text().is_some_and(|text| text.value().contains('\0')) {
                self.report.add(text.span.start, nul);
            }
        }
        for variable in env {
            if variable.key.is_empty() || variable.key.contains(['=', '\0']) {
                self.report
                    .add(variable.key_span.start, "the name of an environment variable is not empty and has no `=`");
            }
        }
        match raw.settings.cwd.as_deref() {
            Some("") => self.problem(&["cwd"], "the working directory is empty; leave the key out instead"),
            Some(cwd) if cwd == "~" || cwd.starts_with("~/") => {
                self.problem(&["cwd"], "`~` is not replaced; write ${HOME}");
            }
            _ => {}
        }
    }

    /// Two durations of which the second must not be shorter. Silent when only defaults disagree with what is written.
    fn order(&mut self, short_key: &str, short: f64, long_path: &[&str], long: f64) {
        if self.node.at(long_path).is_some() && long < short {
            self.problem(long_path, format!("must not be shorter than `{short_key}`, which is {short} seconds"));
        }
    }

    /// Spare instances count. Silent when only a default is too low for what is written.
    fn spare_instances(&mut self, raw: &RawServer) {
        let RawSettings { max_instances, prewarm, .. } = raw.settings;
        if self.node.at(&["prewarm"]).is_some() && prewarm > max_instances {
            self.problem(&["prewarm"], format!("must not be more than `maxInstances`, which is {max_instances}"));
        }
    }

    fn tools(&mut self, raw: &RawTools) {
        let mut taken = HashSet::new();
        for (old, new) in &raw.rename {
            let twice = !taken.insert(new);
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
            if new.is_empty() || new.len() > 128 || !new.chars().all(fits) {
                let message = "a tool's name is 1 to 128 letters, digits, `_`, `-`, `.` or `/`";
                self.problem(&["tools", "rename", old], message);
            } else if twice {
                self.problem(&["tools", "rename", old], "another tool gets the same name");
            }
        }
        for list in ["allow", "deny"] {
            let patterns = self.node.at(&["tools", list]).map(Node::elements).unwrap_or_default();
            for pattern in patterns.iter().filter(|node| node.text().is_some_and(|text| text.value().is_empty())) {
                self.report.add(pattern.span.start, "an empty pattern matches no tool");
            }
        }
    }
}
