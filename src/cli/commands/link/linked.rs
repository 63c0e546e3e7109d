//! The text of a client's file with MCProxy in it, and without. Pure.

use mcproxy_config::{EditError, EditableConfig, Json, Problems};
use toml_edit::{DocumentMut, Item, Value};

use crate::cli::clients::{ClientProgram, FileForm};

/// What MCProxy is called in clients' files.
pub(super) const NAME: &str = "mcproxy";

/// Why a file cannot have it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// It is not JSON.
    #[error("{0}")]
    Json(Problems),
    /// It is not TOML.
    #[error("it is not TOML: {0}")]
    Toml(String),
    /// It is not text.
    #[error("it is not UTF-8 text")]
    Text,
    /// There is no place for it.
    #[error(transparent)]
    Place(#[from] EditError),
    /// Its table cannot be added to.
    #[error("its `{0}` is not a table to which one can be added; write it as [{0}.NAME]")]
    Table(&'static str),
}

/// The entry in a file; `None`: there is none.
pub(super) fn entry_in(program: ClientProgram, content: &[u8]) -> Result<Option<Json>, LinkError> {
    if is_blank(content) {
        return Ok(None);
    }
    match program.form() {
        FileForm::Json => Ok(json(content)?.member_of(program.container(), NAME)),
        FileForm::Toml => {
            let document = toml(content)?;
            let entry = document.get(program.container()).and_then(|table| table.get(NAME));
            Ok(entry.map(|entry| {
                let text = |key: &str| entry.get(key).and_then(Item::as_str).map(str::to_owned);
                let url = text("url").map(|url| ("url".to_owned(), Json::Text(url)));
                let headers = entry.get("http_headers").and_then(Item::as_table_like).map(|headers| {
                    let pair = |(name, value): (&str, &Item)| Some((name.to_owned(), value.as_str()?.to_owned()));
                    ("http_headers".to_owned(), Json::pairs(headers.iter().filter_map(pair)))
                });
                Json::Object(url.into_iter().chain(headers).collect())
            }))
        }
    }
}

/// The file with the entry.
pub(super) fn with_entry(program: ClientProgram, content: &[u8], entry: &Json) -> Result<String, LinkError> {
    match program.form() {
        FileForm::Json => {
            let content: &[u8] = if is_blank(content) { b"{\n}\n" } else { content };
            Ok(json(content)?.with_member_of(program.container(), NAME, entry)?)
        }
        FileForm::Toml => with_table(program.container(), content, entry),
    }
}

/// The file without it, whatever else has changed in it.
pub(super) fn without_entry(program: ClientProgram, content: &[u8]) -> Result<String, LinkError> {
    match program.form() {
        FileForm::Json => Ok(json(content)?.without_member_of(program.container(), NAME)?),
        FileForm::Toml => {
            let mut document = toml(content)?;
            if let Some(tables) = document.get_mut(program.container()).and_then(Item::as_table_like_mut) {
                tables.remove(NAME);
            }
            Ok(document.to_string())
        }
    }
}

fn is_blank(content: &[u8]) -> bool {
    content.iter().all(u8::is_ascii_whitespace)
}

fn json(content: &[u8]) -> Result<EditableConfig, LinkError> {
    EditableConfig::of_file(content).map_err(LinkError::Json)
}

fn toml(content: &[u8]) -> Result<DocumentMut, LinkError> {
    let text = std::str::from_utf8(content).map_err(|_| LinkError::Text)?;
    // Its whole text shows lines of the file.
    text.parse().map_err(|error: toml_edit::TomlError| LinkError::Toml(error.message().to_owned()))
}

/// A table more at the end of the file, all of which stays as it is.
fn with_table(container: &'static str, content: &[u8], entry: &Json) -> Result<String, LinkError> {
    let before = toml(content)?;
    let text = std::str::from_utf8(content).map_err(|_| LinkError::Text)?;
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let quoted = |text: &str| Value::from(text).to_string().trim().to_owned();
    let mut lines = vec![format!("[{container}.{NAME}]")];
    for (key, value) in entry.members() {
        match value {
            Json::Text(value) => lines.push(format!("{key} = {}", quoted(value))),
            Json::Object(pairs) => {
                let pair =
                    |(name, value): &(String, Json)| Some(format!("{} = {}", quoted(name), quoted(value.text()?)));
                lines.push(format!("{key} = {{ {} }}", pairs.iter().filter_map(pair).collect::<Vec<_>>().join(", ")));
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::List(_) => {}
        }
    }
    let end = match text {
        "" => "",
        text if text.ends_with('\n') => newline,
        _ => &format!("{newline}{newline}"),
    };
    let after = format!("{text}{end}{}{newline}", lines.join(newline));
    // One that is written in a line, or by keys with dots, cannot be added to.
    let read: Result<DocumentMut, _> = after.parse();
    let is_there = read.is_ok_and(|document| {
        let keys = |document: &DocumentMut| document.iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>();
        let (old, new) = (keys(&before), keys(&document));
        document.get(container).and_then(|table| table.get(NAME)).is_some() && old.iter().all(|key| new.contains(key))
    });
    if is_there { Ok(after) } else { Err(LinkError::Table(container)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(program: ClientProgram) -> Json {
        program.entry("http://127.0.0.1:12009/mcp", None, "/usr/bin/mcproxy")
    }

    fn linked(program: ClientProgram, text: &str) -> String {
        let linked = with_entry(program, text.as_bytes(), &entry(program)).expect("linked");
        assert_eq!(entry_in(program, linked.as_bytes()).expect("read"), Some(entry(program)), "{linked}");
        linked
    }

    #[test]
    fn each_client_gets_an_entry_as_it_writes_them_itself() {
        use ClientProgram as P;
        for (program, before, after) in [
            (P::Cursor, "", "{\n  \"mcpServers\": {\"mcproxy\": {\"url\": \"http://127.0.0.1:12009/mcp\"}}\n}\n"),
            (
                P::VsCode,
                "{\n\t\"servers\": {}\n}\n",
                "{\n\t\"servers\": {\n\t\t\"mcproxy\": {\"type\": \"http\", \"url\": \"http://127.0.0.1:12009/mcp\"}\n\t}\n}\n",
            ),
            (
                P::Zed,
                "// z\n{\n  \"vim_mode\": true,\n}\n",
                "// z\n{\n  \"vim_mode\": true,\n  \"context_servers\": {\"mcproxy\": {\"url\": \"http://127.0.0.1:12009/mcp\"}},\n}\n",
            ),
            (
                P::Codex,
                "model = \"x\"\n",
                "model = \"x\"\n\n[mcp_servers.mcproxy]\nurl = \"http://127.0.0.1:12009/mcp\"\n",
            ),
            (P::Codex, "", "[mcp_servers.mcproxy]\nurl = \"http://127.0.0.1:12009/mcp\"\n"),
            (
                P::Codex,
                "a = 1\r\n[mcp_servers.b]\r\nurl = 'u'",
                "a = 1\r\n[mcp_servers.b]\r\nurl = 'u'\r\n\r\n[mcp_servers.mcproxy]\r\nurl = \"http://127.0.0.1:12009/mcp\"\r\n",
            ),
        ] {
            assert_eq!(linked(program, before), after, "{before}");
        }
        let desktop = linked(P::ClaudeDesktop, "{}");
        assert!(
            desktop.contains(r#"{"command": "/usr/bin/mcproxy", "args": ["connect", "http://127.0.0.1:12009/mcp"]}"#),
            "{desktop}"
        );
        let with_token = P::Codex.entry("http://h/mcp", Some("to\"ken"), "");
        let text = with_entry(P::Codex, b"", &with_token).expect("linked");
        assert_eq!(entry_in(P::Codex, text.as_bytes()).expect("read"), Some(with_token), "{text}");
    }

    #[test]
    fn what_has_no_place_for_it_is_refused() {
        use ClientProgram as P;
        for (program, text) in [
            (P::Cursor, "{\"mcpServers\": []}"),
            (P::Cursor, "[]"),
            (P::Cursor, "{"),
            (P::Codex, "mcp_servers = { a = { command = 'x' } }\n"),
            (P::Codex, "mcp_servers = 1\n"),
            (P::Codex, "["),
        ] {
            assert!(with_entry(program, text.as_bytes(), &entry(program)).is_err(), "{text}");
        }
    }

    #[test]
    fn it_can_be_taken_out_of_a_file_that_changed() {
        let text = linked(ClientProgram::Cursor, "{\n  \"mcpServers\": {\n    \"a\": {}\n  }\n}\n");
        let changed = text.replace("\"a\": {}", "\"b\": {}");
        let without = without_entry(ClientProgram::Cursor, changed.as_bytes()).expect("taken out");
        assert_eq!(without, "{\n  \"mcpServers\": {\n    \"b\": {}\n  }\n}\n");
        let text = linked(ClientProgram::Codex, "a = 1 # one\n").replace("a = 1", "a = 2");
        let without = without_entry(ClientProgram::Codex, text.as_bytes()).expect("taken out");
        assert!(without.starts_with("a = 2 # one\n") && !without.contains("mcproxy"), "{without}");
    }
}
