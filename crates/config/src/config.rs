//! The whole file, checked.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcproxy_confine::Hardening;
use mcproxy_ipc::control::GatewaySettings;
use mcproxy_ipc::regular_file::{self, Links};

use crate::audit::AuditConfig;
use crate::dialect::{self, Source};
use crate::embeddings;
use crate::gateway;
use crate::interpolate::{EnvLookup, WORKSPACE};
use crate::isolation::{self, IsolationConfig};
use crate::problem::Problems;
use crate::raw::{RawAuth, RawConfig};
use crate::report::{NOT_READABLE, Report};
use crate::server::{Blocked, ServerConfig};
use crate::servers::{ServerEntries, told};
use crate::shape::{ShapeCheck, ShapeLevel};
use crate::size::{self, MAX_GATEWAY_BYTES, MAX_RULES_BYTES, MAX_SERVERS};
use crate::text::{self, MAX_FILE};
use crate::tree::{self, Node};
use crate::{audit, listen, resource_server, schema, secret_file};

/// A configuration in which everything has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The servers in the order of the file, the disabled ones included; last what stands for `search.embeddings` and the issuers
    /// of `auth.oauth`, if there are such.
    pub servers: Vec<ServerConfig>,
    /// Where the gateway listens.
    pub listen: SocketAddr,
    /// `auth` is written out, if only as `none`: then every address may be listened at.
    pub states_auth: bool,
    /// The settings of the gateway, and with them the least severe level that is logged; no server's secret among them.
    pub gateway: GatewaySettings,
    /// The files in which calls are recorded; `None`: none are.
    pub audit: Option<AuditConfig>,
    /// How much of the confinement is wanted.
    pub hardening: Hardening,
    /// The users that the gateway and the servers run as.
    pub isolation: IsolationConfig,
    /// How long calls in flight get when everything stops.
    pub shutdown_grace: Duration,
    /// Mistakes in single servers, and keys that are not understood.
    pub problems: Problems,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file has mistakes; printed, this is one line for each.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

/// An address that other machines reach, and nothing said about who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} can be reached from other machines, so `auth` must say who may call: \"auth\": {{\"tokens\": [{{\"name\": \"laptop\", \"token\": \"${{LAPTOP_TOKEN}}\"}}]}}, where LAPTOP_TOKEN is a variable with a long random value (`openssl rand -hex 32`). Only where every machine that reaches the address may call every tool: \"auth\": \"none\""
)]
pub struct Exposed(pub IpAddr);

impl LoadError {
    /// What to do where there is no file at all, beside naming the one that is meant.
    pub fn help(&self) -> Option<&'static str> {
        let is_missing = matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound);
        is_missing.then_some(
            r#"to begin, write a file with one server, such as {"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}"#,
        )
    }
}

impl Config {
    /// Reads the text of a file. `env` looks environment variables up; nothing else is read.
    pub fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let text = text::without_mark(text);
        text::check_size(text)?;
        let mut report = Report::default();
        let source = Source { text, lookup: env as EnvLookup<'_> };
        let root = tree::parse(text, source.lookup, &mut report);
        let config = root.as_ref().and_then(|root| read(root, source, &mut report));
        let refused = report.is_refused();
        let problems = report.into_problems(text, root.as_ref());
        match config {
            Some(config) if !refused => Ok(Self { problems, ..config }),
            _ => Err(problems),
        }
    }

    /// Reads a file; relative working directories start from its directory.
    pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, LoadError> {
        Self::of_file(&Self::content(path)?, path, env)
    }

    /// The bytes of a file, and of a much too large one so many that it is known to be one. What is no file is an error and
    /// never waited for; a disk is.
    pub fn content(path: &Path) -> Result<Vec<u8>, LoadError> {
        let read = regular_file::open(path, Links::Follow).and_then(bounded);
        read.map_err(|source| LoadError::Read { path: path.to_owned(), source })
    }

