//! An installation of MetaMCP, whichever files it was read from.

use std::collections::BTreeMap;

use super::report::{ImportReport, Weight};

/// All that is known of an installation.
#[derive(Debug, Default)]
pub(super) struct Installation {
    pub(super) servers: Vec<ImportedServer>,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) endpoints: Vec<MetaEndpoint>,
    pub(super) keys: Vec<ApiKey>,
    /// Settings of the table `config`.
    pub(super) settings: BTreeMap<String, String>,
    /// The environment of its container, where values of servers may refer to.
    pub(super) environment: BTreeMap<String, String>,
    /// The address under which its web interface says that it is reached.
    pub(super) app_url: Option<String>,
    /// Where its port is published on the host.
    pub(super) published: Option<Published>,
    /// Whether a dump of its database was read: then what is not there is not there.
    pub(super) from_database: bool,
    /// Whether a list of variables was read.
    pub(super) from_variables: bool,
    /// Lists of variables that a unit names.
    pub(super) named_variables: Vec<String>,
    /// Whether its environment names keys, whose values are in the database.
    pub(super) names_keys: bool,
}

/// A row, as others refer to it: by its id where there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RowRef {
    pub(super) uuid: Option<String>,
    pub(super) name: String,
}

impl RowRef {
    /// Whether both mean the same row.
    pub(super) fn means(&self, other: &Self) -> bool {
        match (&self.uuid, &other.uuid) {
            (Some(one), Some(other)) => one == other,
            _ => self.name == other.name,
        }
    }
}

/// A server.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ImportedServer {
    pub(super) id: RowRef,
    pub(super) description: Option<String>,
    pub(super) kind: ServerKind,
    pub(super) command: Option<String>,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) url: Option<String>,
    pub(super) bearer_token: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    /// MetaMCP had given it up.
    pub(super) failed: bool,
    /// Somebody signed in to it by OAuth.
    pub(super) signed_in: bool,
    /// Whose it is; `None`: everyone's.
    pub(super) owner: Option<String>,
    /// The file that it is from.
    pub(super) source: String,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ServerKind {
    Stdio,
    Sse,
    Http,
    /// A word that is none of those.
    Unknown(String),
}

impl ServerKind {
    /// Of the word in a file, in any case and spelling; without one it is a command.
    pub(super) fn of(word: Option<&str>, has_command: bool) -> Self {
        let word = word.map(str::trim).filter(|word| !word.is_empty());
        let Some(word) = word else { return if has_command { Self::Stdio } else { Self::Http } };
        let letters: String = word.chars().filter(char::is_ascii_alphabetic).collect();
        match letters.to_ascii_lowercase().as_str() {
            "stdio" | "std" | "local" | "command" => Self::Stdio,
            "sse" => Self::Sse,
            "http" | "https" | "streamablehttp" | "streamable" => Self::Http,
            _ => Self::Unknown(word.to_owned()),
        }
    }
}

/// A selection of servers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Namespace {
    pub(super) id: RowRef,
    pub(super) owner: Option<String>,
    /// Its servers, and whether each is active.
    pub(super) servers: Vec<(RowRef, bool)>,
    pub(super) tools: Vec<ToolMapping>,
}

/// What a namespace says of one tool.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ToolMapping {
    pub(super) server: RowRef,
    pub(super) tool: String,
    pub(super) active: bool,
    pub(super) name: Option<String>,
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    pub(super) annotations: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A name in URLs, and the namespace behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MetaEndpoint {
    pub(super) name: String,
    pub(super) namespace: RowRef,
    pub(super) owner: Option<String>,
    pub(super) needs_key: bool,
    pub(super) key_in_query: bool,
    pub(super) oauth: bool,
    /// It bounds how often it is called.
    pub(super) has_rate: bool,
}

/// A key of a client.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ApiKey {
    pub(super) name: String,
    pub(super) key: String,
    pub(super) active: bool,
    /// Whose it is; `None`: good for public endpoints only.
    pub(super) owner: Option<String>,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A port of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    /// The address; `None`: all.
    pub(super) address: Option<String>,
    pub(super) port: u16,
}

impl Installation {
    /// Takes a server in. One that several files have is taken from the database, else from the first.
    pub(super) fn add(&mut self, server: ImportedServer, report: &mut ImportReport) {
        let same = |known: &&mut ImportedServer| {
            let both = known.id.uuid.is_some() && server.id.uuid.is_some();
            !both && known.source != server.source && known.id.name == server.id.name
        };
        let Some(known) = self.servers.iter_mut().find(same) else { return self.servers.push(server) };
        let reach = |server: &ImportedServer| {
            (server.kind.clone(), server.command.clone(), server.args.clone(), server.env.clone(), server.url.clone())
        };
        if reach(known) != reach(&server) {
            let from = if server.id.uuid.is_some() { &server.source } else { &known.source };
            let text = format!("{} and {} differ; it is taken from {from}", known.source, server.source);
            report.add(Weight::Note, &server.id.name, text);
        }
        // The database says more of it.
        if server.id.uuid.is_some() {
            *known = server;
        }
    }
}
