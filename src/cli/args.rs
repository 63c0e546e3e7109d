//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::commands::token::NewToken;

const AFTER_HELP: &str = "\
Examples:
  mcproxy status                                   how every server is
  mcproxy status playwright                        all about one, with its last error and history
  mcproxy tools --server time                      what one server offers
  mcproxy call time__get_current_time --args '{\"timezone\":\"Europe/Berlin\"}'
  mcproxy logs playwright -f                       follow one server's log and stderr
  mcproxy check mcp-servers.json                   find mistakes before a reload does

The runtime directory is $MCPROXY_RUNTIME_DIR, else $XDG_RUNTIME_DIR/mcproxy, else /run/mcproxy for root and
/tmp/mcproxy-UID for others. `mcproxy COMMAND --help` shows examples of each command.

Exit codes (sysexits.h):
   0  done
   1  tried and failed: the tool reported an error, the supervisor refused
  64  wrong usage, or no such server or tool (the nearest one is named)
  69  no supervisor, no gateway, or the server is not up
  76  the other side does not speak MCP as specified
  77  the token is missing or wrong, or the socket is another user's
  78  the configuration has mistakes";

/// Looks after a running MCProxy: one MCP endpoint in front of many MCP servers.
#[derive(Debug, Parser)]
#[command(name = "mcproxy", version, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Print data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The supervisor's runtime directory [default: see below]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) runtime_dir: Option<PathBuf>,
    /// The MCP endpoint for tools, call and connect [default: the supervisor's gateway]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The bearer token; better set $MCPROXY_TOKEN, as others can see arguments
    #[arg(long, global = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show how every server is, or all that is known of one
    #[command(
        after_help = "Examples:\n  mcproxy status\n  mcproxy status time\n  mcproxy status --json | jq '.servers[] | select(.state != \"ready\")'\n\n\
                      STATE: ready; starting; idle (starts with its first call); backoff (ended or failed, starts again by itself);\n\
                      needs-login (`mcproxy login NAME`); blocked (cannot be started as configured); failed (gave up: `mcproxy restart NAME`); stopped.\n\
                      `mcproxy status NAME` shows the whole of the last error, and its history."
    )]
    Status {
        /// Only this server, with all details
        server: Option<String>,
    },
    /// Ask whether MCProxy answers, for the probes of containers and monitors
    #[command(
        after_help = "Examples:\n  mcproxy health\n  mcproxy health --ready --timeout 10\n  mcproxy --url http://127.0.0.1:12009 health\n\n\
                      Asks the supervisor where the gateway listens, and then the gateway; with --url the gateway only. One line says how it is.\n\
                      Exit code 0: it is healthy. All others: it is not; 69 when it does not answer, or with --ready some server is not ready.\n\
                      For `HealthCmd=` of a quadlet, `HEALTHCHECK` of an image and `exec` probes of Kubernetes; it needs no curl and writes nothing."
    )]
    Health {
        /// Also ask whether all enabled servers are ready
        #[arg(long)]
        ready: bool,
        /// Give up after so many seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
        timeout: u64,
    },
    /// List the tools that clients see
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  mcproxy tools\n  mcproxy tools --server time\n  mcproxy tools --search 'compare two branches'\n  mcproxy tools --cost\n  mcproxy tools --json | jq '.[].name'\n  mcproxy tools diff\n  mcproxy tools approve time"
    )]
    Tools {
        #[command(subcommand)]
        action: Option<ToolsAction>,
        /// Only those of this server
        #[arg(long, value_name = "SERVER")]
        server: Option<String>,
        /// Only those that fit these words, the best first
        #[arg(long, value_name = "WORDS")]
        search: Option<String>,
        /// What the list costs a model: tokens by server, or with --server by tool (an estimate)
        #[arg(long, conflicts_with = "search")]
        cost: bool,
    },
    /// Call a tool and print what it answers
    #[command(after_help = "Examples:\n  mcproxy call time__get_current_time --args '{\"timezone\":\"UTC\"}'\n  \
                      mcproxy call fs__write_file --args - < arguments.json\n  mcproxy call echo__say --json | jq .content\n\n\
                      Text is printed as it is, other content is described; on a terminal control characters are made visible. --json prints\n\
                      the whole result. `mcproxy tools --json | jq '.[] | select(.name==\"time__get_current_time\").inputSchema'` shows\n\
                      which arguments a tool takes. Exit code 1 when the tool reports an error. Ctrl-C gives the call up.")]
    Call {
        /// The name as `mcproxy tools` prints it
        #[arg(value_name = "SERVER__TOOL")]
        tool: String,
        /// The arguments, a JSON object; `-` reads it from stdin
        #[arg(long, value_name = "JSON", default_value = "{}")]
        args: String,
        /// Give up after so many seconds, whatever the server's own timeout is
        #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..))]
        timeout: u64,
    },
    /// Print what a server (or all of MCProxy) logged, its stderr included
    #[command(after_help = "Examples:\n  mcproxy logs\n  mcproxy logs playwright -n 200\n  mcproxy logs time -f\n  \
                      mcproxy logs time --json | jq -r 'select(.source == \"stderr\").text'\n\n\
                      `stderr:` marks what the server itself wrote; the other lines are MCProxy's about it.")]
    Logs {
        /// Only this server
        server: Option<String>,
        /// Go on with new lines
        #[arg(short, long)]
        follow: bool,
        /// How many old lines
        #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
        lines: usize,
    },
    /// Start a server anew, without waiting out a backoff
    #[command(after_help = "Example:\n  mcproxy restart playwright && mcproxy logs playwright -f\n\n\
                      Also the way out of `failed` and of a long backoff.")]
    Restart {
        /// Which one
        server: String,
    },
    /// Log in at a server that wants it; the login is kept, and renewed by itself
    #[command(after_help = "Examples:\n  mcproxy login github\n  mcproxy login github --scope 'repo read:org'\n  \
                      ssh -t host mcproxy login github\n\n\
                      Opens the page of the server's authorization server in a browser, or prints its address. Where the browser is on\n\
                      another machine, it ends at an address that cannot be opened there; paste that address here. Servers that want a\n\
                      login say so in `mcproxy status`. The tokens lie in the state directory, and only the server's own worker reads them.")]
    Login {
        /// Which one
        server: String,
        /// Ask for this, instead of what the configuration says or the server wants
        #[arg(long, value_name = "SCOPES")]
        scope: Option<String>,
        /// The port that the page leads back to, where the authorization server knows a certain one
        #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
        port: Option<u16>,
        /// Read the address that the page ends at from the standard input, also where that is no terminal
        #[arg(long)]
        paste: bool,
        /// Only print the page's address
        #[arg(long)]
        no_browser: bool,
    },
    /// Give back the tokens of a login, and forget them
    #[command(after_help = "Example:\n  mcproxy logout github\n\n\
                      The authorization server is told, where it takes tokens back; here they are removed in any case.")]
    Logout {
        /// Which server's
        server: String,
    },
    /// Have the supervisor read the configuration again
    #[command(after_help = "Example:\n  mcproxy check && mcproxy reload\n\n\
                      A file with mistakes changes nothing. Servers whose entry is the same run on; a changed one serves until its\n\
                      successor is ready. The file is also read when it changes, without this command.")]
    Reload,
    /// Stop everything: calls in flight finish, then all servers end
    #[command(after_help = "Example:\n  mcproxy stop")]
    Stop,
    /// Check a configuration file, also one of another program; all problems are reported at once
    #[command(after_help = "Examples:\n  mcproxy check\n  mcproxy check new.json && mv new.json mcp-servers.json\n  \
                      mcproxy check ~/.config/Claude/claude_desktop_config.json\n\n\
                      Nothing is started. Errors refuse the file, or block the one server that they are in: exit code 78.\n\
                      Warnings (what is ignored, what this machine lacks) do not: 0, and 78 with --strict.\n\
                      Commands and directories are looked for as seen from here; the supervisor may have another PATH.")]
    Check {
        /// The file; /dev/stdin reads it from there
        #[arg(default_value = "mcp-servers.json")]
        file: PathBuf,
        /// Exit with 78 for warnings, too
        #[arg(long)]
        strict: bool,
        /// Where the supervisor keeps what servers offer, to check filters of tools [default: as the supervisor's]
        #[arg(long, value_name = "DIR")]
        state_dir: Option<PathBuf>,
    },
    /// Show what the kernel enforces on the running processes, what is missing, and what helps
    #[command(
        after_help = "Examples:\n  mcproxy doctor security\n  mcproxy doctor security --json | jq '.findings[]'\n\n\
                      For each process: its user, how many capabilities it has, whether it can gain privileges (NO NEW: no_new_privs),\n\
                      whether a filter refuses system calls, its supplementary groups and open files. For each server: what it may do\n\
                      as the configuration says. Then what is missing or loose. Exit code 1 when there is any of that.\n\
                      Run it as the user that MCProxy was started as, or as root."
    )]
    Doctor {
        /// What is looked at
        subject: DoctorSubject,
    },
    /// Make a service of systemd of the programs that lie here, for those who have no package
    #[command(
        after_help = "Examples:\n  sudo mcproxy service install\n  mcproxy service install --user --config ~/mcp-servers.json\n  \
                      mcproxy service install --user --print\n  sudo mcproxy service uninstall\n\n\
                      Each step is shown. Of the system: the account mcproxy, /etc/mcproxy/mcp-servers.json if there is none, the unit of\n\
                      deploy/mcproxy.service with the programs' own paths, `systemctl enable --now mcproxy`. With --user the same for you alone.\n\
                      A unit that was not written by this command is left alone. Packages bring their own."
    )]
    Service {
        #[command(subcommand)]
        action: ServiceAction,
    },
    /// Show where everything is: programs, configuration, sockets, what outlives a restart
    #[command(after_help = "Examples:\n  mcproxy paths\n  mcproxy paths --json | jq -r .config\n\n\
                      As it is for whoever runs this; of a running supervisor where one answers.")]
    Paths,
    /// Make tokens for clients, and list them
    #[command(
        after_help = "Examples:\n  mcproxy token new laptop\n  mcproxy token new ci --servers github,time --expires 90d\n  \
                      mcproxy token list\n  mcproxy token new cron --tools 'db__read_*' --json | jq -r .token\n\n\
                      The token is shown once. The configuration gets its hash: the entry is printed, to be added to `auth.tokens`.\n\
                      A second token of the same name can take the place of the first without a gap: add it, give it to the clients,\n\
                      take the first one out. To revoke one, take its entry out of the file: what it opened ends at once."
    )]
    Token {
        #[command(subcommand)]
        action: TokenAction,
    },
    /// Look after the records of calls
    #[command(
        after_help = "Examples:\n  mcproxy audit verify\n  mcproxy audit verify /var/lib/mcproxy/audit --json\n\n\
                      Each line of the audit holds the hash of the one before. `verify` reads all of them, and names the first one that does\n\
                      not fit: a line was removed, changed or put in there. Exit code 1 then. Lines that are cut off at the end leave no\n\
                      trace in the file; the hash of the last one, kept elsewhere, shows that."
    )]
    Audit {
        #[command(subcommand)]
        action: AuditAction,
    },
    /// Print a script for a shell, which then completes commands, options and the names of servers and tools
    #[command(after_help = "Examples:\n  \
                      source <(mcproxy completions bash)                                     in ~/.bashrc, likewise zsh in ~/.zshrc\n  \
                      mcproxy completions fish > ~/.config/fish/completions/mcproxy.fish\n\n\
                      The packages install it. At each Tab the script asks the `mcproxy` of PATH, and that the supervisor or, for tools,\n\
                      the endpoint ($MCPROXY_TOKEN, where it wants a token). It waits two seconds at most, and offers nothing then.")]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the JSON Schema of the configuration file, for editors
    #[command(after_help = "Example:\n  mcproxy schema > mcp-servers.schema.json")]
    Schema,
    /// Turn the files of another gateway (MetaMCP) into a configuration; its clients keep their URLs and keys
    #[command(after_help = "Examples:\n  \
                      psql -At -U metamcp_user -d metamcp_db -f metamcp-export.sql > metamcp.json\n  \
                      mcproxy import metamcp metamcp.json metamcp.container --dry-run\n  \
                      mcproxy import metamcp metamcp.json --out /etc/mcproxy/mcp-servers.json --env-file /etc/mcproxy/env\n  \
                      mcproxy import metamcp metamcp.json --dry-run --compare http://127.0.0.1:12008 --with http://127.0.0.1:12009\n\n\
                      Each file is known by its content: the output of deploy/metamcp-export.sql (all of it), the export of the web\n\
                      interface (servers only), MetaMCP's .container or .env (addresses, times, variables). Several are put together.\n\
                      Keys become hashes; secrets of servers go to a file of variables, for EnvironmentFile= or --env-file. What is\n\
                      not as it was is listed. Nothing of MetaMCP is changed. Exit code 1 when --compare finds a difference.")]
    Import(ImportArgs),
    /// Be a stdio MCP server that passes everything on, for clients that can only start commands
    #[command(after_help = "Example, in a desktop client's configuration:\n  \
                      {\"mcpServers\": {\"mcproxy\": {\"command\": \"mcproxy\", \"args\": [\"connect\"]}}}\n\n\
                      One server or group only:\n  mcproxy connect http://127.0.0.1:12009/servers/time/mcp\n\n\
                      With a token: {\"command\": \"mcproxy\", \"args\": [\"connect\"], \"env\": {\"MCPROXY_TOKEN\": \"...\"}}\n\n\
                      Without URL and --url: where the supervisor says that the gateway listens, else http://127.0.0.1:12009/mcp.\n\
                      Any Streamable HTTP server will do, of every revision of MCP, over http or https.")]
    Connect {
        /// The MCP endpoint, for example http://127.0.0.1:12009/servers/time/mcp
        url: Option<String>,
    },
}

