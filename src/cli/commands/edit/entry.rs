//! An entry of a command line. Pure.

use mcproxy_config::Json;
use url::Url;

use crate::cli::{args::AddArgs, error::CliError, human::printable};

/// The entry that was asked for.
pub(super) fn of(add: &AddArgs) -> Result<Json, CliError> {
    let usage = |text: &str| CliError::Usage(text.to_owned());
    let mut entry = Vec::new();
    match (&add.url, &add.command[..]) {
        (None, [program, args @ ..]) => {
            if !add.header.is_empty() || add.sse {
                return Err(usage("--header and --sse are for servers at a URL"));
            }
            entry.push(("command".to_owned(), Json::Text(program.clone())));
            if !args.is_empty() {
                entry.push(("args".to_owned(), Json::texts(args)));
            }
            let env = add.env.iter().map(|pair| variable(pair)).collect::<Result<Vec<_>, _>>()?;
            if !env.is_empty() {
                entry.push(("env".to_owned(), Json::pairs(env)));
            }
            entry.extend(add.cwd.as_ref().map(|cwd| ("cwd".to_owned(), Json::Text(cwd.clone()))));
        }
        (Some(url), []) => {
            if !add.env.is_empty() || add.cwd.is_some() {
                return Err(usage(
                    "--env and --cwd are for servers that are started; a server at a URL takes --header",
                ));
            }
            let is_http =
                Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) || url.starts_with("${");
            if !is_http {
                let shown = printable(url);
                return Err(CliError::Usage(format!(
                    "`{shown}` is no http:// or https:// URL; a command stands behind `--`: `mcproxy add {} -- {shown} …`",
                    printable(&add.server)
                )));
            }
            entry.extend(add.sse.then(|| ("type".to_owned(), Json::Text("sse".to_owned()))));
            entry.push(("url".to_owned(), Json::Text(url.clone())));
            let headers = add.header.iter().map(|pair| header(pair)).collect::<Result<Vec<_>, _>>()?;
            if !headers.is_empty() {
                entry.push(("headers".to_owned(), Json::pairs(headers)));
            }
        }
        (None, []) => {
            let server = printable(&add.server);
            return Err(CliError::Usage(format!(
                "what is `{server}`? A command: `mcproxy add {server} -- npx -y PACKAGE`, or an address: `mcproxy add {server} URL`"
            )));
        }
        (Some(_), _) => return Err(usage("a server is a command or a URL, not both")),
    }
    entry.extend(add.lazy.then(|| ("start".to_owned(), Json::Text("lazy".to_owned()))));
    Ok(Json::Object(entry))
}

/// `NAME=VALUE`, or `NAME` for the value that it has where MCProxy runs.
fn variable(pair: &str) -> Result<(String, String), CliError> {
    let (name, value) = match pair.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => (pair, format!("${{{pair}}}")),
    };
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(CliError::Usage("--env takes NAME=VALUE, or NAME alone for MCProxy's own value".to_owned()));
    }
    Ok((name.to_owned(), value))
}

fn header(pair: &str) -> Result<(String, String), CliError> {
    let (name, value) = pair.split_once(':').map(|(name, value)| (name.trim(), value.trim())).unwrap_or_default();
    if name.is_empty() || value.is_empty() {
        return Err(CliError::Usage("--header takes 'NAME: VALUE'".to_owned()));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use mcproxy_config::EditableConfig;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn entry(line: &[&str]) -> Result<String, String> {
        let words = ["mcproxy", "add"].iter().chain(line);
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        let Command::Add(add) = cli.command else { panic!("another command") };
        let written = of(&add).map_err(|error| error.to_string())?;
        let file = EditableConfig::of_file(b"{}").expect("JSON");
        Ok(file.with_server(&"a".try_into().expect("a name"), &written).expect("added"))
    }

    #[test]
    fn a_command_and_a_url_become_entries() {
        for (line, expected) in [
            (
                &["time", "--", "uvx", "mcp-server-time"][..],
                r#"{"mcpServers": {"a": {"command": "uvx", "args": ["mcp-server-time"]}}}"#,
            ),
            (
                &["x", "--env", "A=b=c", "--env", "TOKEN", "--lazy", "--", "x", "--env", "y"],
                r#"{"mcpServers": {"a": {"command": "x", "args": ["--env", "y"], "env": {"A": "b=c", "TOKEN": "${TOKEN}"}, "start": "lazy"}}}"#,
            ),
            (
                &["x", "https://x.example/mcp", "--header", "X-Key: ${KEY}", "--sse"],
                r#"{"mcpServers": {"a": {"type": "sse", "url": "https://x.example/mcp", "headers": {"X-Key": "${KEY}"}}}}"#,
            ),
        ] {
            assert_eq!(entry(line).expect("an entry"), expected, "{line:?}");
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_what_to_write() {
        for (line, says) in [
            (&["x"][..], "mcproxy add x -- npx"),
            (&["x", "npx"], "mcproxy add x -- npx …"),
            (&["x", "http://x/", "--", "npx"], "not both"),
            (&["x", "http://x/", "--env", "A=b"], "--header"),
            (&["x", "--header", "A: b", "--", "y"], "at a URL"),
            (&["x", "--env", "1=b", "--", "y"], "NAME=VALUE"),
            (&["x", "http://x/", "--header", "nonsense"], "NAME: VALUE"),
        ] {
            let error = entry(line).expect_err("refused");
            assert!(error.contains(says), "{line:?}: {error}");
        }
    }
}
