//! `mcproxy link` and `unlink`: MCProxy in the files of clients, and out of them again. `linked` makes the texts.
//!
//! What a file was before lies beside it, and `unlink` puts that very file back, as long as nothing else changed it.

mod linked;

use std::path::{Path, PathBuf};

use mcproxy_config::Json;
use serde_json::json;

pub(crate) use self::linked::LinkError;
use self::linked::{entry_in, with_entry, without_entry};
use crate::cli::{
    args::{LinkArgs, LinkChoice},
    clients::ClientProgram,
    console::Console,
    diff,
    edited_file::{EditedFile, PRIVATE},
    error::CliError,
    exit::Exit,
    human::{one_line, printable, wrapped},
    table::Table,
};

/// What a file was before it was linked has this behind its name.
const BEFORE: &str = ".before-mcproxy";

/// A client's file, and what becomes of it.
struct Planned {
    program: ClientProgram,
    file: EditedFile,
    change: LinkChange,
}

/// What is done to a file.
enum LinkChange {
    /// This is written.
    Write(String),
    /// What it was comes back.
    Restore(Vec<u8>),
    /// Nothing, and why.
    Nothing(String),
}

/// Links the clients to `url`; without clients it says how each is.
pub(crate) fn link(
    args: &LinkArgs,
    url: &str,
    token: Option<&str>,
    json: bool,
    console: &mut Console,
) -> Result<Exit, CliError> {
    if args.choice.clients.is_empty() {
        return list(json, console);
    }
    let program = std::env::current_exe().ok().and_then(|program| program.to_str().map(str::to_owned));
    let program = program.unwrap_or_else(|| "mcproxy".to_owned());
    let plan = |client: ClientProgram, file: EditedFile| {
        let entry = client.entry(url, token, &program);
        let content = file.content().unwrap_or_default();
        let change = match entry_in(client, content).map_err(|source| failed(&file, source))? {
            Some(known) if known == entry => LinkChange::Nothing("is linked already".to_owned()),
            Some(known) => {
                let known = known.get("url").or_else(|| known.get("serverUrl")).or_else(|| known.get("httpUrl"));
                let to = known.and_then(Json::text).map(|url| format!(" to {url}")).unwrap_or_default();
                let word = client.word();
                return Err(CliError::Usage(format!(
                    "{} has an entry `mcproxy` already{to}; `mcproxy unlink {word}` first",
                    file.path().display()
                )));
            }
            None => {
                let text = with_entry(client, content, &entry).map_err(|source| failed(&file, source))?;
                LinkChange::Write(text)
            }
        };
        Ok(Planned { program: client, file, change })
    };
    let planned = plan_all(&args.choice, &plan)?;
    carry_out(planned, &args.choice, json, console)
}

/// Takes MCProxy out of the clients' files.
pub(crate) fn unlink(
    choice: &LinkChoice,
    keep_changes: bool,
    json: bool,
    console: &mut Console,
) -> Result<Exit, CliError> {
    if choice.clients.is_empty() {
        return list(json, console);
    }
    let plan = |client: ClientProgram, file: EditedFile| {
        let content = file.content().unwrap_or_default();
        let Some(entry) = entry_in(client, content).map_err(|source| failed(&file, source))? else {
            return Ok(Planned { program: client, file, change: LinkChange::Nothing("is not linked".to_owned()) });
        };
        let before = EditedFile::open(&file.backup())?.content().map(<[u8]>::to_vec);
        // Linking is a function of the file and the entry, so it says whether anything else has changed.
        let same = with_entry(client, before.as_deref().unwrap_or_default(), &entry);
        let change = if same.is_ok_and(|linked| linked.as_bytes() == content) {
            LinkChange::Restore(before.unwrap_or_default())
        } else if keep_changes {
            LinkChange::Write(without_entry(client, content).map_err(|source| failed(&file, source))?)
        } else {
            let path = file.path().display();
            let word = client.word();
            return Err(CliError::Refused(format!(
                "{path} has changed since it was linked, so it cannot be put back as it was; `mcproxy unlink {word} \
                 --keep-changes` takes only the entry out"
            )));
        };
        Ok(Planned { program: client, file, change })
    };
    let planned = plan_all(choice, &plan)?;
    carry_out(planned, choice, json, console)
}

fn failed(file: &EditedFile, source: LinkError) -> CliError {
    CliError::Link { path: file.path().to_owned(), source }
}

/// All or none: what cannot be done for one is told before anything is done for another.
fn plan_all(
    choice: &LinkChoice,
    plan: &dyn Fn(ClientProgram, EditedFile) -> Result<Planned, CliError>,
) -> Result<Vec<Planned>, CliError> {
    let clients = clients(choice)?;
    if choice.file.is_some() && clients.len() != 1 {
        return Err(CliError::Usage("--file is for one client".to_owned()));
    }
    let of = |client: ClientProgram| {
        let path = choice.file.clone().or_else(|| usual_file(client));
        let path = path.ok_or_else(|| {
            CliError::Usage("HOME does not say where clients have their files; name one with --file".to_owned())
        })?;
        plan(client, EditedFile::open_with_backup(&path, BEFORE)?)
    };
    clients.into_iter().map(of).collect()
}

