//! What MetaMCP's container is started with: a quadlet (`.container`) or its environment (`.env`).

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::{
    installation::{Installation, MetaEndpoint, Namespace, Published, RowRef},
    report::{ImportReport, Weight},
    values,
};

/// The port of MetaMCP within its container, for the web interface and for clients.
const PUBLIC_PORT: u16 = 12008;
/// The settings that are kept in the database, too.
const SETTINGS: [&str; 5] =
    ["MCP_TIMEOUT", "MCP_MAX_TOTAL_TIMEOUT", "MCP_MAX_ATTEMPTS", "MCP_RESET_TIMEOUT_ON_PROGRESS", "SESSION_LIFETIME"];
/// The public address, by the names that versions have given it.
const URLS: [&str; 3] = ["APP_URL", "NEXT_PUBLIC_APP_URL", "BETTER_AUTH_URL"];

/// Whether this is a quadlet or a list of variables: every line is a section, a comment or an assignment.
pub(super) fn is_one(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    if lines.peek().is_none_or(|first| first.starts_with(['{', '['])) {
        return text.lines().any(|line| line.trim() == "[Container]");
    }
    let lines = joined(text);
    let assignments = lines.iter().filter(|line| assignment(line).is_some()).count();
    let others = lines.iter().filter(|line| !line.is_empty() && !line.starts_with('[')).count();
    assignments > 0 && assignments == others
}

/// Takes it in.
pub(super) fn read(text: &str, source: &str, into: &mut Installation, report: &mut ImportReport) {
    let is_unit = text.lines().any(|line| line.trim() == "[Container]");
    into.from_variables |= !is_unit;
    let lines = joined(text);
    let mut variables: Vec<(String, String)> = Vec::new();
    for line in &lines {
        let Some((key, value)) = assignment(line) else { continue };
        match (is_unit, key) {
            (false, key) => variables.push((key.to_owned(), unquoted(value))),
            (true, "Environment") => {
                for word in words(value) {
                    if let Some((key, value)) = word.split_once('=') {
                        variables.push((key.to_owned(), value.to_owned()));
                    }
                }
            }
            (true, "EnvironmentFile") => into.named_variables.push(value.to_owned()),
            (true, "Secret") => {
                let text = "Secret= is not followed: values of servers that refer to it have to be set by hand";
                report.add(Weight::ToDo, source, text);
            }
            (true, "PublishPort") => {
                if let Some(published) = published(value) {
                    into.published = Some(published);
                }
            }
            (true, "Volume") if !value.contains("docker.sock") => {
                let text =
                    format!("servers that use files of the volume `{}` find them elsewhere now", values::shown(value));
                report.add(Weight::ToDo, source, text);
            }
            (true, _) => {}
        }
    }
    for (key, value) in variables {
        take(key, value, source, into, report);
    }
}

fn take(key: String, value: String, source: &str, into: &mut Installation, report: &mut ImportReport) {
    match key.as_str() {
        "BOOTSTRAP_NAMESPACES" => bootstrap(&key, &value, source, report, |row| {
            let name = values::text_of(row, &["name"])?;
            if !into.namespaces.iter().any(|known| known.id.name == name) {
                let id = RowRef { uuid: None, name };
                let owner = owner(row);
                into.namespaces.push(Namespace { id, owner, servers: Vec::new(), tools: Vec::new() });
            }
            Some(())
        }),
        "BOOTSTRAP_ENDPOINTS" => bootstrap(&key, &value, source, report, |row| {
            let name = values::text_of(row, &["name"])?;
            let namespace = values::text_of(row, &["namespace", "namespace_name"])
                .or_else(|| Some(into.namespaces.first()?.id.name.clone()))?;
            let says = |key: &str| row.get(key).and_then(values::truth);
            if !into.endpoints.iter().any(|known| known.name == name) {
                into.endpoints.push(MetaEndpoint {
                    name,
                    namespace: RowRef { uuid: None, name: namespace },
                    owner: owner(row),
                    needs_key: says("enable_auth").or_else(|| says("enable_api_key_auth")).unwrap_or(true),
                    key_in_query: says("enable_auth_query").or_else(|| says("use_query_param_auth")).unwrap_or(false),
                    oauth: says("enable_auth_oauth").or_else(|| says("enable_oauth")).unwrap_or(false),
                    has_rate: false,
                });
            }
            Some(())
        }),
        "BOOTSTRAP_API_KEYS" => into.names_keys = true,
        name if SETTINGS.contains(&name) => {
            into.settings.entry(key).or_insert(value);
        }
        name if URLS.contains(&name) => {
            into.app_url.get_or_insert(value);
        }
        _ => {
            into.environment.insert(key, value);
        }
    }
}

