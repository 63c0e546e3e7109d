//! Servers of an installation as entries of `mcpServers`.

use std::collections::BTreeMap;

use mcproxy_config::Json;
use mcproxy_ipc::environment::is_passed_on;

use super::{
    installation::{ImportedServer, ServerKind},
    report::{ImportReport, Weight},
    secret_file::{SecretFile, is_secret, literal, looks_secret, reference},
    values,
};

/// How this machine is called within a container.
const HOST_OF_CONTAINER: &str = "host.docker.internal";

/// What `${…}` in a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum References {
    /// A text like any other; in a variable that is nothing else, a reference to MetaMCP's environment.
    Metamcp,
    /// A reference, as in our own file.
    Ours,
}

/// Writes entries, and puts their secrets aside.
pub(super) struct EntryWriter<'a> {
    pub(super) references: References,
    /// What the container's environment held.
    pub(super) environment: &'a BTreeMap<String, String>,
    pub(super) secrets: &'a mut SecretFile,
    pub(super) report: &'a mut ImportReport,
    /// Whether a secret had to stay in the configuration.
    pub(super) keeps_secrets: bool,
}

impl EntryWriter<'_> {
    /// The entry of a server; `None`: it cannot be one. `denied`: tools that are shown nowhere.
    pub(super) fn entry(
        &mut self,
        name: &str,
        server: &ImportedServer,
        enabled: bool,
        denied: &[String],
    ) -> Option<Json> {
        let reach = match &server.kind {
            ServerKind::Stdio => self.command(name, server)?,
            ServerKind::Sse => self.address(name, server, "sse")?,
            ServerKind::Http => self.address(name, server, "http")?,
            ServerKind::Unknown(kind) => {
                let text = format!("its type `{}` is not known; it is left out", values::shown(kind));
                self.report.add(Weight::Lost, &server.id.name, text);
                return None;
            }
        };
        let mut entry = Vec::new();
        let description = server.description.as_deref().map(str::trim).filter(|text| !text.is_empty());
        entry.extend(description.map(|text| ("description".to_owned(), Json::Text(literal(text)))));
        if !enabled {
            entry.push(("disabled".to_owned(), Json::Bool(true)));
        }
        entry.extend(reach);
        if !denied.is_empty() {
            let deny = Json::texts(denied.iter().map(|tool| literal(tool)));
            entry.push(("tools".to_owned(), Json::Object(vec![("deny".to_owned(), deny)])));
        }
        if server.failed && enabled {
            self.report.add(
                Weight::Note,
                &server.id.name,
                "MetaMCP had given it up after an error; it is started again",
            );
        }
        Some(Json::Object(entry))
    }

    fn command(&mut self, name: &str, server: &ImportedServer) -> Option<Vec<(String, Json)>> {
        let Some(command) = &server.command else {
            self.report.add(Weight::Lost, &server.id.name, "it has no command and is left out");
            return None;
        };
        let mut entry = vec![("command".to_owned(), Json::Text(literal(command.trim())))];
        let args = self.arguments(name, &server.args);
        if !args.is_empty() {
            entry.push(("args".to_owned(), Json::texts(args)));
        }
        let env: Vec<(String, String)> =
            server.env.iter().map(|(key, value)| (key.clone(), self.variable(name, key, value))).collect();
        if !env.is_empty() {
            entry.push(("env".to_owned(), Json::pairs(env)));
        }
        Some(entry)
    }

    fn address(&mut self, name: &str, server: &ImportedServer, kind: &str) -> Option<Vec<(String, Json)>> {
        let Some(url) = &server.url else {
            self.report.add(Weight::Lost, &server.id.name, "it has neither a command nor an address and is left out");
            return None;
        };
        if url.contains(HOST_OF_CONTAINER) {
            let text = format!(
                "`{HOST_OF_CONTAINER}` in its address is this machine as seen from a container: write 127.0.0.1 if MCProxy \
                 runs on the machine itself"
            );
            self.report.add(Weight::ToDo, &server.id.name, text);
        }
        if server.signed_in {
            self.report.add(
                Weight::ToDo,
                &server.id.name,
                "somebody signed in to it by OAuth; that has to be done again",
            );
        }
        let url =
            if self.looks_secret(url) { self.aside(name, &format!("{name}_URL"), url) } else { literal(url.trim()) };
        let mut entry = vec![("type".to_owned(), Json::Text(kind.to_owned())), ("url".to_owned(), Json::Text(url))];
        let headers: Vec<(String, String)> = server
            .headers
            .iter()
            .map(|(key, value)| {
                let value = if is_secret(key, value) { self.aside(name, key, value) } else { literal(value) };
                (key.clone(), value)
            })
            .collect();
        if !headers.is_empty() {
            entry.push(("headers".to_owned(), Json::pairs(headers)));
        }
        if let Some(token) = &server.bearer_token {
            let token = self.aside(name, &format!("{name}_TOKEN"), token);
            entry.push(("bearerToken".to_owned(), Json::Text(token)));
        }
        Some(entry)
    }

    /// The value of a variable, the names of references being in the file already. MetaMCP looks a value up that is a reference and nothing else, and passes it on as it is where its
    /// own environment lacks it.
    fn variable(&mut self, server: &str, key: &str, value: &str) -> String {
        let Some(name) = reference(value) else {
            return if is_secret(key, value) { self.aside(server, key, value) } else { literal(value) };
        };
        if is_passed_on(name) {
            self.report.add(Weight::Note, server, format!("`{value}` is what MCProxy's own environment says"));
            return value.to_owned();
        }
        if !self.environment.contains_key(name) {
            let text = format!(
                "set {name} in the file of variables: MetaMCP had it from its own environment (give its .env to import it). \
                 Until then the server gets the text {value}, as from MetaMCP without it"
            );
            self.report.add(Weight::ToDo, server, text);
        }
        value.to_owned()
    }

    /// Arguments: secrets are found by the option that they are of, or by their look.
    pub(super) fn arguments(&mut self, server: &str, args: &[String]) -> Vec<String> {
        let mut written = Vec::with_capacity(args.len());
        let mut option: Option<&str> = None;
        for arg in args {
            let before = option.take();
            // `--api-key=x`, `KEY=x`, `Authorization: Bearer x`
            let named = [": ", "=", ":"].iter().find_map(|separator| {
                let (name, value) = arg.split_once(separator)?;
                let bare = name.trim_start_matches('-');
                let is_name = !bare.is_empty() && bare.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
                (is_name && self.is_secret(bare, value)).then_some((&arg[..name.len() + separator.len()], bare, value))
            });
            let text = match (named, before) {
                (Some((start, name, value)), _) => self.plain(start) + &self.aside(server, name, value),
                (None, Some(option)) if !arg.starts_with('-') && self.is_secret(option, arg) => {
                    self.aside(server, option, arg)
                }
                (None, _) if self.looks_secret(arg) => self.aside(server, &format!("{server}_SECRET"), arg),
                (None, _) => self.plain(arg),
            };
            option = arg.strip_prefix('-').map(|rest| rest.trim_start_matches('-')).filter(|name| !name.contains('='));
            written.push(text);
        }
        written
    }

    /// The value of a variable or header of one of our own entries.
    pub(super) fn own_value(&mut self, server: &str, key: &str, value: &str) -> String {
        if self.is_secret(key, value) { self.aside(server, key, value) } else { self.plain(value) }
    }

    fn is_secret(&self, name: &str, value: &str) -> bool {
        is_secret(name, value) && !self.refers(value)
    }

    /// Whether a value says by itself that it is a secret.
    pub(super) fn looks_secret(&self, value: &str) -> bool {
        looks_secret(value) && !self.refers(value)
    }

    fn refers(&self, value: &str) -> bool {
        self.references == References::Ours && value.contains("${")
    }

    fn plain(&self, text: &str) -> String {
        match self.references {
            References::Metamcp => literal(text),
            References::Ours => text.to_owned(),
        }
    }

    /// Puts a secret aside and returns what stands in its place.
    pub(super) fn aside(&mut self, server: &str, name: &str, value: &str) -> String {
        self.secrets.keep(server, name, value.trim()).unwrap_or_else(|| {
            self.keeps_secrets = true;
            let text =
                format!("`{}` stays in the configuration: a file of variables cannot hold it", values::shown(name));
            self.report.add(Weight::Note, server, text);
            self.plain(value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(args: &[&str]) -> (Vec<String>, String) {
        let (mut secrets, mut report) = (SecretFile::default(), ImportReport::default());
        let environment = BTreeMap::new();
        let mut writer = EntryWriter {
            references: References::Metamcp,
            environment: &environment,
            secrets: &mut secrets,
            report: &mut report,
            keeps_secrets: false,
        };
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let args = writer.arguments("s", &args);
        (args, secrets.text().unwrap_or_default())
    }

    #[test]
    fn secrets_among_arguments_are_put_aside() {
        let (args, file) = written(&[
            "-y",
            "mcp-remote",
            "https://x.example/mcp",
            "--header",
            "Authorization: Bearer abc",
            "--api-key=k1",
            "--token",
            "t1",
            "-e",
            "DB_PASSWORD=hunter2",
            "--verbose",
            "${HOME}",
        ]);
        assert_eq!(
            args,
            [
                "-y",
                "mcp-remote",
                "https://x.example/mcp",
                "--header",
                "Authorization: ${AUTHORIZATION}",
                "--api-key=${API_KEY}",
                "--token",
                "${TOKEN}",
                "-e",
                "DB_PASSWORD=${DB_PASSWORD}",
                "--verbose",
                "$${HOME}",
            ]
        );
        for line in ["AUTHORIZATION=Bearer abc\n", "API_KEY=k1\n", "token=t1\n", "DB_PASSWORD=hunter2\n"] {
            assert!(file.to_ascii_lowercase().contains(&line.to_ascii_lowercase()), "{file}");
        }
    }

    #[test]
    fn arguments_without_secrets_stay_as_they_are() {
        let plain = [
            "-y",
            "@playwright/mcp@latest",
            "--headless",
            "--local-timezone=Europe/Vienna",
            "C:\\x",
            "a=b",
            "http://x:80/",
        ];
        let (args, file) = written(&plain);
        assert_eq!((args, file), (plain.iter().map(|arg| (*arg).to_owned()).collect(), String::new()));
    }
}