/// The file that is there, or would be.
fn usual_file(client: ClientProgram) -> Option<PathBuf> {
    client.file().or_else(|| client.files().into_iter().next())
}

fn clients(choice: &LinkChoice) -> Result<Vec<ClientProgram>, CliError> {
    let linkable = || ClientProgram::ALL.into_iter().filter(|client| !client.is_gateway());
    if choice.clients.iter().any(|word| word == "all") {
        let found: Vec<ClientProgram> = linkable().filter(|client| client.is_here()).collect();
        return match found.is_empty() {
            true => Err(CliError::Usage("no client was found here; name one".to_owned())),
            false => Ok(found),
        };
    }
    let mut clients = Vec::new();
    for word in &choice.clients {
        match ClientProgram::of_word(word).filter(|client| !client.is_gateway()) {
            Some(client) if clients.contains(&client) => {}
            Some(client) => clients.push(client),
            None => {
                let words: Vec<&str> = linkable().map(ClientProgram::word).collect();
                let near = mcproxy_config::nearest(word, words.iter().copied());
                let advice = near.map_or_else(
                    || format!("the clients are {}", words.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(CliError::Usage(format!(
                    "`{}` is no client that can be linked; {advice}",
                    printable(word)
                )));
            }
        }
    }
    Ok(clients)
}

/// Shows all of it, asks once, and does it.
fn carry_out(planned: Vec<Planned>, choice: &LinkChoice, json: bool, console: &mut Console) -> Result<Exit, CliError> {
    let is_change = |planned: &Planned| !matches!(planned.change, LinkChange::Nothing(_));
    if !json {
        for plan in &planned {
            plan.show(console)?;
        }
    }
    let changes = planned.iter().any(is_change);
    let wanted = changes && !choice.dry_run && (json || choice.yes || console.confirm("Write?", true)?);
    if wanted {
        for plan in &planned {
            plan.carry_out()?;
        }
    }
    if json {
        let each = planned.iter().map(|plan| {
            json!({"client": plan.program.word(), "file": plan.file.path(), "changed": wanted && is_change(plan)})
        });
        writeln!(console.out, "{:#}", each.collect::<serde_json::Value>())?;
    } else if changes && !wanted {
        writeln!(console.out, "Nothing was written.")?;
    } else if wanted {
        let done: Vec<&str> = planned.iter().filter(|plan| is_change(plan)).map(|plan| plan.program.title()).collect();
        let line = format!("Done. Start {} anew, or have it read its servers again.", done.join(", "));
        writeln!(console.out, "{}", wrapped(&line, console.width, "  "))?;
    }
    Ok(Exit::Ok)
}

impl Planned {
    fn show(&self, console: &mut Console) -> Result<(), CliError> {
        let line = format!("{}: {}", self.program.title(), self.file.path().display());
        match &self.change {
            LinkChange::Nothing(why) => {
                writeln!(console.out, "{}", wrapped(&one_line(&format!("{line} {why}")), console.width, "  "))?;
            }
            LinkChange::Write(after) => self.show_change(&line, after, console)?,
            LinkChange::Restore(before) => self.show_change(&line, &String::from_utf8_lossy(before), console)?,
        }
        Ok(())
    }

    fn show_change(&self, line: &str, after: &str, console: &mut Console) -> Result<(), CliError> {
        writeln!(console.out, "{}", wrapped(&one_line(line), console.width, "  "))?;
        let before = String::from_utf8_lossy(self.file.content().unwrap_or_default());
        diff::write(&before, after, console)?;
        writeln!(console.out)?;
        Ok(())
    }

    fn carry_out(&self) -> Result<(), CliError> {
        match &self.change {
            LinkChange::Write(text) => {
                self.file.write(text.as_bytes(), PRIVATE)?;
            }
            LinkChange::Restore(_) => self.file.restore()?,
            LinkChange::Nothing(_) => {}
        }
        Ok(())
    }
}

/// How each client is.
fn list(json: bool, console: &mut Console) -> Result<Exit, CliError> {
    let mut rows = Vec::new();
    for client in ClientProgram::ALL.into_iter().filter(|client| !client.is_gateway()) {
        let Some(path) = usual_file(client) else { continue };
        let state = match state(client, &path) {
            _ if !client.is_here() => "not found",
            Ok(true) => "linked",
            Ok(false) => "not linked",
            Err(_) => "cannot be read",
        };
        rows.push((client, path, state));
    }
    if json {
        let each =
            rows.iter().map(|(client, path, state)| json!({"client": client.word(), "file": path, "state": state}));
        writeln!(console.out, "{:#}", each.collect::<serde_json::Value>())?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["CLIENT", "STATE", "FILE"], &[]);
    for (client, path, state) in rows {
        table.row(vec![client.word().to_owned(), state.to_owned(), one_line(&path.display().to_string())]);
    }
    table.write(&mut console.out, console.width)?;
    console.remark("`mcproxy link CLIENT …` links some, `mcproxy link all` all that were found");
    Ok(Exit::Ok)
}

fn state(client: ClientProgram, path: &Path) -> Result<bool, CliError> {
    let file = EditedFile::open(path)?;
    let entry = entry_in(client, file.content().unwrap_or_default()).map_err(|source| failed(&file, source))?;
    Ok(entry.is_some())
}