/// What `doctor` can look at.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum DoctorSubject {
    /// What the kernel enforces
    Security,
}

/// Shells whose completion is known.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Shell {
    /// GNU Bash, from 4.4 on
    Bash,
    /// Elvish
    Elvish,
    /// fish
    Fish,
    /// The Z shell
    Zsh,
}

/// What `service` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum ServiceAction {
    /// Write the unit, enable and start it
    Install {
        /// A service of your own, not of the system
        #[arg(long)]
        user: bool,
        /// The configuration [default: /etc/mcproxy/mcp-servers.json; with --user ~/.config/mcproxy/mcp-servers.json]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Write the files below this directory, and start nothing: for images
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
        /// Print the unit, and do nothing
        #[arg(long)]
        print: bool,
    },
    /// Stop it, disable it and remove the unit; configuration and state stay
    Uninstall {
        /// The service of your own
        #[arg(long)]
        user: bool,
        /// Remove it below this directory, and stop nothing
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
    },
}

/// What `tools` can do besides.
#[derive(Debug, Subcommand)]
pub(crate) enum ToolsAction {
    /// Show how the tools of servers differ from those that were pinned, word by word
    #[command(after_help = "Examples:\n  mcproxy tools diff\n  mcproxy tools diff time --json\n\n\
                      The tools of a server are pinned when it is first seen, and when somebody approves them. [-…-] is gone, {+…+} is new.\n\
                      Exit code 1 when there is a difference. Run it as the user that MCProxy runs as, or as root.")]
    Diff {
        /// Only this server
        name: Option<String>,
        /// Where the supervisor keeps what servers offer [default: as the supervisor's]
        #[arg(long, value_name = "DIR")]
        state_dir: Option<PathBuf>,
    },
    /// Pin the tools of a server as they are now
    #[command(after_help = "Example:\n  mcproxy tools diff time && mcproxy tools approve time")]
    Approve {
        /// Which server
        name: String,
    },
}

