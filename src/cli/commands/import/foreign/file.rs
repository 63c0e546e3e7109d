//! A file of another program, and the servers in it. Pure.

use std::path::Path;

use mcproxy_config::{ForeignEntry, Json, Problems};
use toml_edit::{DocumentMut, Item, Value};

use crate::cli::{
    clients::{ClientProgram, FileForm},
    user_dirs::user_config_dir,
};

/// Folders in which editors keep their files within a project.
const PROJECT_FOLDERS: [&str; 4] = [".cursor", ".vscode", ".zed", ".gemini"];

/// What a file says.
#[derive(Debug)]
pub(super) struct ForeignFile {
    /// What it is called in what is said of it.
    pub(super) shown: String,
    /// Whose it is, as far as it is known.
    pub(super) program: Option<ClientProgram>,
    pub(super) entries: Vec<ForeignEntry>,
    pub(super) questions: Vec<EditorQuestion>,
    /// The project that all of it is for.
    pub(super) folder: Option<String>,
}

/// Something that VS Code asks its user for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EditorQuestion {
    pub(super) id: String,
    pub(super) description: Option<String>,
    pub(super) default: Option<String>,
}

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForeignFileError {
    /// It is not JSON; where and why.
    #[error("line {line}, column {column}: {why}")]
    Json { line: usize, column: usize, why: String },
    /// It is not TOML.
    #[error("line {line}, column {column}: not TOML: {why}")]
    Toml { line: usize, column: usize, why: String },
    /// It is not text.
    #[error("it is not UTF-8 text")]
    Text,
    /// It is JSON, and nothing of it is a server.
    #[error(
        "it is no file of MCP servers: expected an object with `mcpServers`, `servers`, `context_servers` or `mcp`"
    )]
    Other,
}

/// Reads a file.
pub(super) fn read(program: Option<ClientProgram>, path: &Path, bytes: &[u8]) -> Result<ForeignFile, ForeignFileError> {
    let program = program.or_else(|| ClientProgram::of_path(path));
    let is_toml =
        program.map(ClientProgram::form) == Some(FileForm::Toml) && path.extension().is_none_or(|e| e != "json");
    let json;
    let bytes = if is_toml {
        json = toml(bytes)?.file();
        json.as_bytes()
    } else {
        bytes
    };
    let root = Json::read(bytes).map_err(|problems| first(&problems))?;
    if !matches!(root, Json::Object(_)) {
        return Err(ForeignFileError::Other);
    }
    let entries = ForeignEntry::all(bytes).map_err(|problems| first(&problems))?;
    Ok(ForeignFile {
        shown: path.display().to_string(),
        program,
        entries,
        questions: questions(&root),
        folder: project(path),
    })
}

fn first(problems: &Problems) -> ForeignFileError {
    match problems.list().first() {
        Some(problem) => {
            ForeignFileError::Json { line: problem.line, column: problem.column, why: problem.message.clone() }
        }
        None => ForeignFileError::Other,
    }
}

/// What is asked for: in VS Code's `mcp.json`, and in its settings below `mcp`.
fn questions(root: &Json) -> Vec<EditorQuestion> {
    let of = |root: &Json| root.get("inputs").map(Json::elements).unwrap_or_default().to_vec();
    let all = of(root).into_iter().chain(root.get("mcp").map(of).unwrap_or_default());
    let text = |input: &Json, key: &str| input.get(key).and_then(Json::text).map(str::to_owned);
    all.filter_map(|input| {
        Some(EditorQuestion {
            id: text(&input, "id")?,
            description: text(&input, "description"),
            default: text(&input, "default"),
        })
    })
    .collect()
}

/// The project that a file in it is for. What lies in a person's HOME is for all.
fn project(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    let folder = path.parent()?;
    let name = path.file_name()?.to_str()?;
    let is_own = folder.file_name().and_then(|name| name.to_str()).is_some_and(|name| PROJECT_FOLDERS.contains(&name));
    let project = match (is_own, name) {
        (true, _) => folder.parent()?,
        (false, ".mcp.json" | "opencode.json" | "opencode.jsonc") => folder,
        (false, _) => return None,
    };
    let config = user_config_dir();
    let is_for_all =
        std::env::home_dir().as_deref() == Some(project) || config.is_some_and(|config| project.starts_with(config));
    (!is_for_all).then(|| project.display().to_string())
}

