//! Servers of another program's file, taken out of it and put into our words, to be written into a configuration.

use mcproxy_ipc::ServerName;

use crate::dialect::{self, ServerEntry, Source};
use crate::json_text::Json;
use crate::problem::{Problem, Problems, Severity};
use crate::report::Report;
use crate::schema;
use crate::server::Blocked;
use crate::shape::{ShapeCheck, ShapeLevel};
use crate::text;
use crate::tree::{self, Node, TreeValue};

/// Where programs keep what belongs to single folders, by their paths.
const PROJECTS: &str = "projects";
/// The names of those that are switched off in such a folder.
const DISABLED: &str = "disabledMcpServers";
/// Settings of an editor within a file of a workspace.
const SETTINGS: &str = "settings";

/// One server as the other program wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignEntry {
    /// As it is called there; `None`: it has no name.
    pub name: Option<String>,
    /// The folder that it is for alone.
    pub project: Option<String>,
    /// Its entry, which is an object.
    pub entry: Json,
}

/// One server in our words.
#[derive(Debug, Clone, PartialEq)]
pub struct OurEntry {
    /// The entry.
    pub entry: Json,
    /// What is not as it was, or not understood: where, and what is said of it.
    pub said: Vec<Problem>,
    /// Why it could not be started, whatever else there is.
    pub blocked: Option<Blocked>,
}

impl Json {
    /// Reads JSON, with comments, trailing commas and a byte-order mark.
    ///
    /// # Errors
    /// It is not that.
    pub fn read(bytes: &[u8]) -> Result<Self, Problems> {
        root(bytes).map(|root| written(&root))
    }
}

impl ForeignEntry {
    /// The servers of a file, those of its projects behind the others.
    ///
    /// # Errors
    /// The file is not JSON.
    pub fn all(bytes: &[u8]) -> Result<Vec<Self>, Problems> {
        let mut root = root(bytes)?;
        let mut report = Report::default();
        let projects = root.get(PROJECTS).cloned();
        let settings = root.get(SETTINGS).cloned();
        let mut found: Vec<Self> = entries(&mut root, None, &mut report);
        if found.is_empty()
            && let Some(mut settings) = settings
        {
            found = entries(&mut settings, None, &mut report);
        }
        for project in projects.iter().flat_map(Node::members) {
            let Some(servers) = project.node.members().iter().find(|member| member.key == "mcpServers") else {
                continue;
            };
            let mut alone = project.node.clone();
            alone.value = TreeValue::Object(vec![servers.clone()]);
            let off: Vec<&str> = project
                .node
                .get(DISABLED)
                .map(Node::elements)
                .unwrap_or_default()
                .iter()
                .filter_map(|name| Some(name.text()?.value()))
                .collect();
            let mut of_project = entries(&mut alone, Some(&project.key), &mut report);
            for entry in
                of_project.iter_mut().filter(|entry| entry.name.as_deref().is_some_and(|name| off.contains(&name)))
            {
                if let Json::Object(members) = &mut entry.entry {
                    members.retain(|(key, _)| key != "disabled" && key != "enabled");
                    members.push(("disabled".to_owned(), Json::Bool(true)));
                }
            }
            found.extend(of_project);
        }
        Ok(found)
    }

    /// The same in our words. `name` is used in what is said.
    pub fn in_our_words(&self, name: &ServerName) -> OurEntry {
        let file =
            Json::Object(vec![("mcpServers".to_owned(), Json::Object(vec![(name.to_string(), self.entry.clone())]))]);
        let text = file.file();
        let mut report = Report::default();
        let Some(root) = tree::parse(&text, &|_| None, &mut report) else {
            return OurEntry { entry: self.entry.clone(), said: Vec::new(), blocked: None };
        };
        let mut entries = dialect::take_entries(&mut root.clone(), &mut report);
        let Some(mut entry) = entries.pop() else {
            return OurEntry { entry: self.entry.clone(), said: Vec::new(), blocked: None };
        };
        dialect::translate(&mut entry, Source { text: &text, lookup: &|_| None });
        let ServerEntry { mut node, blocked, report: own, .. } = entry;
        report.merge(own);
        if blocked.is_none() {
            let schema = schema();
            ShapeCheck { root: &schema, report: &mut report }.keep_all(
                &mut node,
                &schema["$defs"]["Server"],
                ShapeLevel::Entry,
            );
        }
        let said = report.into_problems(&text, Some(&root)).list().to_vec();
        OurEntry { entry: written(&node), said, blocked }
    }
}