/// What `audit` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditAction {
    /// Check that no line was removed, changed or put in
    Verify {
        /// The directory of its files [default: `audit` in the state directory]
        dir: Option<PathBuf>,
    },
}

/// What `token` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenAction {
    /// Print a new token, and the entry that lets it in
    New(NewToken),
    /// Show the tokens in force, what each may use, and when it was last used
    List,
}

/// Gateways whose files `import` reads.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum ImportSource {
    /// MetaMCP
    Metamcp,
}

/// What is imported, and where to.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Whose files they are
    pub(crate) from: ImportSource,
    /// The files; `-` is the standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The configuration to write
    #[arg(long, value_name = "FILE", default_value = "mcp-servers.json")]
    pub(crate) out: PathBuf,
    /// The file for secrets, readable by its user only [default: mcproxy.env beside the configuration]
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// Where to listen, such as 0.0.0.0:12008 [default: where MetaMCP was reached, as far as the files say]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Whose private servers, endpoints and keys, if several people have some
    #[arg(long, value_name = "EMAIL")]
    pub(crate) user: Option<String>,
    /// Write nothing; show the configuration, or how it would change
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace files that are there
    #[arg(long)]
    pub(crate) force: bool,
    /// Compare the tools of each endpoint with those of the MetaMCP that runs there, such as http://127.0.0.1:12008
    #[arg(long, value_name = "URL")]
    pub(crate) compare: Option<String>,
    /// The MCProxy to compare with [default: where the new configuration listens]
    #[arg(long, value_name = "URL", requires = "compare")]
    pub(crate) with: Option<String>,
}
