//! The command line.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{channel::Target, connection::Url, cost::Watch, load::Until, message::Job, plain, stdio::Stdio};

#[derive(Debug, Parser)]
#[command(name = "mcproxy-bench", about = "Measures what an MCP call costs; prints JSON")]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Clients that call as fast as they are answered
    Load {
        #[command(flatten)]
        aim: Aim,
        /// Sessions at once, each with one call in flight
        #[arg(long, value_name = "N", default_value_t = 1)]
        clients: u64,
        /// Clients take turns at so many servers, whose number stands for `{}` in --prefix (Streamable HTTP with sessions only)
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        servers: u64,
        #[command(flatten)]
        until: UntilFlags,
        /// Calls before the measurement
        #[arg(long, value_name = "MS", default_value_t = 300)]
        warm_up_ms: u64,
        #[command(flatten)]
        watch: WatchFlags,
    },
    /// Wait until a call is answered rightly, and say how long that took
    Ready {
        #[command(flatten)]
        aim: Aim,
        /// Count from this moment (seconds of the Unix epoch, as in $EPOCHREALTIME)
        #[arg(long, value_name = "SECONDS")]
        since: Option<f64>,
        /// Give up after that
        #[arg(long, value_name = "SECONDS", default_value_t = 30)]
        within: u64,
    },
    /// Sessions that are opened and forgotten
    Abandon {
        #[command(flatten)]
        aim: Aim,
        #[arg(long, value_name = "N", default_value_t = 1000)]
        sessions: u64,
        #[command(flatten)]
        watch: WatchFlags,
    },
    /// Encode and decode our own frames
    Codec,
    /// Search tools for what people ask: how well, and how fast
    Search {
        /// A JSON array of tools as a server lists them, each with its `server`
        tools: PathBuf,
        /// A JSON array of `{"query": …, "relevant": ["SERVER:TOOL", …]}`
        queries: PathBuf,
    },
    /// The baseline: an HTTP server on loopback that returns each body
    HttpEcho {
        #[arg(long)]
        port: u16,
    },
    /// The memory of processes with all their descendants, by name
    Processes {
        #[arg(long, value_name = "PID", value_delimiter = ',', required = true)]
        tree: Vec<u32>,
    },
    /// A port that is free now
    Port,
    /// Make Markdown of the lines that `run` collected
    Table { results: PathBuf },
    /// Make Markdown of the lines that `compare` collected
    Compare { results: PathBuf },
}

/// Whom to call, and what.
#[derive(Debug, Args)]
pub(crate) struct Aim {
    /// http://ADDRESS:PORT/PATH, or stdio:COMMAND
    #[arg(long, value_name = "TARGET")]
    target: String,
    #[arg(long, value_enum, default_value_t = Transport::Mcp)]
    transport: Transport,
    /// Put before tool names, as in `fixture__`
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
    /// Length of the text sent and returned
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    payload: usize,
    /// Call `echo_size` instead: a short request, a result of that length
    #[arg(long, value_name = "BYTES", conflicts_with = "list")]
    result: Option<usize>,
    /// Ask for all tools instead; fewer than N are an error
    #[arg(long, value_name = "N")]
    list: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Transport {
    /// Streamable HTTP
    Mcp,
    /// Streamable HTTP of 2026-07-28
    Stateless,
    /// HTTP+SSE of 2024-11-05
    Sse,
    /// No MCP: the answer is the request
    HttpEcho,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct UntilFlags {
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// By all clients together
    #[arg(long, value_name = "N")]
    calls: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct WatchFlags {
    /// Watch these processes and all their descendants
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    tree: Vec<u32>,
    /// Watch these processes alone
    #[arg(long, value_name = "NAME=PID", value_delimiter = ',', value_parser = named)]
    pids: Vec<(String, u32)>,
}

impl Aim {
    pub(crate) fn job(&self) -> Job {
        let tool = |name: &str| format!("{}{name}", self.prefix);
        match (self.list, self.result) {
            (Some(at_least), _) => Job::List { at_least },
            (None, Some(bytes)) => Job::Sized { tool: tool("echo_size"), bytes },
            (None, None) => Job::Echo { tool: tool("echo"), bytes: self.payload },
        }
    }

    pub(crate) async fn target(&self) -> anyhow::Result<Target> {
        if let Some(command) = self.target.strip_prefix("stdio:") {
            return Ok(Target::Stdio(Stdio::start(command).await.context("cannot start the server")?));
        }
        let url: Url = self.target.parse().map_err(anyhow::Error::msg)?;
        Ok(match self.transport {
            Transport::Mcp => Target::Streamable(url),
            Transport::Stateless => Target::Stateless(url, self.job().headers()),
            Transport::Sse => Target::Legacy(url),
            Transport::HttpEcho => Target::Plain(plain::url_for(&url, &self.job())),
        })
    }

    /// A server that this tool started itself is always watched.
    pub(crate) fn stdio_pid(&self, target: &Target) -> Option<u32> {
        match target {
            Target::Stdio(server) => Some(server.pid()),
            Target::Streamable(_) | Target::Stateless(..) | Target::Legacy(_) | Target::Plain(_) => None,
        }
    }
}

impl UntilFlags {
    pub(crate) fn until(&self) -> Until {
        match (self.calls, self.seconds) {
            (Some(calls), _) => Until::Calls(calls),
            (None, seconds) => Until::After(Duration::from_secs_f64(seconds.unwrap_or(1.0).clamp(0.0, 600.0))),
        }
    }
}

impl WatchFlags {
    pub(crate) fn watch(&self) -> Watch {
        Watch { trees: self.tree.clone(), single: self.pids.clone() }
    }
}

fn named(text: &str) -> Result<(String, u32), String> {
    let (name, pid) = text.split_once('=').ok_or("not NAME=PID")?;
    Ok((name.to_owned(), pid.parse().map_err(|_| format!("`{pid}` is not a process id"))?))
}