impl OurEntry {
    /// Whether something is said that makes the entry a wrong one.
    pub fn has_mistakes(&self) -> bool {
        self.said.iter().any(|problem| problem.severity == Severity::Error)
    }
}

fn root(bytes: &[u8]) -> Result<Node, Problems> {
    let text = text::decode(bytes)?;
    let mut report = Report::default();
    match tree::parse(text, &|_| None, &mut report) {
        Some(root) => Ok(root),
        None => Err(report.into_problems(text, None)),
    }
}

fn entries(root: &mut Node, project: Option<&str>, report: &mut Report) -> Vec<ForeignEntry> {
    let taken = dialect::take_entries(root, report);
    let entry = |entry: ServerEntry| ForeignEntry {
        name: entry.name,
        project: project.map(str::to_owned),
        entry: written(&entry.node),
    };
    // What is no object is no server.
    taken.into_iter().filter(|entry| entry.blocked.is_none()).map(entry).collect()
}

/// A tree as it was written, references and all.
pub(crate) fn written(node: &Node) -> Json {
    match &node.value {
        TreeValue::Null => Json::Null,
        TreeValue::Bool(truth) => Json::Bool(*truth),
        TreeValue::Number(number) => Json::Number(number.as_f64().unwrap_or_default()),
        TreeValue::String(text) => Json::Text(text.written.clone()),
        TreeValue::Array(elements) => Json::List(elements.iter().map(written).collect()),
        TreeValue::Object(members) => {
            Json::Object(members.iter().map(|member| (member.key.clone(), written(&member.node))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> ServerName {
        ServerName::try_from("s").expect("a name")
    }

    #[test]
    fn servers_of_projects_come_with_their_folder() {
        let text = "\u{feff}{\"numStartups\": 3, \"mcpServers\": {\"a\": {\"command\": \"x\"}}, \"projects\": {\
                    \"/home/me/app\": {\"mcpServers\": {\"db\": {\"command\": \"y\"}}, \"history\": []}, \"/tmp\": {}}}";
        let found = ForeignEntry::all(text.as_bytes()).expect("JSON");
        let shown: Vec<_> = found.iter().map(|entry| (entry.name.as_deref(), entry.project.as_deref())).collect();
        assert_eq!(shown, [(Some("a"), None), (Some("db"), Some("/home/me/app"))]);
        assert!(ForeignEntry::all(b"{\"a\": ").is_err());
    }

    #[test]
    fn an_entry_is_put_into_our_words_with_its_references() {
        let text = r#"{"mcp": {"files": {"type": "local", "command": ["npx", "-y", "x"], "environment": {"K": "${env:K}"},
            "enabled": false, "timeout": 5000, "odd": 1, "comand": "x"}}}"#;
        let found = ForeignEntry::all(text.as_bytes()).expect("JSON");
        let ours = found[0].in_our_words(&name());
        let has = |key: &str| ours.entry.get(key).cloned();
        assert_eq!(has("command"), Some(Json::Text("npx".into())));
        assert_eq!(has("args"), Some(Json::texts(["-y", "x"])));
        assert_eq!(has("env"), Some(Json::pairs([("K".to_owned(), "${env:K}".to_owned())])));
        assert_eq!(
            (has("enabled"), has("timeout"), has("odd")),
            (Some(Json::Bool(false)), Some(Json::Number(5.0)), None)
        );
        assert!(ours.said.iter().any(|said| said.message.contains("`odd` is not a key")), "{:?}", ours.said);
        assert!(ours.has_mistakes(), "a mistyped key: {:?}", ours.said);
    }

    #[test]
    fn our_own_client_and_what_cannot_be_reached_are_known() {
        let entry = |text: &str| ForeignEntry::all(text.as_bytes()).expect("JSON")[0].in_our_words(&name()).blocked;
        assert_eq!(
            entry(r#"{"mcpServers": {"m": {"command": "/bin/mcproxy", "args": ["connect"]}}}"#),
            Some(Blocked::Itself)
        );
        let ws = entry(r#"{"mcpServers": {"m": {"type": "ws", "url": "ws://x"}}}"#);
        assert!(matches!(ws, Some(Blocked::Kind(_))), "{ws:?}");
    }
}