    /// The same of something that a person pipes into a command; `path` is what it is called.
    pub fn content_of(input: impl Read, path: &Path) -> Result<Vec<u8>, LoadError> {
        bounded(input).map_err(|source| LoadError::Read { path: path.to_owned(), source })
    }

    /// The part of [`Config::load`] after the file is read.
    pub fn of_file(bytes: &[u8], path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, LoadError> {
        let unreadable = |source| LoadError::Read { path: path.to_owned(), source };
        let text = text::decode(bytes).map_err(|problem| Problems::from(problem).in_file(path))?;
        let directory = path.parent().unwrap_or_else(|| Path::new(""));
        // Without `.` at its end.
        let base: PathBuf = std::path::absolute(directory.join(".")).map_err(unreadable)?.components().collect();
        let with_workspace = |name: &str| match name {
            name if secret_file::is_one(name) => secret_file::read(name, &base, env),
            WORKSPACE => env(name).or_else(|| Some(workspace(&base).to_str()?.to_owned())),
            name => env(name),
        };
        let mut config = Self::parse(text, &with_workspace).map_err(|problems| problems.in_file(path))?;
        config.problems = config.problems.in_file(path);
        config.servers.iter_mut().for_each(|server| server.resolve_paths(&base));
        config.audit.iter_mut().for_each(|audit| audit.resolve_paths(&base));
        Ok(config)
    }

    /// The servers whose entries have mistakes. The others are in force all the same.
    pub fn mistaken(&self) -> impl Iterator<Item = &ServerConfig> {
        self.servers.iter().filter(|server| matches!(server.reach, Err(Blocked::Mistake(_))))
    }

    /// The server of that name.
    pub fn server(&self, name: &str) -> Option<&ServerConfig> {
        self.servers.iter().find(|server| server.name.as_str() == name)
    }

    /// Puts another address in the place of the file's, as `--host` and `--port` do.
    pub fn override_listen(&mut self, host: Option<IpAddr>, port: Option<u16>) -> Result<(), Exposed> {
        let address = SocketAddr::new(host.unwrap_or(self.listen.ip()), port.unwrap_or(self.listen.port()));
        check_exposure(address, self.states_auth)?;
        self.listen = address;
        Ok(())
    }
}

fn bounded(input: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
    input.take(bound).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn check_exposure(address: SocketAddr, states_auth: bool) -> Result<(), Exposed> {
    if states_auth || address.ip().to_canonical().is_loopback() { Ok(()) } else { Err(Exposed(address.ip())) }
}

/// Reports everything that is wrong with the tree; `None` when too little of it is left to go on.
fn read(root: &Node, source: Source<'_>, report: &mut Report) -> Option<Config> {
    let schema = schema();
    let mut kept = root.clone();
    let mut entries = dialect::take_entries(&mut kept, report);
    if entries.len() > MAX_SERVERS {
        let count = entries.len();
        report.add(root.span.start, format!("{count} servers are configured; at most {MAX_SERVERS} are supported"));
        entries.truncate(MAX_SERVERS);
    }
    report_lacks(&kept, report);
    let usable = ShapeCheck { root: &schema, report: &mut *report }.keep_all(&mut kept, &schema, ShapeLevel::File);
    if let Some(defaults) = kept.get_mut("defaults") {
        dialect::translate_settings(defaults, source);
    }
    let defaults = kept.get("defaults").cloned();
    let servers = ServerEntries::read(entries, defaults.as_ref(), &schema, source, root, report);
    if !usable {
        return None;
    }
    let Ok(raw) = serde_json::from_value::<RawConfig>(kept.to_json()) else {
        // The schema comes from the same types, so what fits the one fits the other.
        report.add(root.span.start, NOT_READABLE);
        return None;
    };
    let listen_at = root.get("listen").map_or(root.span.start, |node| node.span.start);
    let listen = listen::parse(&raw.gateway.listen);
    if let Err(error) = &listen
        && root.get("listen").is_none_or(|node| !node.lacks_text())
    {
        report.add(listen_at, error.to_string());
    }
    let isolation = isolation::check(&raw.isolation).unwrap_or_else(|message| {
        let node = root.at(&["isolation", "uids"]).unwrap_or(root);
        if !node.lacks_text() {
            report.add(node.span.start, message);
        }
        IsolationConfig::default()
    });
    let hardening = raw.hardening.level();
    let states_auth = raw.gateway.auth.is_some();
    let shutdown_grace = Duration::from_secs_f64(raw.gateway.shutdown_grace);
    let audit = raw.gateway.audit.as_ref().map(audit::of);
    let embeddings = raw.gateway.search.embeddings.as_ref().map(|raw| embeddings::server(raw, &kept, source, report));
    let authorities = match &raw.gateway.auth {
        Some(RawAuth::Tokens(tokens)) => tokens.oauth.as_ref(),
        Some(RawAuth::Mode(_)) | None => None,
    };
    let authorities = authorities.map(|oauth| resource_server::workers(oauth, &kept, source, report));
    let gateway = gateway::check(raw.gateway, &kept, &servers, report);
    let mut servers = servers.list;
    servers.extend(embeddings);
    servers.extend(authorities.into_iter().flatten());
    report_size(&servers, &gateway, root.span.start, report);
    let listen = listen.ok()?;
    // With a faulty `auth` there is something to repair there first.
    if kept.get("auth").is_some() == root.get("auth").is_some()
        && let Err(error) = check_exposure(listen, states_auth)
    {
        report.add(listen_at, error.to_string());
    }
    let problems = Problems::default();
    Some(Config { servers, listen, states_auth, gateway, audit, hardening, isolation, shutdown_grace, problems })
}

/// The folder that an editor has open when it reads this file: above the folder in which it keeps its own files.
fn workspace(base: &Path) -> &Path {
    const OWN: &[&str] =
        &[".vscode", ".cursor", ".roo", ".kiro", ".gemini", ".windsurf", ".trae", ".vs", ".amazonq", ".qwen", ".zed"];
    let is_own = |path: &Path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| OWN.contains(&name));
    let mut ancestors = base.ancestors();
    // `.kiro/settings/mcp.json` lies one deeper.
    let own = ancestors.by_ref().take(2).find(|path| is_own(path));
    own.and_then(Path::parent).unwrap_or(base)
}

/// Rules that single servers cannot break.
fn report_size(servers: &[ServerConfig], gateway: &GatewaySettings, at: usize, report: &mut Report) {
    let rules = servers
        .iter()
        .map(|server| {
            size::of_rules(&server.tools) + size::of_rates(&server.rates) + size::of_approvals(&server.approvals)
        })
        .sum();
    let complaints = [
        size::complaint("the tool rules of all servers", rules, MAX_RULES_BYTES),
        size::complaint("groups, hosts, origins and tokens", size::of_gateway(gateway), MAX_GATEWAY_BYTES),
    ];
    complaints.into_iter().flatten().for_each(|complaint| report.add(at, complaint));
}

/// A missing text outside the servers leaves nothing to block, so it is a mistake. In the defaults it blocks those who
/// inherit it; keys of other programs are none of our business.
fn report_lacks(root: &Node, report: &mut Report) {
    let ours = [
        "listen",
        "auth",
        "publicUrl",
        "allowedHosts",
        "allowedOrigins",
        "trustedProxies",
        "groups",
        "logging",
        "limits",
        "hardening",
        "isolation",
    ];
    let members = root.members().iter().filter(|member| ours.contains(&member.key.as_str())).map(|member| &member.node);
    // A key that is not set blocks the embeddings, and nothing else.
    let search = root.get("search").and_then(|search| search.get("pin"));
    for node in members.chain(search) {
        node.each_lack(&mut |node, lack| report.add(node.span.start, told(lack)));
    }
}
