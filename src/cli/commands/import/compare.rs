//! The tools of each endpoint, as the running MetaMCP lists them and as MCProxy does.

use std::{collections::BTreeMap, io};

use mcproxy_mcp::{RawObject, method};
use serde_json::{Map, Value, json};

use super::{
    installation::{Installation, MetaEndpoint},
    values,
};
use crate::cli::{console::Console, endpoint::Endpoint, error::CliError, human, session::Session};

/// What is compared of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ComparedTool {
    description: String,
    /// MetaMCP leaves out what servers say, among the annotations as well, and shows those of its own only.
    title: String,
    annotations: Map<String, Value>,
    arguments: Option<Value>,
}

impl ComparedTool {
    fn of(tool: &RawObject<'_>) -> Self {
        let text = |key: &str| tool.get_string(key).map(|text| text.into_owned()).unwrap_or_default();
        let value = |key: &str| tool.get(key).and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        Self {
            description: text("description"),
            title: text(TITLE),
            annotations: value("annotations").and_then(|value| value.as_object().cloned()).unwrap_or_default(),
            arguments: value("inputSchema"),
        }
    }

    /// Whether clients of MetaMCP, which shows `self`, read the same of the other one; a title more does not count.
    fn is_described_as(&self, other: &Self) -> bool {
        let mut annotations = other.annotations.clone();
        annotations.retain(|key, _| key != TITLE || self.annotations.contains_key(TITLE));
        self.description == other.description
            && (self.title.is_empty() || self.title == other.title)
            && self.annotations == annotations
    }
}

const TITLE: &str = "title";

type ToolsByName = BTreeMap<String, ComparedTool>;

/// What differs at one endpoint.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    endpoint: String,
    /// How many tools are the same.
    same: usize,
    only_metamcp: Vec<String>,
    only_mcproxy: Vec<String>,
    /// Tools of the same name that are described otherwise.
    described: Vec<String>,
    /// Tools of the same name that take other arguments.
    arguments: Vec<String>,
    /// Why there is nothing to compare.
    failed: Option<String>,
}

impl Difference {
    fn of(endpoint: &str, metamcp: &ToolsByName, mcproxy: &ToolsByName) -> Self {
        let missing = |from: &ToolsByName, of: &ToolsByName| {
            of.keys().filter(|name| !from.contains_key(*name)).cloned().collect::<Vec<String>>()
        };
        let both = metamcp.iter().filter_map(|(name, tool)| Some((name, tool, mcproxy.get(name)?)));
        let differ = |how: fn(&ComparedTool, &ComparedTool) -> bool| -> Vec<String> {
            both.clone().filter(|(_, one, other)| how(one, other)).map(|(name, ..)| name.clone()).collect()
        };
        let described = differ(|one, other| !one.is_described_as(other));
        let arguments = differ(|one, other| one.arguments != other.arguments);
        let same = |name: &String| !described.contains(name) && !arguments.contains(name);
        Self {
            endpoint: endpoint.to_owned(),
            same: both.clone().filter(|(name, ..)| same(name)).count(),
            only_metamcp: missing(mcproxy, metamcp),
            only_mcproxy: missing(metamcp, mcproxy),
            described,
            arguments,
            failed: None,
        }
    }

    /// Whether both list the same.
    pub(super) fn is_none(&self) -> bool {
        let Self { only_metamcp, only_mcproxy, described, arguments, failed, .. } = self;
        let tools = [only_metamcp, only_mcproxy, described, arguments];
        tools.iter().all(|tools| tools.is_empty()) && failed.is_none()
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "endpoint": self.endpoint,
            "same": self.same,
            "onlyMetaMcp": self.only_metamcp,
            "onlyMcProxy": self.only_mcproxy,
            "described": self.described,
            "arguments": self.arguments,
            "error": self.failed,
        })
    }

    /// For people.
    pub(super) fn write(&self, console: &mut Console) -> io::Result<()> {
        let name = values::shown(&self.endpoint);
        if let Some(why) = &self.failed {
            return writeln!(console.out, "  - {name}: not compared: {}", human::one_line(why));
        }
        let verdict = if self.is_none() { ", no difference" } else { "" };
        writeln!(console.out, "  - {name}: {} tools are the same{verdict}", self.same)?;
        let lists = [
            ("only MetaMCP has", &self.only_metamcp),
            ("only MCProxy has", &self.only_mcproxy),
            ("described otherwise", &self.described),
            ("with other arguments", &self.arguments),
        ];
        for (what, tools) in lists.into_iter().filter(|(_, tools)| !tools.is_empty()) {
            let line = human::one_line(&format!("{what}: {}", tools.join(", ")));
            for part in human::wrap(&line, 74, usize::MAX) {
                writeln!(console.out, "      {part}")?;
            }
        }
        Ok(())
    }
}

