//! The whole file, checked.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcproxy_ipc::{LogLevel, ServerName};

use crate::auth::Auth;
use crate::gateway::{self, GatewayConfig};
use crate::interpolate::Lookup;
use crate::listen;
use crate::problem::{Problems, printable};
use crate::raw::{RawConfig, RawLevel, RawServer};
use crate::report::Report;
use crate::server::{self, ServerConfig};
use crate::shape::Shape;
use crate::size::{self, MAX_GATEWAY_BYTES, MAX_RULES_BYTES, MAX_SERVERS};
use crate::text::{self, MAX_FILE};
use crate::tree::{self, Member, Node, Value};
use crate::{schema, unavailable};

/// The name of the built-in server.
pub const RESERVED_NAME: &str = "mcproxy";

/// A configuration in which everything has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The servers in the order of the file, the disabled ones included.
    pub servers: Vec<ServerConfig>,
    /// Where the gateway listens.
    pub listen: SocketAddr,
    /// What the gateway is told.
    pub gateway: GatewayConfig,
    /// The least severe level that is logged.
    pub log_level: LogLevel,
    /// How long calls in flight get when everything stops.
    pub shutdown_grace: Duration,
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
    "{0} can be reached from other machines, so `auth` must say who may call; write \"auth\": \"none\" to go without"
)]
pub struct Exposed(pub IpAddr);

impl Config {
    /// Reads the text of a file. `env` looks environment variables up; nothing else is read.
    pub fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let text = text::without_mark(text);
        text::check_bounds(text)?;
        let mut report = Report::default();
        let root = tree::parse(text, env as Lookup<'_>, &mut report);
        let config = root.as_ref().and_then(|root| read(root, &mut report));
        match config {
            Some(config) if report.is_empty() => Ok(config),
            _ => Err(report.into_problems(text, root.as_ref())),
        }
    }

    /// Reads a file; relative working directories start from its directory.
    pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, LoadError> {
        let unreadable = |source| LoadError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let bound = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
        File::open(path).and_then(|file| file.take(bound).read_to_end(&mut bytes)).map_err(unreadable)?;
        let text = text::decode(&bytes).map_err(|problem| Problems::from(problem).in_file(path))?;
        let mut config = Self::parse(text, env).map_err(|problems| problems.in_file(path))?;
        let directory = path.parent().unwrap_or_else(|| Path::new(""));
        let base = std::path::absolute(directory.join(".")).map_err(unreadable)?;
        config.servers.iter_mut().for_each(|server| server.resolve_cwd(&base));
        Ok(config)
    }

    /// The server of that name.
    pub fn server(&self, name: &str) -> Option<&ServerConfig> {
        self.servers.iter().find(|server| server.name.as_str() == name)
    }

    /// Puts another address in the place of the file's, as `--host` and `--port` do.
    pub fn override_listen(&mut self, host: Option<IpAddr>, port: Option<u16>) -> Result<(), Exposed> {
        let address = SocketAddr::new(host.unwrap_or(self.listen.ip()), port.unwrap_or(self.listen.port()));
        check_exposure(address, &self.gateway.auth)?;
        self.listen = address;
        Ok(())
    }
}

fn check_exposure(address: SocketAddr, auth: &Auth) -> Result<(), Exposed> {
    match auth {
        Auth::Unspecified if !address.ip().to_canonical().is_loopback() => Err(Exposed(address.ip())),
        _ => Ok(()),
    }
}

