//! Why a command failed.

use std::{io, path::PathBuf};

use mcproxy_ipc::{FrameError, HelloError};

use super::{
    commands::{
        import::{ForeignFileError, ImportError, SeveralUsers, WriteError},
        link::LinkError,
    },
    edited_file::EditedFileError,
    endpoint::EndpointError,
    exit::Exit,
};

/// Why a command could not do what was asked. The text is for the person who typed it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("{0}")]
    Usage(String),
    #[error("no supervisor at {}; start it with `mcproxy-supervisor --log`", .0.display())]
    NoSupervisor(PathBuf),
    #[error(
        "no supervisor of yours; but the service of {user} runs in {}, which only {user} and root may ask: `sudo mcproxy …`", .dir.display()
    )]
    OthersService { dir: PathBuf, user: String },
    #[error("{} belongs to another user (uid {uid}); its supervisor is not trusted", .path.display())]
    ForeignSupervisor { path: PathBuf, uid: u32 },
    #[error("cannot reach the supervisor at {}", .path.display())]
    SupervisorSocket {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the supervisor did not accept the connection")]
    SupervisorHello(#[source] HelloError),
    #[error("the connection to the supervisor failed")]
    SupervisorFrame(#[from] FrameError),
    #[error("the supervisor did not answer within {0} s")]
    SupervisorSilent(u64),
    #[error("the supervisor closed the connection without an answer; it may just be stopping")]
    SupervisorGone,
    #[error("the supervisor gave an answer that does not belong to the question; restart it from the same build")]
    SupervisorAnswer,
    #[error("cannot listen on 127.0.0.1{} for the answer of the page", .port.map(|port| format!(":{port}")).unwrap_or_default())]
    Callback {
        port: Option<u16>,
        #[source]
        source: io::Error,
    },
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    NotUp(String),
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error("the answer to `{method}` is not what MCP says: {why}")]
    Answer { method: String, why: String },
    #[error("{method}: {message} (code {code})")]
    Rpc { method: String, code: i64, message: String, raw: String },
    #[error("cannot {what} {}", .path.display())]
    Service {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the configuration {path} cannot be used{}", source.help().map(|help| format!("; {help}")).unwrap_or_default())]
    Config {
        path: String,
        #[source]
        source: mcproxy_config::LoadError,
    },
    #[error("cannot import {}", path.display())]
    Import {
        path: PathBuf,
        #[source]
        source: ImportError,
    },
    #[error("cannot import {}", path.display())]
    ImportForeign {
        path: PathBuf,
        #[source]
        source: ForeignFileError,
    },
    #[error(transparent)]
    ImportUsers(#[from] SeveralUsers),
    #[error(transparent)]
    ImportWrite(#[from] WriteError),
    #[error("cannot link {}", path.display())]
    Link {
        path: PathBuf,
        #[source]
        source: LinkError,
    },
    #[error(transparent)]
    EditedFile(#[from] EditedFileError),
    #[error("cannot read the arguments from stdin")]
    Stdin(#[source] io::Error),
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl CliError {
    /// The exit code for it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::ImportUsers(_) | Self::ImportWrite(WriteError::Exists(_)) => Exit::Usage,
            Self::NoSupervisor(_)
            | Self::NotUp(_)
            | Self::SupervisorSilent(_)
            | Self::SupervisorGone
            | Self::SupervisorFrame(_) => Exit::Unavailable,
            Self::SupervisorSocket { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Exit::Permission
            }
            Self::SupervisorSocket { .. } => Exit::Unavailable,
            Self::ForeignSupervisor { .. } | Self::OthersService { .. } => Exit::Permission,
            Self::SupervisorHello(HelloError::Refused(_)) => Exit::Permission,
            Self::SupervisorHello(_) => Exit::Unavailable,
            Self::SupervisorAnswer | Self::Answer { .. } => Exit::Protocol,
            Self::Refused(_)
            | Self::Callback { .. }
            | Self::Service { .. }
            | Self::Stdin(_)
            | Self::Output(_)
            | Self::Import { .. }
            | Self::ImportForeign { .. }
            | Self::Link { .. }
            | Self::EditedFile(_)
            | Self::ImportWrite(_) => Exit::Failed,
            Self::Endpoint(error) => error.exit(),
            Self::Rpc { code, .. } if *code == mcproxy_mcp::ErrorCode::SERVER_UNAVAILABLE.0 => Exit::Unavailable,
            Self::Rpc { .. } => Exit::Failed,
            Self::Config { .. } => Exit::Config,
        }
    }

    /// Whether the reader of our output has left, which is no failure (`mcproxy logs -f | head`).
    pub(crate) fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe)
    }
}
