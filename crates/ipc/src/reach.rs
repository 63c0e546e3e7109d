//! How a worker reaches its server.
//!
//! To add a way: a variant of [`Reach`], and its arm in each method here. What else reads a reach asks these methods.

use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{OAuthSpec, Secret, ServerTransport};

/// How a worker reaches its server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// The worker starts this command and talks to its standard input and output.
    Command(LaunchSpec),
    /// The server runs elsewhere, and the worker sends it requests over HTTP.
    Http(Box<HttpSpec>),
    /// No server: the worker asks a model elsewhere for the embeddings of texts, and answers the gateway itself.
    Embeddings(Box<EmbeddingsSpec>),
    /// No server: the worker asks an authorization server for its keys and what tokens are worth, and answers the gateway itself.
    Authority(Box<AuthoritySpec>),
}

impl Reach {
    /// The command to start, if the server is started at all.
    pub fn command(&self) -> Option<&LaunchSpec> {
        match self {
            Self::Command(launch) => Some(launch),
            Self::Http(_) | Self::Embeddings(_) | Self::Authority(_) => None,
        }
    }

    /// How the URL is reached that it leads to, if it leads to one.
    pub fn http(&self) -> Option<&HttpSpec> {
        match self {
            Self::Command(_) => None,
            Self::Http(http) => Some(http),
            Self::Embeddings(embeddings) => Some(&embeddings.http),
            Self::Authority(authority) => Some(&authority.http),
        }
    }

    /// By which of MCP's transports.
    pub fn transport(&self) -> ServerTransport {
        match self {
            Self::Command(_) => ServerTransport::Stdio,
            Self::Http(http) if http.dialect == HttpDialect::Sse => ServerTransport::Sse,
            Self::Http(_) | Self::Embeddings(_) | Self::Authority(_) => ServerTransport::Http,
        }
    }

    /// The values that the server's entry lists by name, which may be secrets: for a command, its variables; over HTTP,
    /// its headers.
    pub fn named_values(&self) -> &[(String, Secret)] {
        match self {
            Self::Command(launch) => &launch.env,
            Self::Http(http) => &http.headers,
            Self::Embeddings(embeddings) => &embeddings.http.headers,
            Self::Authority(authority) => &authority.http.headers,
        }
    }

    /// Other values that may be secrets, such as those from MCProxy's environment: to be masked where the server says them.
    pub fn looked_up(&self) -> &[Secret] {
        match self {
            Self::Command(launch) => &launch.looked_up,
            Self::Http(http) => &http.looked_up,
            Self::Embeddings(embeddings) => &embeddings.http.looked_up,
            Self::Authority(authority) => &authority.http.looked_up,
        }
    }

    /// The parts that make the server this one and no other. The values of variables and headers are no part of it: they are renewed
    /// more often than they change what a server offers.
    pub fn identity(&self) -> Vec<Cow<'_, [u8]>> {
        match self {
            Self::Command(LaunchSpec { program, args, env, cwd, .. }) => {
                let mut parts: Vec<Cow<'_, [u8]>> =
                    vec![program.as_bytes().into(), args.len().to_be_bytes().to_vec().into()];
                parts.extend(args.iter().map(|arg| arg.expose().as_bytes().into()));
                parts.extend(env.iter().map(|(name, _)| name.as_bytes().into()));
                parts.push(cwd.as_deref().map_or(&[][..], |cwd| cwd.as_os_str().as_encoded_bytes()).into());
                parts
            }
            Self::Http(http) => {
                let names = http.headers.iter().map(|(name, _)| name.as_bytes().into());
                [Cow::from(&b"http"[..]), http.url.expose().as_bytes().into()].into_iter().chain(names).collect()
            }
            Self::Embeddings(embeddings) => {
                let EmbeddingsSpec { http, model, .. } = &**embeddings;
                vec![b"embeddings".into(), http.url.expose().as_bytes().into(), model.as_bytes().into()]
            }
            Self::Authority(authority) => {
                vec![b"authority".into(), authority.http.url.expose().as_bytes().into()]
            }
        }
    }

    /// Makes relative paths start from this directory.
    pub fn resolve_paths(&mut self, base: &Path) {
        match self {
            Self::Command(launch) => {
                if let Some(cwd) = &mut launch.cwd {
                    *cwd = base.join(&*cwd);
                }
            }
            Self::Http(http) => {
                let of_login = http.oauth.as_mut().and_then(|oauth| oauth.ca.as_mut());
                http.tls.files_mut().chain(of_login).for_each(|file| file.resolve(base));
            }
            Self::Authority(authority) => {
                authority.http.tls.files_mut().for_each(|file| file.resolve(base));
            }
            // It names no file.
            Self::Embeddings(_) => {}
        }
    }

    /// The lines that tell a person how the server is reached, with nothing masked. `quote` prepares a word for a shell.
    pub fn describe(&self, quote: impl Fn(&str) -> String) -> Vec<String> {
        match self {
            Self::Command(LaunchSpec { program, args, env, cwd, .. }) => {
                let words = std::iter::once(program.as_str()).chain(args.iter().map(Secret::expose));
                let words: Vec<String> = words.map(quote).collect();
                let mut lines = vec![format!("$ {}", words.join(" "))];
                if !env.is_empty() {
                    let names: Vec<&str> = env.iter().map(|(name, _)| name.as_str()).collect();
                    lines.push(format!("  with {}", names.join(", ")));
                }
                lines.extend(cwd.iter().map(|cwd| format!("  in {}", cwd.display())));
                lines
            }
            Self::Http(http) => {
                let mut lines = vec![format!("{} by {}", http.url.expose(), http.dialect)];
                if !http.headers.is_empty() {
                    let names: Vec<&str> = http.headers.iter().map(|(name, _)| name.as_str()).collect();
                    lines.push(format!("  with {}", names.join(", ")));
                }
                lines
            }
            Self::Embeddings(embeddings) => {
                vec![format!("{} for embeddings of `{}`", embeddings.http.url.expose(), embeddings.model)]
            }
            Self::Authority(authority) => vec![format!("{} for its keys", authority.http.url.expose())],
        }
    }
}

