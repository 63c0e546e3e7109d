//! `mcproxy token new … --add` and `mcproxy token revoke`: edits of `auth.tokens` of a configuration that a person wrote.

use mcproxy_config::{EditableConfig, Json};
use serde_json::Value;

use crate::cli::{
    args::EditOptions,
    commands::edit::{EMPTY, checked},
    config_place::ConfigPlace,
    console::Console,
    diff,
    edited_file::{EditedFile, PRIVATE},
    error::CliError,
    exit::Exit,
    human::{one_line, printable, wrapped},
    supervisor::{SupervisorClient, reload_written},
};

/// One edit.
pub(super) enum TokenChange<'a> {
    /// This entry more.
    Add(&'a Value),
    /// The tokens of this name, or the one whose hash begins like this, less.
    Revoke(&'a str),
}

impl TokenChange<'_> {
    /// Edits the file, checks the outcome, writes it, and has a running supervisor read it.
    pub(super) async fn run(
        self,
        options: &EditOptions,
        supervisor: &SupervisorClient,
        console: &mut Console,
    ) -> Result<Exit, CliError> {
        let place = ConfigPlace::find(options.config.as_deref(), supervisor).await;
        let file = EditedFile::open(&place.path)?;
        let shown = file.path().display().to_string();
        let before = match (&self, file.content()) {
            (_, Some(content)) => content,
            (Self::Add(_), None) => EMPTY,
            (Self::Revoke(_), None) => {
                return Err(CliError::Usage(format!("there is no configuration at {}", printable(&shown))));
            }
        };
        let editable = match EditableConfig::of_file(before) {
            Ok(editable) => editable,
            Err(problems) => return checked::refuse(&problems.in_file(file.path()), &shown, console),
        };
        let (edited, sentence) = self.edited(&editable)?;
        if let Err(problems) = checked::check(&edited, file.path()) {
            return checked::refuse(&problems, &shown, console);
        }
        if options.dry_run {
            console.remark(format_args!("Would change {}:", printable(&shown)));
            diff::write(&String::from_utf8_lossy(file.content().unwrap_or_default()), &edited, console)?;
            return Ok(Exit::Ok);
        }
        let backup = file.write(edited.as_bytes(), PRIVATE)?;
        let beside = backup.map(|backup| format!(" (before: {})", backup.display())).unwrap_or_default();
        console.remark(wrapped(&one_line(&format!("{sentence} in {shown}{beside}")), console.width, "  "));
        if place.is_running {
            let good = reload_written(supervisor, console).await?;
            return Ok(if good { Exit::Ok } else { Exit::Failed });
        }
        console.remark("MCProxy does not run with this file; it counts from the next start");
        Ok(Exit::Ok)
    }

    /// The new text, and what was done.
    fn edited(&self, editable: &EditableConfig) -> Result<(String, String), CliError> {
        match self {
            Self::Add(entry) => {
                let first = editable.tokens().is_empty();
                let text = editable.with_token(&json_of(entry)).map_err(|error| CliError::Usage(error.to_string()))?;
                let more = if first { "; from now on every client needs a token" } else { "" };
                let name = entry.get("name").and_then(Value::as_str).unwrap_or_default();
                Ok((text, format!("added a token of `{}`{more}", printable(name))))
            }
            Self::Revoke(which) => {
                let (text, gone) =
                    editable.without_tokens(which).map_err(|error| CliError::Usage(error.to_string()))?;
                let name = gone.first().map(|token| token.name.clone()).unwrap_or_default();
                let what = match gone.len() {
                    1 => "the token".to_owned(),
                    count => format!("{count} tokens"),
                };
                Ok((text, format!("revoked {what} of `{}`; what was opened with it ends", printable(&name))))
            }
        }
    }
}

/// The same for an edit.
fn json_of(value: &Value) -> Json {
    match value {
        Value::Object(members) => {
            Json::Object(members.iter().map(|(key, value)| (key.clone(), json_of(value))).collect())
        }
        Value::Array(elements) => Json::List(elements.iter().map(json_of).collect()),
        Value::Bool(is) => Json::Bool(*is),
        Value::String(text) => Json::Text(text.clone()),
        other => Json::Text(other.to_string()), // an entry has none
    }
}
