//! The configuration that an installation comes to.

use std::net::IpAddr;

use mcproxy_config::Json;
use mcproxy_ipc::environment::is_passed_on;
use sha2::{Digest, Sha256};

use super::{
    groups::{self, Named},
    installation::{ImportedServer, Installation},
    names::Names,
    report::{ImportReport, Weight},
    secret_file::{SecretFile, literal, reference},
    servers::{EntryWriter, References},
    values,
};

/// The port of MetaMCP's web interface, which is that of its clients.
const PORT: u16 = 12008;
/// MetaMCP's time for a call where nobody set another, in seconds.
const CALL_TIMEOUT: f64 = 60.0;
/// The variable that holds a token which nobody had before.
const NEW_TOKEN: &str = "MCP_OPERATOR_TOKEN";

/// What is to be written.
#[derive(Debug)]
pub(super) struct Imported {
    /// The text of `mcp-servers.json`.
    pub(super) text: String,
    /// The variables that it refers to.
    pub(super) secrets: SecretFile,
    /// The text holds secrets, which no file of variables can hold.
    pub(super) keeps_secrets: bool,
    /// Where it listens.
    pub(super) listen: String,
}

/// Several people use the installation.
#[derive(Debug, thiserror::Error)]
#[error(
    "MetaMCP has private servers, namespaces, endpoints or keys of several users ({}); MCProxy knows no users, and each \
     key would open all of it. Choose one with --user: what is public is imported, too", .0.join(", ")
)]
pub(crate) struct SeveralUsers(Vec<String>);

/// Leaves what is of one user and of everyone.
pub(super) fn choose_user(
    installation: &mut Installation,
    user: Option<&str>,
    report: &mut ImportReport,
) -> Result<(), SeveralUsers> {
    let Installation { servers, namespaces, endpoints, keys, .. } = installation;
    let owners = servers.iter().map(|server| &server.owner).chain(namespaces.iter().map(|namespace| &namespace.owner));
    let owners =
        owners.chain(endpoints.iter().map(|endpoint| &endpoint.owner)).chain(keys.iter().map(|key| &key.owner));
    let mut owners: Vec<String> = owners.flatten().cloned().collect();
    owners.sort_unstable();
    owners.dedup();
    match user {
        None if owners.len() > 1 => return Err(SeveralUsers(owners)),
        None => {}
        Some(user) => {
            let keep = |owner: &Option<String>| owner.as_deref().is_none_or(|owner| owner == user);
            servers.retain(|server| keep(&server.owner));
            namespaces.retain(|namespace| keep(&namespace.owner));
            endpoints.retain(|endpoint| keep(&endpoint.owner));
            keys.retain(|key| keep(&key.owner));
        }
    }
    let is_private = endpoints.iter().any(|endpoint| endpoint.owner.is_some());
    for key in keys.iter().filter(|key| is_private && key.active && key.owner.is_none()) {
        let text = "it was good for public endpoints only; here each key opens every endpoint";
        report.add(Weight::Access, format!("key {}", values::shown(&key.name)), text);
    }
    Ok(())
}

/// Turns the installation into a configuration. `listen`: where to, if the person says so; `random`: what a new token is made of.
pub(super) fn convert(
    installation: &Installation,
    listen: Option<&str>,
    random: &dyn Fn() -> String,
    report: &mut ImportReport,
) -> Imported {
    let mut names = Names::default();
    let servers: Vec<(String, &ImportedServer)> =
        installation.servers.iter().map(|server| (names.give(&server.id.name), server)).collect();
    for (name, server) in servers.iter().filter(|(name, server)| *name != server.id.name) {
        let text = format!("it is called `{name}` here, and its tools `{name}__…`");
        report.add(Weight::Lost, values::shown(&server.id.name), text);
    }
    let mut secrets = SecretFile::default();
    let (entries, keeps_secrets) = entries(installation, &servers, &mut secrets, report);
    let written: Vec<(String, &ImportedServer)> =
        servers.into_iter().filter(|(name, _)| entries.iter().any(|(written, _)| written == name)).collect();
    let groups = groups::groups(installation, &written, report);
    let auth = auth(installation, &mut secrets, random, report);
    let listen = address(installation, listen, auth.is_some(), report);

    let mut file = vec![("listen".to_owned(), Json::Text(listen.clone()))];
    file.extend(auth.map(|auth| ("auth".to_owned(), auth)));
    file.extend(host(installation).map(|host| ("allowedHosts".to_owned(), Json::texts([host]))));
    file.extend(session_idle(installation, report).map(|limits| ("limits".to_owned(), limits)));
    file.extend(defaults(installation, report).map(|defaults| ("defaults".to_owned(), defaults)));
    if !groups.is_empty() {
        file.push(("groups".to_owned(), Json::Object(groups)));
    }
    file.push(("mcpServers".to_owned(), Json::Object(entries)));
    missing_files(installation, report);
    if installation.from_database {
        let text =
            "the web interface with its inspector, users and logs, and the OpenAPI pages (/metamcp/ENDPOINT/api)";
        report.add(Weight::Lost, "without a counterpart", text);
        let text = "they ran in MetaMCP's container: programs and files that their entries name have to be where MCProxy runs \
                    (`mcproxy check` looks for them)";
        report.add(Weight::ToDo, "servers", text);
    }
    Imported { text: Json::Object(file).file(), secrets, keeps_secrets, listen }
}