/// Compares all endpoints. `metamcp` and `mcproxy`: the URLs of both, without a path.
pub(super) async fn compare(
    installation: &Installation,
    metamcp: &str,
    mcproxy: &str,
    console: &mut Console,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    for endpoint in &installation.endpoints {
        let key = key(installation, endpoint);
        let difference = async {
            let theirs = tools(metamcp, endpoint, key.clone()).await.map_err(|e| told("MetaMCP", &e))?;
            let ours = tools(mcproxy, endpoint, key).await.map_err(|e| told("MCProxy", &e))?;
            Ok::<_, String>(Difference::of(&endpoint.name, &theirs, &ours))
        };
        let waited = console.waiting(&format!("comparing {}", values::shown(&endpoint.name)), difference).await;
        differences.push(waited.unwrap_or_else(|why| Difference {
            endpoint: endpoint.name.clone(),
            failed: Some(why),
            ..Difference::default()
        }));
    }
    differences
}

/// A key that opens an endpoint.
fn key(installation: &Installation, endpoint: &MetaEndpoint) -> Option<String> {
    let mut keys = installation.keys.iter().filter(|key| key.active);
    let fits = |owner: &Option<String>| endpoint.owner.is_none() || *owner == endpoint.owner;
    keys.find(|key| fits(&key.owner)).map(|key| key.key.trim().to_owned()).filter(|_| endpoint.needs_key)
}

fn told(side: &str, error: &CliError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    [vec![format!("{side}: {error}")], causes].concat().join(": ")
}

async fn tools(base: &str, endpoint: &MetaEndpoint, key: Option<String>) -> Result<ToolsByName, CliError> {
    let url = format!("{}/metamcp/{}/mcp", base.trim_end_matches('/'), endpoint.name);
    let mut session = Session::open(Endpoint::new(&url, key)?).await?;
    let listed = session.list(method::TOOLS_LIST, "tools").await;
    session.close().await;
    let tool = |raw: Box<mcproxy_mcp::RawValue>| {
        let object = RawObject::from_raw(&raw).unwrap_or_default();
        (object.get_string("name").unwrap_or_default().into_owned(), ComparedTool::of(&object))
    };
    Ok(listed?.into_iter().map(tool).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(tools: &[(&str, &str)]) -> ToolsByName {
        let tool = |(name, members): &(&str, &str)| {
            let text = format!("{{{members}}}");
            let object: &mcproxy_mcp::RawValue = serde_json::from_str(&text).expect("JSON");
            ((*name).to_owned(), ComparedTool::of(&RawObject::from_raw(object).expect("an object")))
        };
        tools.iter().map(tool).collect()
    }

    #[test]
    fn what_differs_is_named() {
        let one = r#""description": "X", "annotations": {"readOnlyHint": true}, "inputSchema": {"type": "object", "properties": {}}"#;
        let again = r#""inputSchema": {"properties": {}, "type": "object"}, "title": "the server's", "annotations": {"title": "T", "readOnlyHint": true}, "description": "X""#;
        let theirs = tools(&[
            ("a__x", one),
            ("a__y", r#""description": "Y""#),
            ("a__t", r#""title": "T""#),
            ("a__u", r#""annotations": {"title": "T"}"#),
            ("a__s", ""),
            ("b__z", one),
        ]);
        let ours = tools(&[
            ("a__x", again),
            ("a__y", r#""description": "other""#),
            ("a__t", r#""title": "U""#),
            ("a__u", r#""annotations": {"title": "U"}"#),
            ("a__s", r#""inputSchema": {}"#),
            ("c__z", one),
        ]);
        let difference = Difference::of("home", &theirs, &ours);
        assert_eq!(difference.same, 1, "order and a title more are no differences: {difference:?}");
        assert_eq!(
            (&difference.only_metamcp[..], &difference.only_mcproxy[..]),
            (&["b__z".to_owned()][..], &["c__z".to_owned()][..])
        );
        assert_eq!(difference.described, ["a__t", "a__u", "a__y"]);
        assert_eq!(difference.arguments, ["a__s"]);
        assert!(!difference.is_none() && Difference::of("home", &ours, &ours).is_none());
    }
}