/// A command, never a shell line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchSpec {
    /// Looked up in PATH unless it contains a `/`.
    pub program: String,
    /// Arguments; they may hold interpolated secrets.
    pub args: Vec<Secret>,
    /// The variables of the server's entry; the worker adds its small allow-list (PATH, HOME, …) and nothing else.
    pub env: Vec<(String, Secret)>,
    /// Working directory; the worker's own when absent.
    pub cwd: Option<PathBuf>,
    /// Values from MCProxy's environment in the command and its arguments: to be masked where the server says them.
    pub looked_up: Vec<Secret>,
}

impl LaunchSpec {
    /// The value of a variable that the server's entry sets.
    pub fn variable(&self, name: &str) -> Option<&Secret> {
        self.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// A server that is reached over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpSpec {
    /// Its URL, which is valid; it may hold secrets.
    pub url: Secret,
    /// Which of MCP's transports it speaks.
    pub dialect: HttpDialect,
    /// Headers of every request, `Authorization` among them; names and values are valid.
    pub headers: Vec<(String, Secret)>,
    /// Names, in lower case, of the headers that calls of clients may bring with them.
    pub forward_headers: Vec<String>,
    /// What is trusted, and how the worker shows who it is.
    pub tls: HttpTls,
    /// The proxy.
    pub proxy: HttpProxy,
    /// From the look-up of the name to a connection.
    pub connect_timeout: Duration,
    /// Whether only public addresses are connected to.
    pub deny_private: bool,
    /// Values that may be secrets and stand in URL and headers: to be masked where the server says them.
    pub looked_up: Vec<Secret>,
    /// How the worker logs in; `None`: the entry has credentials of its own.
    pub oauth: Option<OAuthSpec>,
}

/// A model that embeds texts, behind the HTTP interface that OpenAI's is the pattern of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddingsSpec {
    /// How its URL is reached, and with which headers.
    pub http: HttpSpec,
    /// The model's name there.
    pub model: String,
    /// A directory that belongs to the worker's user alone, in which embeddings are kept. The supervisor says it; without it they are
    /// kept for as long as the worker runs.
    pub dir: Option<PathBuf>,
}

/// An authorization server whose tokens the gateway accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthoritySpec {
    /// How it is reached; its URL is the issuer's name.
    pub http: HttpSpec,
    /// Who MCProxy is there when it asks what a token is worth (RFC 7662): id and secret; `None`: it does not ask that.
    pub client: Option<(String, Secret)>,
}

/// Which of MCP's transports over HTTP a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpDialect {
    /// Streamable HTTP, or HTTP+SSE where the server does not know that.
    Auto,
    /// Streamable HTTP.
    Streamable,
    /// HTTP+SSE, the transport of 2024-11-05.
    Sse,
}

impl fmt::Display for HttpDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "Streamable HTTP, or else HTTP+SSE",
            Self::Streamable => "Streamable HTTP",
            Self::Sse => "HTTP+SSE",
        })
    }
}

/// Certificates and keys of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpTls {
    /// The authorities that are trusted instead of the system's.
    pub ca: Option<PemSource>,
    /// The worker's own certificate, and its key.
    pub client: Option<(PemSource, PemSource)>,
}

impl HttpTls {
    fn files_mut(&mut self) -> impl Iterator<Item = &mut PemSource> {
        let client = self.client.iter_mut().flat_map(|(certificate, key)| [certificate, key]);
        self.ca.iter_mut().chain(client)
    }
}

/// A PEM text, or the path of a file with one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PemSource(Secret);

impl PemSource {
    /// What an entry says.
    pub fn new(written: impl Into<String>) -> Self {
        Self(Secret::new(written))
    }

    /// The text or the path.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    fn is_text(&self) -> bool {
        self.expose().trim_start().starts_with("-----BEGIN")
    }

    fn resolve(&mut self, base: &Path) {
        if !self.is_text() {
            self.0 = Secret::new(base.join(self.expose()).to_string_lossy());
        }
    }
}

/// Which proxy is asked for a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpProxy {
    /// The one that the environment names, if any.
    System,
    /// None.
    Direct,
    /// This one; its URL may hold a password.
    Url(Secret),
}
