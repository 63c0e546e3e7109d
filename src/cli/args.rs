//! The command line.

mod approvals;
mod edit;
mod import;
mod init;
mod link;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::{
    approvals::{AllowArgs, ApprovalsAction, ForgetArgs},
    edit::{AddArgs, EditOptions},
    import::ImportArgs,
    init::InitArgs,
    link::{LinkArgs, LinkChoice},
};
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
    /// Begin: take over the servers of your clients, start MCProxy, and call a tool
    #[command(after_help = "Examples:\n  mcproxy init\n  mcproxy init --yes --link\n\n\
                      At most four questions: which servers, whether to start, whether to enter MCProxy into clients. It runs as a\n\
                      service where systemd is, else in the background. What changes is shown first, and what files were lies beside\n\
                      them. It can be run again.")]
    Init(InitArgs),
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
    /// Show servers and passing calls, live; lines where there is no terminal
    #[command(after_help = "Examples:\n  mcproxy watch\n  mcproxy watch | tee watch.log\n\n\
                      `q` ends it. Calls come from the gateway; where it does not say them, only servers are shown.")]
    Watch,
    /// Print each call when it has ended: who, which tool, how it went, where the time was spent
    #[command(
        after_help = "Examples:\n  mcproxy trace\n  mcproxy trace github --json | jq 'select(.outcome != \"ok\")'\n\n\
                      Arguments and results are not shown."
    )]
    Trace {
        /// Only those of this server
        server: Option<String>,
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
    /// Look for what keeps MCProxy or its servers from working, and say what to do
    #[command(
        after_help = "Examples:\n  mcproxy doctor\n  mcproxy doctor --fix\n  mcproxy doctor security\n  mcproxy doctor security --json | jq '.findings[]'\n\n\
                      Without a subject: the configuration, commands with their versions and caches, the port, directories, modes of\n\
                      files with secrets, the clock, proxies, the kernel, servers that do not run, and tools that clients refuse. --fix\n\
                      mends modes. Exit code 1 when something has to be done.\n\n\
                      `security`: what the kernel enforces on the running processes, what is missing, and what helps.\n\
                      For each process: its user, how many capabilities it has, whether it can gain privileges (NO NEW: no_new_privs),\n\
                      whether a filter refuses system calls, its supplementary groups and open files. For each server: what it may do\n\
                      as the configuration says. Then what is missing or loose. Exit code 1 when there is any of that.\n\
                      Run it as the user that MCProxy was started as, or as root."
    )]
    Doctor {
        /// What is looked at [default: everything but that]
        subject: Option<DoctorSubject>,
        /// Mend what can be mended without asking
        #[arg(long)]
        fix: bool,
        /// The configuration [default: that of the MCProxy that runs, else the one of this directory, of yours, of the system]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Add a server to the configuration; the rest of the file stays as it is
    #[command(after_help = "Examples:\n  \
                      mcproxy add time -- uvx mcp-server-time\n  \
                      mcproxy add files --env LOG_LEVEL=debug -- npx -y @modelcontextprotocol/server-filesystem ~/notes\n  \
                      mcproxy add github --env GITHUB_TOKEN -- docker run -i --rm -e GITHUB_TOKEN ghcr.io/github/github-mcp-server\n  \
                      mcproxy add search https://search.example/mcp --header 'Authorization: Bearer ${SEARCH_TOKEN}'\n\n\
                      The file is checked before it is written, and what it was lies beside it as FILE.bak. Comments, order and\n\
                      line ends stay. A file that somebody else changes meanwhile is left alone. `${NAME}` in single quotes is looked\n\
                      up when the server starts, in the environment of MCProxy; `--env NAME` is short for that.")]
    Add(AddArgs),
    /// Take a server out of the configuration
    #[command(after_help = "Examples:\n  mcproxy remove time\n  mcproxy remove time --dry-run\n\n\
                      Comments on lines of their own stay. What the file was lies beside it as FILE.bak.")]
    Remove {
        /// Which one
        server: String,
        #[command(flatten)]
        options: EditOptions,
    },
    /// Switch a server on that the configuration has switched off
    #[command(after_help = "Example:\n  mcproxy enable time")]
    Enable {
        /// Which one
        server: String,
        #[command(flatten)]
        options: EditOptions,
    },
    /// Switch a server off, and keep its entry
    #[command(
        after_help = "Example:\n  mcproxy disable playwright && mcproxy enable playwright     leaves the file as it was"
    )]
    Disable {
        /// Which one
        server: String,
        #[command(flatten)]
        options: EditOptions,
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
    /// Decide on calls that wait until a person agrees to them (`approve`)
    #[command(
        after_help = "Examples:\n  mcproxy approvals                                        what waits\n  mcproxy approvals allow 3f9a01c2d4e5\n  \
                      mcproxy approvals allow 3f9a01c2d4e5 --always\n  mcproxy approvals refuse 3f9a01c2d4e5\n  \
                      mcproxy approvals rules\n  mcproxy approvals forget 9c41d0e2\n\n\
                      `approve` of a server, tool, group or token says which calls wait. The client's own user is asked where the client\n\
                      can ask. Nobody has to: what nobody decides on is refused after `approvals.timeout`."
    )]
    Approvals {
        #[command(subcommand)]
        action: Option<ApprovalsAction>,
    },
    /// Make, list and revoke tokens of clients
    #[command(
        after_help = "Examples:\n  mcproxy token new laptop\n  mcproxy token new ci --servers github,time --expires 90d\n  \
                      mcproxy token new phone --add\n  mcproxy token revoke phone\n  mcproxy token list\n  mcproxy token new cron --tools 'db__read_*' --json | jq -r .token\n\n\
                      The token is shown once. The configuration gets its hash: the entry is printed, to be added to `auth.tokens`,\n\
                      which `--add` does: comments and order stay, the file is checked before it is written, and what was there is beside it.\n\
                      A second token of the same name can take the place of the first without a gap: add it, give it to the clients,\n\
                      revoke the first by its hash (`mcproxy token list`). What a token opened ends when it is revoked."
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
    /// Print a manual page, or write all of them
    #[command(
        after_help = "Examples:\n  mcproxy man | man -l -\n  mcproxy man ~/.local/share/man/man1\n\nThe packages install them."
    )]
    Man {
        /// The directory for all pages, made if it is not there
        dir: Option<PathBuf>,
    },
    /// Print the JSON Schema of the configuration file, for editors
    #[command(after_help = "Example:\n  mcproxy schema > mcp-servers.schema.json")]
    Schema,
    /// Take over the servers of clients and of other gateways; MetaMCP's clients keep their URLs and keys
    #[command(after_help = "Examples:\n  \
                      mcproxy import --dry-run                                 of all clients whose files are found\n  \
                      mcproxy import cursor --select 'git*' --select time\n  \
                      mcproxy import vscode .vscode/mcp.json --env-file ~/.config/mcproxy/env\n  \
                      mcproxy import auto downloaded.json\n  \
                      mcproxy import metamcp metamcp.json metamcp.container --out /etc/mcproxy/mcp-servers.json\n  \
                      mcproxy import metamcp metamcp.json --dry-run --compare http://127.0.0.1:12008 --with http://127.0.0.1:12009\n\n\
                      Formats: auto, claude-desktop, claude-code (with its projects), cursor, vscode, windsurf, zed, codex, gemini,\n\
                      opencode, mcphub, mcpproxy-go, 1mcp, metamcp. What changes is shown first; servers are added to the configuration\n\
                      that is there, and what it has stays as it is. What is not as it was is listed. The other program's files are only\n\
                      read. With --env-file secrets move to a file of variables of mode 0600, which MCProxy is started with.\n\n\
                      MetaMCP: each file is known by its content: the output of deploy/metamcp-export.sql (all of it), the export of the\n\
                      web interface (servers only), its .container or .env (addresses, times, variables). Several are put together into\n\
                      a new configuration. Keys become hashes; secrets always move to the file of variables. Exit code 1 when --compare\n\
                      finds a difference.")]
    Import(ImportArgs),
    /// Enter MCProxy into the files of clients; without any, show which are linked
    #[command(after_help = "Examples:\n  mcproxy link\n  mcproxy link cursor vscode\n  mcproxy link all --dry-run\n  \
                      mcproxy link claude-desktop --group work\n  mcproxy link cursor --file .cursor/mcp.json\n\n\
                      What changes is shown first; the rest of a file stays byte for byte. What it was lies beside it as\n\
                      FILE.before-mcproxy until `mcproxy unlink`. The address is that of the MCProxy that runs, or --url. With --token or\n\
                      MCPROXY_TOKEN the token is written into the file. Claude Desktop starts `mcproxy connect`.")]
    Link(LinkArgs),
    /// Take MCProxy out of the files of clients, which are then as they were
    #[command(
        after_help = "Examples:\n  mcproxy unlink cursor\n  mcproxy unlink all\n  mcproxy unlink claude-code --keep-changes\n\n\
                      A file that changed since it was linked is left alone, unless --keep-changes is given."
    )]
    Unlink {
        #[command(flatten)]
        choice: LinkChoice,
        /// Take only the entry out of a file that changed since, and keep what changed
        #[arg(long)]
        keep_changes: bool,
    },
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
    /// Take tokens out of the configuration: what they opened ends
    Revoke {
        /// The name of its user (then all of that name), or the beginning of its hash
        #[arg(value_name = "NAME|HASH")]
        which: String,
        #[command(flatten)]
        options: EditOptions,
    },
    /// Show the tokens in force, what each may use, and when it was last used
    List,
}
