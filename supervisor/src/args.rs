//! The command line.

use std::{net::IpAddr, path::PathBuf};

use clap::{Parser, ValueEnum};
use mcproxy_confine::Hardening;
use mcproxy_ipc::LogLevel;

use crate::logging::{Format, LogTarget};

const AFTER_HELP: &str = "\
Exit codes:
  0    stopped on request (SIGTERM, SIGINT, `mcproxy stop`); everything was drained and no process is left
  64   usage: the command line is wrong
  71   the operating system refused: the address is in use, the runtime directory is not ours, …
  75   a supervisor already runs in this runtime directory
  78   the configuration is wrong, and all its problems are printed (and no earlier one is kept in the state directory); or `strict` hardening cannot be had here, and what is missing is
  130, 143   a second SIGINT or SIGTERM: everything was killed at once

Signals:
  SIGTERM, SIGINT   drain: finish the calls in flight (`shutdownGrace`), stop all servers, exit; a second one stops at once
  SIGHUP            read the configuration again (it is also read when the file changes); when the terminal that we
                    run on was closed: drain

Examples:
  mcproxy-supervisor --log                            ./mcp-servers.json, log on the terminal
  mcproxy-supervisor --config /etc/mcproxy/mcp-servers.json --log --log-format json
  mcproxy-supervisor --port 0 --runtime-dir /tmp/two  a second one beside the first

Then: `mcproxy status`, and point an MCP client at http://127.0.0.1:12009/mcp";

/// Starts the MCP servers of a configuration file and offers them all at one MCP endpoint.
#[derive(Debug, Parser)]
#[command(name = "mcproxy-supervisor", version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The configuration; `mcproxy check` explains its mistakes, `mcproxy schema` prints its schema
    #[arg(long, value_name = "FILE", default_value = "mcp-servers.json")]
    pub(crate) config: PathBuf,
    /// Listen on this address instead of the one in the file: an IP address or `localhost`
    #[arg(long, value_name = "HOST", value_parser = mcproxy_config::parse_host)]
    pub(crate) host: Option<IpAddr>,
    /// Listen on this port instead of the one in the file; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// Log to standard output, or to the journal if that is what standard output is; without this to syslog (or to standard error when there is none)
    #[arg(long, value_name = "TARGET", num_args = 0..=1, require_equals = true, default_missing_value = "stdout", default_value = "syslog", hide_default_value = true)]
    log: LogTo,
    /// How a record looks on standard output
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: Format,
    /// Log this level and the more serious ones, whatever the file says
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<LevelFlag>,
    /// Ask the kernel for this much, whatever `hardening` in the file says: all of it or not start, what this machine gives, nothing
    #[arg(long, value_name = "LEVEL")]
    hardening: Option<HardeningFlag>,
    /// Directory for sockets and the lock; `$MCPROXY_RUNTIME_DIR`, $XDG_RUNTIME_DIR/mcproxy, /run/mcproxy (root) or /tmp/mcproxy-UID
    #[arg(long, value_name = "DIR")]
    pub(crate) runtime_dir: Option<PathBuf>,
    /// Directory for what survives a restart (what servers offered, the last good configuration); $STATE_DIRECTORY, $XDG_STATE_HOME/mcproxy, /var/lib/mcproxy (root) or ~/.local/state/mcproxy
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Start with what the file says or not at all, and keep no copy of it. Without this a start that cannot use the file uses what was in force last
    #[arg(long)]
    pub(crate) no_last_good: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogTo {
    /// Standard output; where that is a stream of the journal, the journal itself
    Stdout,
    /// Syslog; where standard error is a stream of the journal, the journal itself
    Syslog,
    /// The journal of systemd, whatever the streams are
    Journal,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LevelFlag {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum HardeningFlag {
    Strict,
    BestEffort,
    Off,
}

impl Args {
    /// The level that wins over the file's.
    pub(crate) fn hardening(&self) -> Option<Hardening> {
        self.hardening.map(|level| match level {
            HardeningFlag::Strict => Hardening::Strict,
            HardeningFlag::BestEffort => Hardening::BestEffort,
            HardeningFlag::Off => Hardening::Off,
        })
    }

    /// Where records go.
    pub(crate) fn log_target(&self) -> LogTarget {
        match self.log {
            LogTo::Stdout => LogTarget::Stdout(self.log_format),
            LogTo::Syslog => LogTarget::Syslog,
            LogTo::Journal => LogTarget::Journal,
        }
    }

    /// The level that was asked for, which wins over the file's.
    pub(crate) fn log_level(&self) -> Option<LogLevel> {
        self.log_level.map(|level| match level {
            LevelFlag::Error => LogLevel::Error,
            LevelFlag::Warn => LogLevel::Warn,
            LevelFlag::Info => LogLevel::Info,
            LevelFlag::Debug => LogLevel::Debug,
            LevelFlag::Trace => LogLevel::Trace,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_alone_means_standard_output_and_its_absence_syslog() {
        let target = |args: &[&str]| Args::try_parse_from(args).expect("valid").log_target();
        assert_eq!(target(&["x"]), LogTarget::Syslog);
        assert_eq!(target(&["x", "--log"]), LogTarget::Stdout(Format::Text));
        assert_eq!(target(&["x", "--log", "--log-format", "json", "--port", "1"]), LogTarget::Stdout(Format::Json));
    }

    #[test]
    fn a_host_by_name_is_a_usage_error() {
        assert!(Args::try_parse_from(["x", "--host", "example.org"]).is_err());
        assert!(Args::try_parse_from(["x", "--host", "localhost"]).is_ok());
    }
}
