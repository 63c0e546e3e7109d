//! Which servers of other programs are new to a configuration, and the entries that they become. Pure.

use std::collections::BTreeMap;

use mcproxy_config::{Blocked, ForeignEntry, Json, safe_name};
use mcproxy_ipc::ServerName;

use super::{
    super::{
        names::Names,
        report::{ImportReport, Weight},
        secret_file::SecretFile,
        servers::{EntryWriter, References},
        values::shown,
    },
    adapt::adapt,
    file::ForeignFile,
    references::TextReader,
};
use crate::gateway::glob_fits;

/// Our keys in the order in which people write them.
const ORDER: [&str; 10] =
    ["description", "disabled", "type", "command", "args", "env", "cwd", "url", "headers", "bearerToken"];

/// The servers of files, as entries of a configuration.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// By the names that they have here.
    pub(super) new: Vec<(ServerName, Json)>,
    /// Values that are secret and stay in the configuration, by server.
    pub(super) literal_secrets: Vec<(String, usize)>,
    /// How many servers were found, left-out ones among them.
    pub(super) found: usize,
}

/// What to do with what is found.
pub(super) struct MergePlan<'p> {
    /// The servers that the configuration has.
    pub(super) present: &'p [ForeignEntry],
    /// Patterns of names; without any all are taken.
    pub(super) select: &'p [String],
    /// Secrets go to the file of variables.
    pub(super) moves_secrets: bool,
    /// Where MCProxy itself listens, if it is known: what leads there is left out.
    pub(super) own_port: Option<u16>,
}

/// How a server is reached: two that are reached alike are the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ReachKey(String);

impl ReachKey {
    /// What is secret, or a reference, is no part of it: it may have been moved.
    fn of(entry: &Json) -> Self {
        let (mut aside, mut report) = (SecretFile::of(None, ""), ImportReport::default());
        let (entry, _) = secrets_aside("s", entry, true, &mut aside, &mut report);
        let parts = ["command", "args", "url", "cwd"].map(|key| {
            let part = entry.get(key)?.clone();
            Some(without_references(&Json::Object(vec![(key.to_owned(), part)]).file()))
        });
        Self(parts.into_iter().flatten().collect())
    }
}

fn without_references(text: &str) -> String {
    let mut parts = text.split("${");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push('*');
        out.push_str(part.split_once('}').map_or(part, |(_, rest)| rest));
    }
    out
}

/// Puts the servers of all files together.
pub(super) fn merge(
    files: &[ForeignFile],
    plan: &MergePlan<'_>,
    secrets: &mut SecretFile,
    report: &mut ImportReport,
) -> Merged {
    let mut merged = Merged::default();
    let mut names = Names::default();
    let mut known: BTreeMap<ReachKey, String> = BTreeMap::new();
    for entry in plan.present {
        let name = names.give(entry.name.as_deref().unwrap_or("unnamed"));
        if let Ok(name) = ServerName::try_from(name.as_str()) {
            known.entry(ReachKey::of(&entry.in_our_words(&name).entry)).or_insert_with(|| name.to_string());
        }
    }
    for file in files {
        for entry in &file.entries {
            merged.found += 1;
            let wish = entry.name.clone().unwrap_or_else(|| "unnamed".to_owned());
            if !is_selected(&wish, plan.select) {
                continue;
            }
            let about = shown(&wish);
            let Some(ours) = in_our_words(file, entry, &about, plan, secrets, report) else { continue };
            let key = ReachKey::of(&ours);
            if let Some(same) = known.get(&key) {
                let text = match *same == wish || safe_name(&wish) == *same {
                    true => "it is there already; left as it is".to_owned(),
                    false => format!("it is there already, as `{same}`; left as it is"),
                };
                report.add(Weight::Note, &about, text);
                continue;
            }
            let name = names.give(&wish);
            let Ok(name) = ServerName::try_from(name.as_str()) else { continue };
            if name.as_str() != wish {
                report.add(Weight::Lost, &about, format!("it is called `{name}` here, and its tools `{name}__…`"));
            }
            let (entry, literal) = secrets_aside(name.as_str(), &ours, plan.moves_secrets, secrets, report);
            known.insert(key, name.to_string());
            if literal > 0 {
                merged.literal_secrets.push((name.to_string(), literal));
            }
            merged.new.push((name, entry));
        }
    }
    merged
}

fn is_selected(name: &str, select: &[String]) -> bool {
    select.is_empty() || select.iter().any(|pattern| glob_fits(pattern, name) || *pattern == safe_name(name))
}