/// Whose a row is; one that says it is public is everyone's.
fn owner(row: &Map<String, Value>) -> Option<String> {
    let public = row.get("is_public").and_then(values::truth).unwrap_or(false);
    values::text_of(row, &["user_email", "owner"]).filter(|_| !public)
}

/// Goes through the rows of a variable that holds a list.
fn bootstrap(
    key: &str,
    value: &str,
    source: &str,
    report: &mut ImportReport,
    mut each: impl FnMut(&Map<String, Value>) -> Option<()>,
) {
    let about = || format!("{key} in {source}");
    let Ok(rows) = serde_json::from_str::<Vec<Value>>(value) else {
        report.add(Weight::Lost, about(), "it is no JSON list and is left out, as MetaMCP does");
        return;
    };
    for row in &rows {
        if row.as_object().and_then(&mut each).is_none() {
            report.add(Weight::Lost, about(), "an element without a name is left out");
        }
    }
}

/// Lines that go on are put together; comments are left out.
fn joined(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        match lines.last_mut().filter(|_| open) {
            Some(last) if unclosed(last) => {
                last.push('\n');
                last.push_str(line);
            }
            Some(last) => {
                last.truncate(last.len() - 1);
                last.push_str(line.trim_start());
            }
            None if line.trim_start().starts_with(['#', ';']) => continue,
            None => lines.push(line.trim().to_owned()),
        }
        open = lines.last().is_some_and(|last| last.ends_with('\\') || unclosed(last));
    }
    lines
}

/// Whether a value in quotes goes on on the next line, as lists in JSON do.
fn unclosed(line: &str) -> bool {
    let Some((_, value)) = assignment(line) else { return false };
    ['\'', '"'].iter().any(|quote| value.starts_with(*quote) && value.matches(*quote).count() == 1)
}

/// A variable or key of a unit, and its value. `export` may stand before it.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let key = key.strip_prefix("export ").map_or(key, str::trim_start);
    let is_name = !key.is_empty()
        && !key.starts_with(|c: char| c.is_ascii_digit())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    is_name.then_some((key, value.trim()))
}

/// A value without its quotes; what stands behind an unquoted one as a comment is none of it.
fn unquoted(value: &str) -> String {
    if let Some((inner, _)) = value.strip_prefix('\'').and_then(|rest| rest.split_once('\'')) {
        return inner.to_owned();
    }
    if let Some(rest) = value.strip_prefix('"') {
        let mut inner = String::with_capacity(rest.len());
        let mut rest = rest.chars();
        while let Some(c) = rest.next().filter(|c| *c != '"') {
            match (c, c == '\\') {
                (_, true) => match rest.next() {
                    Some('n') => inner.push('\n'),
                    other => inner.extend(other),
                },
                (c, false) => inner.push(c),
            }
        }
        return inner;
    }
    value.split_once(" #").map_or(value, |(value, _)| value.trim_end()).to_owned()
}

/// The words of a key of a unit: in quotes they may hold spaces (systemd.syntax).
fn words(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (_, '\\') => word.extend(rest.next()),
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, c) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (_, c) => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    // A `%` of a unit is written twice.
    words.into_iter().map(|word| word.replace("%%", "%")).collect()
}