/// Reports everything that is wrong with the tree; `None` when too little of it is left to go on.
fn read(root: &Node, report: &mut Report) -> Option<Config> {
    let schema = schema();
    let mut kept = root.clone();
    drop_remote(&mut kept, report);
    let usable = Shape { root: &schema, report: &mut *report }.keep(&mut kept, &schema, "");
    if !usable {
        return None;
    }
    report_unset(root, report);
    if let Some(defaults) = kept.get("defaults").cloned() {
        entries_mut(&mut kept).for_each(|entry| entry.merge_defaults(&defaults));
    }
    let Ok(raw) = serde_json::from_value::<RawConfig>(kept.to_json()) else {
        // The schema comes from the same types, so what fits the one fits the other.
        report.add(
            root.span.start,
            "this configuration has the right shape and still cannot be read; please report this",
        );
        return None;
    };
    let listen_at = root.get("listen").map_or(root.span.start, |node| node.span.start);
    let listen = listen::parse(&raw.gateway.listen);
    if let Err(error) = &listen
        && root.get("listen").is_none_or(|node| !node.lacks_text())
    {
        report.add(listen_at, error.to_string());
    }
    let log_level = level(raw.gateway.logging.level);
    let shutdown_grace = Duration::from_secs_f64(raw.gateway.shutdown_grace);
    let gateway = gateway::check(raw.gateway, &kept, &mentioned(root), report);
    let written = Written::of(root);
    let servers = Entries { kept: &kept, written, report }.check(raw.servers, raw.mcp_servers);
    report_size(&servers, &gateway, root.span.start, report);
    let listen = listen.ok()?;
    // With a faulty `auth` there is something to repair there first.
    if kept.get("auth").is_some() == root.get("auth").is_some()
        && let Err(error) = check_exposure(listen, &gateway.auth)
    {
        report.add(listen_at, error.to_string());
    }
    Some(Config { servers, listen, gateway, log_level, shutdown_grace })
}

/// What each server alone cannot break.
fn report_size(servers: &[ServerConfig], gateway: &GatewayConfig, at: usize, report: &mut Report) {
    if servers.len() > MAX_SERVERS {
        report.add(at, format!("{} servers are configured; at most {MAX_SERVERS} are supported", servers.len()));
    }
    let rules = servers.iter().map(|server| size::of_rules(&server.tools)).sum();
    let complaints = [
        size::complaint("the tool rules of all servers", rules, MAX_RULES_BYTES),
        size::complaint("groups, hosts, origins and tokens", size::of_gateway(gateway), MAX_GATEWAY_BYTES),
    ];
    complaints.into_iter().flatten().for_each(|complaint| report.add(at, complaint));
}

fn level(raw: RawLevel) -> LogLevel {
    match raw {
        RawLevel::Error => LogLevel::Error,
        RawLevel::Warn => LogLevel::Warn,
        RawLevel::Info => LogLevel::Info,
        RawLevel::Debug => LogLevel::Debug,
        RawLevel::Trace => LogLevel::Trace,
    }
}

/// Takes out the servers that cannot be started whatever else their entries say.
fn drop_remote(root: &mut Node, report: &mut Report) {
    if let Some(Node { value: Value::Array(entries), .. }) = root.get_mut("servers") {
        entries.retain(|entry| !unavailable::is_remote(entry, report));
    }
    if let Some(Node { value: Value::Object(entries), .. }) = root.get_mut("mcpServers") {
        entries.retain(|entry| !unavailable::is_remote(&entry.node, report));
    }
}

fn entries_mut(root: &mut Node) -> impl Iterator<Item = &mut Node> {
    let Value::Object(members) = &mut root.value else { return Vec::new().into_iter() };
    let entries: Vec<&mut Node> = members
        .iter_mut()
        .flat_map(|member| match (member.key.as_str(), &mut member.node.value) {
            ("servers", Value::Array(entries)) => entries.iter_mut().collect::<Vec<_>>(),
            ("mcpServers", Value::Object(entries)) => entries.iter_mut().map(|entry| &mut entry.node).collect(),
            _ => Vec::new(),
        })
        .collect();
    entries.into_iter()
}

/// An unset variable outside the servers leaves nobody to block, so it is a problem.
fn report_unset(root: &Node, report: &mut Report) {
    let gateway = |member: &&Member| !matches!(member.key.as_str(), "servers" | "mcpServers" | "defaults");
    for member in root.members().iter().filter(gateway) {
        member.node.each_unset(&mut |node, names| {
            if !names.is_empty() {
                report.add(node.span.start, server::reason(names));
            }
        });
    }
}

