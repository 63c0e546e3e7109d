//! `mcproxy init`: from nothing to a first call. Servers of the clients that are here are taken over, MCProxy is started, and a tool
//! is called. At most three questions.

mod first_call;
mod start;
mod starter;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
};

use mcproxy_config::{EditableConfig, Json};
use mcproxy_ipc::ServerName;

use self::start::{StartWay, start};
use super::{
    edit::{EMPTY, checked},
    import::import_found,
    link,
};
use crate::cli::{
    args::{InitArgs, LinkArgs, LinkChoice},
    clients::ClientProgram,
    config_place::ConfigPlace,
    console::Console,
    edited_file::{EditedFile, PRIVATE},
    error::CliError,
    exit::Exit,
    human::{printable, wrapped},
    supervisor::{SupervisorClient, reload_written},
    user_dirs::user_config_dir,
};

/// The port where nothing is said.
const PORT: u16 = 12009;
/// Most ports that are tried after it.
const PORTS: u16 = 20;

/// Gets MCProxy to run for whoever asks.
pub(crate) async fn run(
    args: &InitArgs,
    supervisor: &SupervisorClient,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let runs = supervisor.status().await.ok();
    let path = match (&args.config, &runs) {
        (Some(named), _) => named.clone(),
        (None, Some(report)) => report.config_path.clone().into(),
        (None, None) => own_config()?,
    };
    let place = ConfigPlace::find(Some(&path), supervisor).await;
    if runs.is_some() && !place.is_running {
        return Err(CliError::Usage(format!(
            "MCProxy runs already, with another configuration than {}; `mcproxy import` and `mcproxy add` add servers to it",
            path.display()
        )));
    }
    writeln!(console.out, "Configuration: {}", printable(&path.display().to_string()))?;

    heading("Servers", console)?;
    import_found(&path, args.yes, console)?;
    let server_count = prepare(&path, args.yes, runs.is_none(), console)?;
    if args.no_start {
        writeln!(console.out, "\nStart it with `mcproxy-supervisor --log --config {}`.", path.display())?;
        return Ok(Exit::Ok);
    }

    heading("Start", console)?;
    if runs.is_some() {
        writeln!(console.out, "MCProxy runs already.")?;
        reload_written(supervisor, console).await?;
    } else {
        let way = StartWay::here(args.background);
        if !args.yes && !console.confirm(&way.question(), true)? {
            writeln!(console.out, "Start it with `mcproxy-supervisor --log --config {}`.", path.display())?;
            return Ok(Exit::Ok);
        }
        start(way, &path, supervisor, console).await?;
    }

    heading("First call", console)?;
    let url = first_call::call(supervisor, server_count, console).await?;

    heading("Clients", console)?;
    link_found(args, &url, console)?;
    let line = format!(
        "MCProxy is at {url}; `mcproxy status` says how it is, `mcproxy add` adds servers, `mcproxy link` links clients."
    );
    writeln!(console.out, "\n{}", wrapped(&line, console.width, "  "))?;
    Ok(Exit::Ok)
}

fn heading(text: &str, console: &mut Console) -> Result<(), CliError> {
    let title = console.style.heading(text);
    Ok(writeln!(console.out, "\n{title}")?)
}

/// The configuration of whoever asks: the system's for root.
fn own_config() -> Result<std::path::PathBuf, CliError> {
    if rustix::process::geteuid().is_root() {
        return Ok("/etc/mcproxy/mcp-servers.json".into());
    }
    let dir = user_config_dir().ok_or_else(|| {
        CliError::Usage(
            "neither XDG_CONFIG_HOME nor HOME says where your configuration belongs; name one with --config".to_owned(),
        )
    })?;
    Ok(dir.join("mcproxy/mcp-servers.json"))
}