/// `[[address:]port:]container-port[/protocol]`, of the port that clients use.
fn published(value: &str) -> Option<Published> {
    let value = value.split('/').next()?;
    let (rest, inner) = value.rsplit_once(':')?;
    if inner.parse::<u16>().ok()? != PUBLIC_PORT {
        return None;
    }
    let (address, port) = match rest.rsplit_once(':') {
        Some((address, port)) => (Some(address.to_owned()), port),
        None => (None, rest),
    };
    let is_address = |address: &String| address.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    Some(Published { address: address.filter(is_address), port: port.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_text(text: &str) -> (Installation, ImportReport) {
        let (mut installation, mut report) = (Installation::default(), ImportReport::default());
        assert!(is_one(text), "{text}");
        read(text, "file", &mut installation, &mut report);
        (installation, report)
    }

    #[test]
    fn a_quadlet_says_where_clients_find_it_and_what_servers_may_refer_to() {
        let unit = "[Unit]\nDescription=MetaMCP\n\n[Container]\nImage=ghcr.io/metatool-ai/metamcp:latest\r\n\
                    PublishPort=12009:12009\nPublishPort=127.0.0.1:8080:12008/tcp\n# a comment = none\n\
                    Environment=APP_URL=http://tools.lan:8080 \"A=one two\" 'B=x%%y'\n\
                    Environment=MCP_TIMEOUT=120000 \\\n  C=3\nEnvironmentFile=%h/metamcp.env\nVolume=/srv/notes:/notes\n\
                    [Install]\nWantedBy=default.target\n";
        let (installation, report) = read_text(unit);
        assert_eq!(installation.published, Some(Published { address: Some("127.0.0.1".into()), port: 8080 }));
        assert_eq!(installation.app_url.as_deref(), Some("http://tools.lan:8080"));
        assert_eq!(installation.settings["MCP_TIMEOUT"], "120000");
        let environment = ["A", "B", "C"].map(|name| installation.environment[name].as_str());
        assert_eq!(environment, ["one two", "x%y", "3"]);
        assert_eq!(installation.named_variables, ["%h/metamcp.env"]);
        assert_eq!(report.of(Weight::ToDo).len(), 1, "{report:?}");
    }

    #[test]
    fn an_environment_is_read_as_shells_and_compose_write_it() {
        let text = "# MetaMCP\r\nexport APP_URL='http://localhost:12008'\r\nTOKEN=\"a\\\"b\" \nPLAIN=x # said\nEMPTY=\nLEVEL='one' #'two', 'three'\n\
                    BOOTSTRAP_NAMESPACES='[\n  {\"name\": \"home\"}\n]'\n\
                    BOOTSTRAP_ENDPOINTS=[{\"name\":\"h\",\"enable_auth\":false},{\"name\":\"w\",\"namespace\":\"home\",\"enable_auth_query\":true}]\n\
                    BOOTSTRAP_API_KEYS=[{\"name\":\"k\"}]\n";
        let (installation, report) = read_text(text);
        assert_eq!(installation.environment["TOKEN"], "a\"b");
        assert_eq!(installation.environment["PLAIN"], "x");
        assert_eq!(installation.environment["LEVEL"], "one");
        assert_eq!(installation.namespaces.len(), 1);
        let endpoints = installation.endpoints.iter();
        let endpoints = endpoints.map(|e| (e.name.as_str(), e.namespace.name.as_str(), e.needs_key, e.key_in_query));
        assert_eq!(endpoints.collect::<Vec<_>>(), [("h", "home", false, false), ("w", "home", true, true)]);
        assert!(installation.names_keys && installation.from_variables && report.of(Weight::ToDo).is_empty());
    }

    #[test]
    fn other_text_is_no_environment() {
        for text in
            ["{\"a\": 1}", "[{\"servers\": []}]", "a sentence with = in it", "services:\n  a=b\n", "# only a comment"]
        {
            assert!(!is_one(text), "{text}");
        }
    }

    #[test]
    fn lists_that_are_none_are_reported() {
        let (installation, report) = read_text("BOOTSTRAP_ENDPOINTS=nonsense\nBOOTSTRAP_NAMESPACES=[1,{}]\n");
        assert!(installation.endpoints.is_empty() && installation.namespaces.is_empty());
        assert_eq!(report.of(Weight::Lost).len(), 2, "{report:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[A-C_a-c=\"' \\\\#;\\[\\]\\n\\r:%/0-9é]{0,60}") {
            let _ = is_one(&text);
            read(&text, "file", &mut Installation::default(), &mut ImportReport::default());
        }
    }
}