/// Every name that the file gives to a server, rightly or not.
fn mentioned(root: &Node) -> HashSet<String> {
    let list = root.get("servers").map(Node::elements).unwrap_or_default();
    let list = list.iter().filter_map(|entry| Some(entry.get("name")?.text()?.written.clone()));
    let map = root.get("mcpServers").map(Node::members).unwrap_or_default();
    list.chain(map.iter().map(|member| member.key.clone())).collect()
}

/// The entries as written, by where they begin: what does not fit the schema is still among them.
struct Written<'a> {
    entries: HashMap<usize, &'a Node>,
    defaults: Option<&'a Node>,
}

impl<'a> Written<'a> {
    fn of(root: &'a Node) -> Self {
        let list = root.get("servers").map(Node::elements).unwrap_or_default().iter();
        let map = root.get("mcpServers").map(Node::members).unwrap_or_default().iter().map(|member| &member.node);
        let entries = list.chain(map).map(|entry| (entry.span.start, entry)).collect();
        Self { entries, defaults: root.get("defaults") }
    }

    /// The unset variables of an entry and of the defaults that reach it. Its description is for people only.
    fn unset(&self, entry: &Node) -> Vec<String> {
        let mut whole = self.entries.get(&entry.span.start).map_or_else(|| entry.clone(), |node| (*node).clone());
        if let Some(defaults) = self.defaults {
            whole.merge_defaults(defaults);
        }
        if let Value::Object(members) = &mut whole.value {
            members.retain(|member| !matches!(member.key.as_str(), "name" | "description"));
        }
        whole.unset()
    }
}

/// The servers of both shapes.
struct Entries<'a> {
    kept: &'a Node,
    written: Written<'a>,
    report: &'a mut Report,
}

impl Entries<'_> {
    fn check(
        mut self,
        list: Vec<crate::raw::RawEntry>,
        mut map: std::collections::BTreeMap<String, RawServer>,
    ) -> Vec<ServerConfig> {
        let kept = self.kept;
        let mut list = list.into_iter();
        let mut servers = Vec::new();
        let mut names = HashSet::new();
        for member in kept.members() {
            match member.key.as_str() {
                "servers" => {
                    for (node, raw) in member.node.elements().iter().zip(list.by_ref()) {
                        let (name, at) = match node.get("name") {
                            Some(Node { span, value: Value::String(text) }) => (text.written.as_str(), span.start),
                            _ => continue,
                        };
                        servers.extend(self.server(name, at, raw.server, node, &mut names));
                    }
                }
                "mcpServers" => {
                    for entry in member.node.members() {
                        let Some(raw) = map.remove(&entry.key) else { continue };
                        servers.extend(self.server(&entry.key, entry.key_span.start, raw, &entry.node, &mut names));
                    }
                }
                _ => {}
            }
        }
        servers
    }

    fn server(
        &mut self,
        name: &str,
        at: usize,
        raw: RawServer,
        node: &Node,
        names: &mut HashSet<ServerName>,
    ) -> Option<ServerConfig> {
        let name = match ServerName::try_from(name) {
            Err(error) => {
                self.report.add(at, format!("`{}` is no name: {error}", printable(name)));
                None
            }
            Ok(name) if name.as_str() == RESERVED_NAME => {
                self.report.add(at, "`mcproxy` is the name of the built-in server; choose another");
                None
            }
            Ok(name) if !names.insert(name.clone()) => {
                self.report.add(at, format!("another server is named `{name}`"));
                None
            }
            Ok(name) => Some(name),
        };
        let unset = self.written.unset(node);
        // Without a name the rest is checked all the same, for its problems.
        let stand_in = || ServerName::try_from("unnamed").ok();
        let server = server::build(name.clone().or_else(stand_in)?, raw, node, unset, self.report);
        name.map(|_| server)
    }
}
