//! `mcproxy token new`: a token, and the entry of the configuration that lets its holder in. The token is shown this once; the
//! configuration needs its hash only.

use std::time::{Duration, SystemTime};

use clap::Args;
use data_encoding::HEXLOWER;
use mcproxy_config::Config;
use mcproxy_ipc::moment;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::change::TokenChange;
use crate::cli::{args::EditOptions, console::Console, error::CliError, exit::Exit, supervisor::SupervisorClient};

/// What tokens of ours begin with, so that scanners for secrets find them.
const PREFIX: &str = "mcproxy_";
const DAY: Duration = Duration::from_secs(86_400);

/// Who the token is for, and what it may use.
#[derive(Debug, Args)]
pub(crate) struct NewToken {
    /// Who uses it; appears in logs
    name: String,
    /// Only these servers
    #[arg(long, value_name = "SERVER", value_delimiter = ',', num_args = 1)]
    servers: Vec<String>,
    /// What these groups show
    #[arg(long, value_name = "GROUP", value_delimiter = ',', num_args = 1)]
    groups: Vec<String>,
    /// Only tools that fit these patterns: `time__*`
    #[arg(long, value_name = "SERVER__TOOL", value_delimiter = ',', num_args = 1)]
    tools: Vec<String>,
    /// Until when: 2027-01-31, a time of RFC 3339, or a number of days: 90d
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Add the entry to the configuration
    #[arg(long)]
    add: bool,
    #[command(flatten)]
    options: EditOptions,
}

impl NewToken {
    /// Makes the token and prints it with its entry.
    pub(crate) async fn run(
        self,
        supervisor: &SupervisorClient,
        json: bool,
        console: &mut Console,
    ) -> Result<Exit, CliError> {
        if !self.add && (self.options.config.is_some() || self.options.dry_run) {
            return Err(CliError::Usage("--config and --dry-run go with --add".to_owned()));
        }
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| CliError::Refused(format!("this machine gives no randomness: {error}")))?;
        let token = PREFIX.to_owned() + &HEXLOWER.encode(&bytes);
        let entry = self.entry(&token, SystemTime::now());
        if let Some(complaint) = complaint(&entry) {
            return Err(CliError::Usage(complaint));
        }
        if self.add {
            let added = TokenChange::Add(&entry).run(&self.options, supervisor, console).await?;
            if self.options.dry_run || !matches!(added, Exit::Ok | Exit::Failed) {
                return Ok(added);
            }
            self.show(&token, &entry, json, console)?;
            return Ok(added);
        }
        self.show(&token, &entry, json, console)?;
        if json {
            return Ok(Exit::Ok);
        }
        console.remark("To let it in, add this to `auth.tokens` of the configuration:");
        writeln!(console.out, "{entry}")?;
        Ok(Exit::Ok)
    }

    fn show(&self, token: &str, entry: &Value, json: bool, console: &mut Console) -> Result<(), CliError> {
        if json {
            writeln!(console.out, "{}", json!({"token": token, "entry": entry}))?;
            return Ok(());
        }
        console.remark(format_args!("The token of {:?}, which is shown this once:", self.name));
        writeln!(console.out, "{token}")?;
        Ok(())
    }

    fn entry(&self, token: &str, now: SystemTime) -> Value {
        let mut entry = Map::new();
        entry.insert("name".to_owned(), json!(self.name));
        entry.insert("sha256".to_owned(), json!(HEXLOWER.encode(&Sha256::digest(token))));
        let lists = [("servers", &self.servers), ("groups", &self.groups), ("tools", &self.tools)];
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            entry.insert(key.to_owned(), json!(list));
        }
        if let Some(expires) = &self.expires {
            entry.insert("expires".to_owned(), json!(after_days(expires, now).unwrap_or_else(|| expires.clone())));
        }
        Value::Object(entry)
    }
}

/// The moment so many days from now, of `90d`.
fn after_days(text: &str, now: SystemTime) -> Option<String> {
    let days: u32 = text.strip_suffix('d')?.parse().ok()?;
    let at = now.checked_add(DAY * days)?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(moment(at.as_secs() * 1000))
}

/// What the configuration would say against it, whatever servers and groups it has.
fn complaint(entry: &Value) -> Option<String> {
    let mut entry = entry.clone();
    for key in ["servers", "groups"] {
        entry.as_object_mut()?.remove(key);
    }
    let file = json!({"auth": {"tokens": [entry]}}).to_string();
    let problems = Config::parse(&file, &|_| None).err()?;
    problems.list().first().map(|problem| problem.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str, tools: &[&str], expires: Option<&str>) -> NewToken {
        NewToken {
            name: name.to_owned(),
            servers: vec!["time".to_owned()],
            groups: Vec::new(),
            tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
            expires: expires.map(str::to_owned),
            add: false,
            options: EditOptions::default(),
        }
    }

    #[test]
    fn an_entry_holds_the_hash_and_what_was_asked_for() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_432_377);
        let entry = new("ci", &["time__*"], Some("2d")).entry("mcproxy_x", now);
        assert_eq!(
            entry,
            json!({"name": "ci", "sha256": HEXLOWER.encode(&Sha256::digest("mcproxy_x")), "servers": ["time"],
                "tools": ["time__*"], "expires": "2026-11-25T11:12:57.000Z"})
        );
        assert_eq!(complaint(&entry), None);
    }

    #[test]
    fn what_the_configuration_would_refuse_is_refused_here() {
        let now = SystemTime::UNIX_EPOCH;
        for (new, part) in [
            (new(" ", &[], None), "printable"),
            (new("ci", &["time"], None), "{server}__{tool}"),
            (new("ci", &[], Some("soon")), "2027-01-31"),
            (new("ci", &[], Some("99999999999d")), "2027-01-31"),
        ] {
            let said = complaint(&new.entry("mcproxy_x", now)).unwrap_or_default();
            assert!(said.contains(part), "{new:?}: {said}");
        }
    }
}