/// The entry as MCProxy has it; `None`: it cannot have it, which was reported.
fn in_our_words(
    file: &ForeignFile,
    entry: &ForeignEntry,
    about: &str,
    plan: &MergePlan<'_>,
    secrets: &mut SecretFile,
    report: &mut ImportReport,
) -> Option<Json> {
    let adapted = adapt(file.program, &entry.entry, about, report)?;
    let safe = ServerName::try_from(safe_name(about).as_str()).ok()?;
    let adapted = ForeignEntry { name: entry.name.clone(), project: entry.project.clone(), entry: adapted };
    let ours = adapted.in_our_words(&safe);
    match ours.blocked {
        Some(Blocked::Itself) => {
            report.add(Weight::Note, about, "this is MCProxy itself; left out");
            return None;
        }
        Some(blocked @ (Blocked::Kind(_) | Blocked::Mistake(_))) => {
            report.add(Weight::Lost, about, format!("left out: {blocked}"));
            return None;
        }
        Some(Blocked::Variables(_) | Blocked::Reference(_) | Blocked::Secret(_)) | None => {}
    }
    if plan.own_port.is_some_and(|port| leads_to(&ours.entry, port)) {
        report.add(Weight::Note, about, "its URL is that of MCProxy itself; left out");
        return None;
    }
    for said in &ours.said {
        let weight = if said.message.contains("is read as") { Weight::Note } else { Weight::Lost };
        report.add(weight, about, &said.message);
    }
    let folder = entry.project.as_deref().or(file.folder.as_deref());
    let mut reader = TextReader { program: file.program, folder, questions: &file.questions, about, secrets, report };
    let Json::Object(mut members) = reader.value(&ours.entry) else { return None };
    let is_off = members.iter().any(|(key, value)| match key.as_str() {
        "disabled" => *value == Json::Bool(true),
        "enabled" => *value == Json::Bool(false),
        _ => false,
    });
    members.retain(|(key, value)| !matches!(key.as_str(), "disabled" | "enabled") && !value.is_empty());
    if is_off {
        members.push(("disabled".to_owned(), Json::Bool(true)));
        report.add(Weight::Note, about, "it is switched off there, and here");
    }
    let is_started = members.iter().any(|(key, _)| key == "command");
    if let Some(folder) = folder.filter(|_| is_started && !members.iter().any(|(key, _)| key == "cwd")) {
        members.push(("cwd".to_owned(), Json::Text(folder.to_owned())));
        report.add(
            Weight::Note,
            about,
            format!("it is of the project {}, and runs there; all clients see it now", shown(folder)),
        );
    }
    if let Some((_, cwd)) = members.iter_mut().find(|(key, _)| key == "cwd")
        && let Some(relative) = cwd.text().filter(|cwd| !cwd.starts_with(['/', '~', '$']))
    {
        match folder {
            Some(folder) => *cwd = Json::Text(format!("{folder}/{}", relative.trim_start_matches("./"))),
            None => {
                let text =
                    "`cwd` begins where the client was started, here where the configuration is: write the whole path";
                report.add(Weight::ToDo, about, text);
            }
        }
    }
    let place = |key: &str| ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len());
    members.sort_by_key(|(key, _)| place(key));
    Some(Json::Object(members))
}

fn leads_to(entry: &Json, port: u16) -> bool {
    let url = entry.get("url").and_then(Json::text).and_then(|url| url::Url::parse(url).ok());
    url.is_some_and(|url| {
        let is_local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]" | "0.0.0.0"));
        is_local && url.port_or_known_default() == Some(port)
    })
}

/// The entry with its secrets in the file of variables, or with how many of them it has.
fn secrets_aside(
    name: &str,
    entry: &Json,
    moves: bool,
    secrets: &mut SecretFile,
    report: &mut ImportReport,
) -> (Json, usize) {
    let environment = BTreeMap::new();
    let mut counted = SecretFile::of(None, "");
    let into = if moves { secrets } else { &mut counted };
    let references = References::Ours;
    let mut writer = EntryWriter { references, environment: &environment, secrets: into, report, keeps_secrets: false };
    let texts = |value: &Json| value.elements().iter().filter_map(Json::text).map(str::to_owned).collect::<Vec<_>>();
    let members: Vec<(String, Json)> = entry
        .members()
        .iter()
        .map(|(key, value)| {
            let value = match (key.as_str(), value) {
                ("env" | "headers", Json::Object(pairs)) => {
                    Json::pairs(pairs.iter().filter_map(|(variable, value)| {
                        Some((variable.clone(), writer.own_value(name, variable, value.text()?)))
                    }))
                }
                ("args", Json::List(_)) => Json::texts(writer.arguments(name, &texts(value))),
                ("bearerToken", Json::Text(token)) if !token.contains("${") => {
                    Json::Text(writer.aside(name, &format!("{name}_TOKEN"), token))
                }
                ("url", Json::Text(url)) if writer.looks_secret(url) => {
                    Json::Text(writer.aside(name, &format!("{name}_URL"), url))
                }
                _ => value.clone(),
            };
            (key.clone(), value)
        })
        .collect();
    match moves {
        true => (Json::Object(members), 0),
        false => (entry.clone(), counted.names().count()),
    }
}
