//! The command line: four ways to be started.

use std::{ffi::OsString, path::PathBuf};

use clap::Parser;

/// How a supervised worker is told apart.
const SUPERVISED_FLAG: &str = "--supervised";
/// How one that only logs in or out is.
const LOGIN_FLAG: &str = "--login";
/// Before the number of the descriptor with its order.
const CONFINEMENT_FLAG: &str = "--confinement";

/// Runs one configured MCP server by hand: exactly as MCProxy would, but without MCProxy.
///
/// Shows how the server is started, what it writes to stderr, which era and version of MCP it speaks and what it offers.
#[derive(Debug, Parser)]
#[command(
    name = "mcproxy-worker",
    version,
    after_long_help = EXAMPLES,
)]
pub(crate) struct ByHand {
    /// The server, by its name in the configuration
    #[arg(long, value_name = "NAME")]
    pub(crate) server: String,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "mcp-servers.json")]
    pub(crate) config: PathBuf,
    /// Print what the server offers and end it
    #[arg(long, conflicts_with = "call")]
    pub(crate) list: bool,
    /// Call this tool (the server's own name for it), print the result and end the server
    #[arg(long, value_name = "TOOL")]
    pub(crate) call: Option<String>,
    /// The tool's arguments, a JSON object
    #[arg(long, value_name = "JSON", requires = "call", default_value = "{}")]
    pub(crate) args: String,
    /// Show every line of JSON-RPC: → to the server, ← from it, secrets as ***
    #[arg(long)]
    pub(crate) trace: bool,
}

const EXAMPLES: &str = "\
Examples:
  mcproxy-worker --server time                   start it, show it, stay until Ctrl-C
  mcproxy-worker --server time --list            what it offers
  mcproxy-worker --server time --call get_current_time --args '{\"timezone\":\"Europe/Paris\"}'
  mcproxy-worker --server time --list --trace    every line both ways, when something is odd

Results go to stdout, everything else to stderr.
Exit codes: 0 fine · 1 the call failed · 64 wrong arguments · 69 the server did not start or ended · 78 wrong configuration";

/// How this process was started.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// To end what is left of a server: the order that follows the flag.
    Sweep(Option<OsString>),
    /// By a supervisor, which says everything over the connection that is standard input; most of what follows the flag is for
    /// `ps`. Read without clap, whose tables would cost every worker memory. The order that says how to confine this process.
    Supervised(Option<OsString>),
    /// The same, to log in or out at its server, and no more.
    Login(Option<OsString>),
    /// By a person.
    ByHand(ByHand),
}

/// Reads the command line, the program's name included.
pub(crate) fn parse(args: Vec<OsString>) -> Result<Invocation, clap::Error> {
    match args.get(1).and_then(|first| first.to_str()) {
        Some(crate::sweep::SWEEP_FLAG) => Ok(Invocation::Sweep(args.into_iter().nth(2))),
        Some(flag @ (SUPERVISED_FLAG | LOGIN_FLAG)) => {
            let is_login = flag == LOGIN_FLAG;
            let order = args.into_iter().skip_while(|arg| arg != CONFINEMENT_FLAG).nth(1);
            Ok(if is_login { Invocation::Login(order) } else { Invocation::Supervised(order) })
        }
        _ => Ok(Invocation::ByHand(ByHand::try_parse_from(args)?)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse_line(line: &str) -> Result<Invocation, clap::Error> {
        parse(line.split(' ').map(OsString::from).collect())
    }

    #[test]
    fn the_invocations_are_told_apart() {
        ByHand::command().debug_assert();
        let line = "mcproxy-worker --supervised --server time --generation 7 --socket /run/s";
        assert!(matches!(parse_line(line), Ok(Invocation::Supervised(None))));
        let line = format!("{line} --confinement 7");
        assert!(matches!(parse_line(&line), Ok(Invocation::Supervised(Some(order))) if order == "7"));
        let line = "mcproxy-worker --login --server time --socket /run/s --confinement 7";
        assert!(matches!(parse_line(line), Ok(Invocation::Login(Some(order))) if order == "7"));
        assert!(matches!(parse_line("mcproxy-worker --sweep 7"), Ok(Invocation::Sweep(Some(order))) if order == "7"));
        assert!(matches!(parse_line("mcproxy-worker --server time --trace"), Ok(Invocation::ByHand(_))));
        assert!(parse_line("mcproxy-worker --server a --list --call b").is_err());
    }
}