/// TOML as JSON, in its order.
fn toml(bytes: &[u8]) -> Result<Json, ForeignFileError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ForeignFileError::Text)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let before = &text[..text.floor_char_boundary(at)];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        // Its own text shows the line, and what is secret in it.
        ForeignFileError::Toml { line, column, why: error.message().lines().next().unwrap_or_default().to_owned() }
    })?;
    Ok(of_item(document.as_item()))
}

fn of_item(item: &Item) -> Json {
    match item {
        Item::None => Json::Null,
        Item::Value(value) => of_value(value),
        Item::Table(table) => Json::Object(table.iter().map(|(key, item)| (key.to_owned(), of_item(item))).collect()),
        Item::ArrayOfTables(tables) => Json::List(
            tables
                .iter()
                .map(|table| Json::Object(table.iter().map(|(key, item)| (key.to_owned(), of_item(item))).collect()))
                .collect(),
        ),
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of such files are times and ports")]
fn of_value(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::Text(text.value().clone()),
        Value::Integer(number) => Json::Number(*number.value() as f64),
        // JSON has no other numbers.
        Value::Float(number) if number.value().is_finite() => Json::Number(*number.value()),
        Value::Float(_) => Json::Null,
        Value::Boolean(truth) => Json::Bool(*truth.value()),
        Value::Datetime(moment) => Json::Text(moment.value().to_string()),
        Value::Array(elements) => Json::List(elements.iter().map(of_value).collect()),
        Value::InlineTable(table) => {
            Json::Object(table.iter().map(|(key, value)| (key.to_owned(), of_value(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(name: &str, text: &str) -> Result<ForeignFile, String> {
        read(None, Path::new(name), text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_that_cannot_be_read_is_located_and_shows_nothing_of_itself() {
        for (name, text, says) in [
            ("mcp.json", "{\"mcpServers\": {\n  \"a\": hunter2}}", "line 2, column 8: not JSON"),
            ("mcp.json", "", "line 1, column 1"),
            ("mcp.json", "[]", "no file of MCP servers"),
            ("config.toml", "[mcp_servers.a]\ncommand = hunter2\n", "line 2, column 11: not TOML"),
            ("config.toml", "[a]\n[a]\n", "not TOML"),
        ] {
            let error = file(name, text).expect_err(text);
            assert!(error.contains(says) && !error.contains("hunter2"), "{text}: {error}");
        }
        assert!(
            read(None, Path::new("config.toml"), b"\xff").is_err() && read(None, Path::new("a.json"), b"\xff").is_err()
        );
    }

    #[test]
    fn what_an_editor_asks_for_and_the_project_of_a_file_are_known() {
        let text = r#"{"inputs": [{"type": "promptString", "id": "key", "description": "API key", "password": true}],
            "servers": {"a": {"command": "x", "env": {"K": "${input:key}"}}}}"#;
        let found = file("/srv/app/.vscode/mcp.json", text).expect("a file");
        assert_eq!((found.questions[0].id.as_str(), found.folder.as_deref()), ("key", Some("/srv/app")));
        assert_eq!(found.program, Some(ClientProgram::VsCode));
        assert_eq!(file("/srv/app/.mcp.json", "{}").expect("a file").folder.as_deref(), Some("/srv/app"));
        assert_eq!(file("/srv/app/mcp.json", "{}").expect("a file").folder, None);
    }

    proptest! {
        #[test]
        fn no_text_is_read_with_a_panic(text in "[\\[\\]{}a-c=\"'.\\n:,#0-9/* -]{0,60}") {
            let _ = file("a.json", &text);
            let _ = file("a.toml", &text);
        }
    }
}
