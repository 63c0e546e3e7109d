//! `mcproxy add`, `remove`, `enable` and `disable`: edits of the configuration that a person wrote. `entry` makes an entry of a command
//! line, `checked` says whether the edited file may be written.

pub(in crate::cli) mod checked;
mod entry;

use mcproxy_config::{EditError, EditableConfig};
use mcproxy_ipc::ServerName;
use serde_json::json;

use self::checked::EditedConfig;
use crate::cli::{
    args::{AddArgs, EditOptions},
    config_place::ConfigPlace,
    console::Console,
    diff,
    edited_file::{EditedFile, PRIVATE},
    error::CliError,
    exit::Exit,
    human::{one_line, printable, wrapped},
    names::unknown_server,
    supervisor::{SupervisorClient, reload_written},
};

/// What a configuration begins with.
pub(in crate::cli) const EMPTY: &[u8] = b"{\n  \"mcpServers\": {}\n}\n";

/// One edit of one server.
pub(crate) enum ServerEdit {
    /// A new one.
    Add(Box<AddArgs>),
    /// One less.
    Remove(String),
    /// On or off.
    Switch(String, bool),
}

impl ServerEdit {
    /// Edits the file, checks the outcome, writes it, and has a running supervisor read it.
    pub(crate) async fn run(
        self,
        options: &EditOptions,
        supervisor: &SupervisorClient,
        json: bool,
        console: &mut Console,
    ) -> Result<Exit, CliError> {
        let place = ConfigPlace::find(options.config.as_deref(), supervisor).await;
        let file = EditedFile::open(&place.path)?;
        let before = match (&self, file.content()) {
            (_, Some(content)) => content,
            (Self::Add(_), None) => EMPTY,
            (Self::Remove(_) | Self::Switch(..), None) => {
                return Err(CliError::Usage(format!("there is no configuration at {}", file.path().display())));
            }
        };
        let shown = file.path().display().to_string();
        let editable = match EditableConfig::of_file(before) {
            Ok(editable) => editable,
            Err(problems) => return checked::refuse(&problems.in_file(file.path()), &shown, console),
        };
        let edited = self.edited(&editable)?;
        let checked = match checked::check(&edited, file.path()) {
            Ok(checked) => checked,
            Err(problems) => return checked::refuse(&problems, &shown, console),
        };
        let (edited, checked) = self.effective(edited, checked, file.path())?;
        if let Some(mistake) = checked.mistake_of(self.server()) {
            return Err(CliError::Usage(format!("nothing was written: {mistake}")));
        }
        let sentence = self.sentence();
        if edited.as_bytes() == before {
            return tell(json, false, &format!("{sentence} already; {shown} is as it was"), None, console);
        }
        if options.dry_run {
            writeln!(console.out, "Would change {}:", printable(&shown))?;
            diff::write(&String::from_utf8_lossy(file.content().unwrap_or_default()), &edited, console)?;
            checked.tell_warnings(self.server(), console);
            return Ok(Exit::Ok);
        }
        let backup = file.write(edited.as_bytes(), PRIVATE)?;
        let beside = backup.as_ref().map(|backup| format!(" (before: {})", backup.display())).unwrap_or_default();
        tell(json, true, &format!("{sentence} in {shown}{beside}"), backup.as_deref(), console)?;
        checked.tell_warnings(self.server(), console);
        if place.is_running {
            let good = reload_written(supervisor, console).await?;
            return Ok(if good { Exit::Ok } else { Exit::Failed });
        }
        if !json {
            console.remark("MCProxy does not run with this file; start it with `mcproxy-supervisor --log`");
        }
        Ok(Exit::Ok)
    }

    fn server(&self) -> &str {
        match self {
            Self::Add(add) => &add.server,
            Self::Remove(server) | Self::Switch(server, _) => server,
        }
    }

    fn sentence(&self) -> String {
        let server = self.server();
        match self {
            Self::Add(_) => format!("added `{server}`"),
            Self::Remove(_) => format!("removed `{server}`"),
            Self::Switch(_, true) => format!("enabled `{server}`"),
            Self::Switch(_, false) => format!("disabled `{server}`"),
        }
    }

    fn edited(&self, editable: &EditableConfig) -> Result<String, CliError> {
        let edited = match self {
            Self::Add(add) => {
                let name = ServerName::try_from(add.server.as_str())
                    .map_err(|error| CliError::Usage(format!("`{}` is no name: {error}", printable(&add.server))))?;
                if name.as_str() == mcproxy_config::RESERVED_NAME {
                    return Err(CliError::Usage("`mcproxy` is the name of the built-in server".to_owned()));
                }
                editable.with_server(&name, &entry::of(add)?)
            }
            Self::Remove(server) => editable.without_server(server),
            Self::Switch(server, on) => editable.with_switch(server, *on),
        };
        edited.map_err(|error| match error {
            EditError::Unknown(server) => unknown_server(&server, editable.names()),
            EditError::Exists(server) => CliError::Usage(format!(
                "there is a server `{server}` already; `mcproxy remove {server}` takes it out, or choose another name"
            )),
            EditError::Place(_) => CliError::Usage(error.to_string()),
        })
    }

    /// The edit, and what it takes for a server that the defaults switch off.
    fn effective(
        &self,
        edited: String,
        checked: EditedConfig,
        path: &std::path::Path,
    ) -> Result<(String, EditedConfig), CliError> {
        let Self::Switch(server, true) = self else { return Ok((edited, checked)) };
        if checked.config.server(server).is_none_or(|server| server.enabled) {
            return Ok((edited, checked));
        }
        let again = EditableConfig::of_file(edited.as_bytes()).ok().and_then(|file| file.with_own_switch(server).ok());
        let again = again.and_then(|edited| Some((checked::check(&edited, path).ok()?, edited)));
        match again {
            Some((checked, edited)) => Ok((edited, checked)),
            None => Err(CliError::Usage(format!("`{server}` is off for another reason: see `mcproxy check`"))),
        }
    }
}

fn tell(
    json: bool,
    changed: bool,
    sentence: &str,
    backup: Option<&std::path::Path>,
    console: &mut Console,
) -> Result<Exit, CliError> {
    if json {
        writeln!(console.out, "{}", json!({"done": sentence, "changed": changed, "backup": backup}))?;
    } else {
        writeln!(console.out, "{}", wrapped(&one_line(sentence), console.width, "  "))?;
    }
    Ok(Exit::Ok)
}