/// Files that would say more.
fn missing_files(installation: &Installation, report: &mut ImportReport) {
    if !installation.from_variables {
        for file in &installation.named_variables {
            let text = "the unit names this file of variables, which is not followed; give it, too";
            report.add(Weight::ToDo, values::shown(file), text);
        }
    }
    if installation.names_keys && !installation.from_database {
        let text = "MetaMCP made up the values of these keys when it first started: they are in its database only; give the \
                    dump, too (deploy/metamcp-export.sql)";
        report.add(Weight::ToDo, "BOOTSTRAP_API_KEYS", text);
    }
}

/// The servers, but for those that cannot be one, and whether a secret stayed in them.
fn entries(
    installation: &Installation,
    servers: &Named<'_>,
    secrets: &mut SecretFile,
    report: &mut ImportReport,
) -> (Vec<(String, Json)>, bool) {
    let environment = &installation.environment;
    // Before any secret takes their names.
    for (_, value) in servers.iter().flat_map(|(_, server)| &server.env) {
        if let Some(name) = reference(value).filter(|name| !is_passed_on(name)) {
            secrets.refer(name, environment.get(name).map(String::as_str));
        }
    }
    let references = References::Metamcp;
    let mut writer = EntryWriter { references, environment, secrets, report, keeps_secrets: false };
    let mut entries = Vec::with_capacity(servers.len());
    for (name, server) in servers {
        let enabled = !installation.from_database || groups::is_used(server, &installation.namespaces);
        let denied = groups::denied_everywhere(server, &installation.namespaces);
        let Some(entry) = writer.entry(name, server, enabled, &denied) else { continue };
        if !enabled {
            let text = "disabled: no namespace has it active, so no client of MetaMCP could call it";
            writer.report.add(Weight::Note, &server.id.name, text);
        }
        entries.push((name.clone(), entry));
    }
    (entries, writer.keeps_secrets)
}

/// Who may call; `None`: nothing is known of that.
fn auth(
    installation: &Installation,
    secrets: &mut SecretFile,
    random: &dyn Fn() -> String,
    report: &mut ImportReport,
) -> Option<Json> {
    if installation.endpoints.is_empty() && installation.keys.is_empty() {
        return None;
    }
    let mut tokens = Vec::new();
    let (mut names, mut values_seen) = (Vec::new(), Vec::new());
    for key in &installation.keys {
        let value = key.key.trim();
        let shown = values::shown(&key.name);
        if !key.active {
            report.add(Weight::Note, format!("key {shown}"), "it is inactive and left out");
            continue;
        }
        if values_seen.contains(&value) {
            continue;
        }
        values_seen.push(value);
        let short: String = shown.chars().take(50).collect();
        let mut candidates = std::iter::once(short.clone()).chain((2..).map(|number| format!("{short} {number}")));
        let name = candidates.find(|name| !name.is_empty() && !names.contains(name)).unwrap_or(short);
        names.push(name.clone());
        let sha256: String = Sha256::digest(value).iter().map(|byte| format!("{byte:02x}")).collect();
        tokens.push(Json::pairs([("name".to_owned(), literal(&name)), ("sha256".to_owned(), sha256)]));
    }
    if tokens.is_empty() {
        secrets.refer(NEW_TOKEN, Some(&random()));
        let token = ("token".to_owned(), format!("${{{NEW_TOKEN}}}"));
        tokens.push(Json::pairs([("name".to_owned(), "operator".to_owned()), token]));
        let text = format!("no key is active; {NEW_TOKEN} in the file of variables is a new one, for what is not open");
        report.add(Weight::Access, "keys", text);
    } else {
        let text = "each of them opens every endpoint, and also /mcp with all servers (in MetaMCP: every endpoint)";
        report.add(Weight::Access, "keys", text);
    }
    let mut auth = vec![("tokens".to_owned(), Json::List(tokens))];
    let closed = || installation.endpoints.iter().filter(|endpoint| endpoint.needs_key);
    if closed().any(|endpoint| endpoint.key_in_query) {
        auth.push(("queryKey".to_owned(), Json::Bool(true)));
        for endpoint in closed().filter(|endpoint| !endpoint.key_in_query) {
            let text = "a key may stand in its URL now, too (?api_key=): that is allowed for all endpoints or for none";
            report.add(Weight::Access, values::shown(&endpoint.name), text);
        }
    }
    Some(Json::Object(auth))
}