/// The file as it is to be started: there, with a server, and at a port that is free. How many servers it has.
fn prepare(path: &Path, yes: bool, is_new: bool, console: &mut Console) -> Result<usize, CliError> {
    let file = EditedFile::open(path)?;
    let mut text = String::from_utf8_lossy(file.content().unwrap_or(EMPTY)).into_owned();
    let broken = |_| CliError::Usage(format!("{} has mistakes; `mcproxy check {}`", path.display(), path.display()));
    let editable = EditableConfig::of_file(text.as_bytes()).map_err(broken)?;
    if editable.names().next().is_none()
        && let Some(server) = starter::starter()
    {
        let line = format!("No server yet. Begin with `{}` ({})?", server.name, server.words());
        if yes || console.confirm(&line, true)? {
            let name = ServerName::try_from(server.name).map_err(|error| CliError::Usage(error.to_string()))?;
            text = editable.with_server(&name, &server.entry()).map_err(|error| CliError::Usage(error.to_string()))?;
            writeln!(console.out, "added `{}`", server.name)?;
        }
    }
    let checked = checked::check(&text, path).map_err(broken)?;
    if is_new {
        let is_free = |address: SocketAddr| TcpListener::bind(address).is_ok();
        let listen = checked.config.listen;
        match free_address(listen, text.contains("\"listen\""), &is_free) {
            Some(free) if free == listen => {}
            Some(free) => {
                let editable = EditableConfig::of_file(text.as_bytes()).map_err(broken)?;
                let address = Json::Text(free.to_string());
                text = editable.with_key("listen", &address).map_err(|error| CliError::Usage(error.to_string()))?;
                writeln!(console.out, "{listen} is in use; MCProxy listens on {free}")?;
            }
            None => {
                return Err(CliError::Refused(format!(
                    "{listen} is in use; write another `listen` into {}",
                    path.display()
                )));
            }
        }
    }
    if file.content() != Some(text.as_bytes()) {
        file.write(text.as_bytes(), PRIVATE)?;
    }
    let count = checked.config.servers.iter().filter(|server| server.enabled).count();
    writeln!(console.out, "{}", if count == 1 { "1 server".to_owned() } else { format!("{count} servers") })?;
    Ok(count)
}

/// Where to listen: as the file says, or, if it says nothing, at the next port that is free.
fn free_address(listen: SocketAddr, is_named: bool, is_free: &dyn Fn(SocketAddr) -> bool) -> Option<SocketAddr> {
    let others = (1..=PORTS).map(|more| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT + more));
    std::iter::once(listen).chain(others.filter(|_| !is_named)).find(|address| is_free(*address))
}

/// Offers to enter MCProxy into the clients that are here. Their own entries stay, so unasked it is not done.
fn link_found(args: &InitArgs, url: &str, console: &mut Console) -> Result<(), CliError> {
    let found: Vec<ClientProgram> =
        ClientProgram::ALL.into_iter().filter(|client| !client.is_gateway() && client.is_here()).collect();
    if found.is_empty() {
        writeln!(console.out, "None was found here. Any client reaches it at {url}, or by `mcproxy connect`.")?;
        return Ok(());
    }
    let titles: Vec<&str> = found.iter().map(|client| client.title()).collect();
    let words: Vec<String> = found.iter().map(|client| client.word().to_owned()).collect();
    let wanted =
        args.link || (!args.yes && console.confirm(&format!("Enter MCProxy into {}?", titles.join(", ")), false)?);
    if !wanted {
        let line = format!("`mcproxy link {}` enters MCProxy into their files.", words.join(" "));
        writeln!(console.out, "{}", wrapped(&line, console.width, "  "))?;
        return Ok(());
    }
    let choice = LinkChoice { clients: words, file: None, dry_run: false, yes: true };
    // One that cannot be linked is no reason to have nothing.
    if let Err(error) = link::link(&LinkArgs { choice, group: None }, url, None, false, console) {
        console.remark(format_args!("not linked: {error}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_in_use_is_passed_over_unless_the_file_names_it() {
        let usual = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT);
        let free_from = |port: u16| move |address: SocketAddr| address.port() >= port;
        assert_eq!(free_address(usual, false, &free_from(PORT)), Some(usual));
        assert_eq!(free_address(usual, false, &free_from(PORT + 2)).map(|address| address.port()), Some(PORT + 2));
        assert_eq!(free_address(usual, true, &free_from(PORT + 1)), None);
        assert_eq!(free_address(usual, false, &free_from(PORT + PORTS + 1)), None);
    }
}