/// The address to listen at: the one that clients know.
fn address(installation: &Installation, wish: Option<&str>, has_auth: bool, report: &mut ImportReport) -> String {
    if let Some(wish) = wish {
        return wish.to_owned();
    }
    let url = installation.app_url.as_deref().and_then(|url| url::Url::parse(url.trim()).ok());
    let (address, port) = match (&installation.published, &url) {
        (Some(published), _) => (published.address.clone().unwrap_or_else(|| "0.0.0.0".to_owned()), published.port),
        (None, Some(url)) if url.scheme() == "http" && url.port().is_some() => {
            let is_local = url.host_str().is_none_or(is_loopback);
            let address = if is_local { "127.0.0.1" } else { "0.0.0.0" };
            (address.to_owned(), url.port().unwrap_or(PORT))
        }
        (None, Some(url)) => {
            let text = format!(
                "{} was led to MetaMCP by a reverse proxy: lead it to 127.0.0.1:{PORT} (docs/reverse-proxy.md)",
                values::shown(url.as_str())
            );
            report.add(Weight::ToDo, "listen", text);
            ("127.0.0.1".to_owned(), PORT)
        }
        (None, None) => {
            let text = format!(
                "these files do not say where clients reached MetaMCP: 127.0.0.1:{PORT} is its default port, for this \
                 machine only. --listen says otherwise"
            );
            report.add(Weight::ToDo, "listen", text);
            ("127.0.0.1".to_owned(), PORT)
        }
    };
    if !has_auth && !is_loopback(&address) {
        let text = format!(
            "MetaMCP was reached from other machines ({address}:{port}), but these files hold no keys: it listens on \
             127.0.0.1:{port} until `auth` says who may call"
        );
        report.add(Weight::ToDo, "listen", text);
        return format!("127.0.0.1:{port}");
    }
    if address.contains(':') && !address.starts_with('[') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The name that clients use for the machine.
fn host(installation: &Installation) -> Option<String> {
    let url = url::Url::parse(installation.app_url.as_deref()?.trim()).ok()?;
    let is_of_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match url.host()? {
        url::Host::Domain(name) if name != "localhost" && name.chars().all(is_of_host) => Some(name.to_owned()),
        url::Host::Domain(_) | url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
    }
}

/// A setting in milliseconds, in seconds within these bounds.
fn seconds(installation: &Installation, key: &str, most: f64, report: &mut ImportReport) -> Option<f64> {
    let written = installation.settings.get(key)?;
    let seconds = written.trim().parse::<f64>().ok().map(|milliseconds| milliseconds / 1000.0);
    let fit = seconds.filter(|seconds| *seconds > 0.0).map(|seconds| seconds.clamp(0.001, most));
    if fit.is_none() || fit != seconds {
        let text = format!(
            "`{}` is no time that can be set; {}",
            values::shown(written),
            match fit {
                Some(fit) => format!("it is {fit} seconds"),
                None => "the default is in force".to_owned(),
            }
        );
        report.add(Weight::Lost, key, text);
    }
    fit
}

fn defaults(installation: &Installation, report: &mut ImportReport) -> Option<Json> {
    let call = seconds(installation, "MCP_TIMEOUT", 86_400.0, report);
    let call = call.or(installation.from_database.then_some(CALL_TIMEOUT));
    let total = seconds(installation, "MCP_MAX_TOTAL_TIMEOUT", 604_800.0, report);
    let total = total.map(|total| total.max(call.unwrap_or_default()));
    if installation.settings.contains_key("MCP_MAX_ATTEMPTS") {
        let text = "a server that ends is started again without a limit, more and more slowly (`restart.maxAttempts` sets one)";
        report.add(Weight::Lost, "MCP_MAX_ATTEMPTS", text);
    }
    let times = [("timeout", call), ("maxTimeout", total)];
    let times = times.into_iter().filter_map(|(key, time)| Some((key.to_owned(), Json::Number(time?))));
    Some(Json::Object(times.collect())).filter(|defaults| !defaults.is_empty())
}

fn session_idle(installation: &Installation, report: &mut ImportReport) -> Option<Json> {
    let idle = seconds(installation, "SESSION_LIFETIME", 2_592_000.0, report)?.max(1.0);
    report.add(Weight::Lost, "SESSION_LIFETIME", "it counts from the last use of a session (`limits.sessionIdle`)");
    Some(Json::Object(vec![("sessionIdle".to_owned(), Json::Number(idle))]))
}
