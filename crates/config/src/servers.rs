//! All servers of the file, each checked for itself: what is wrong with one blocks that one.

use std::collections::HashMap;

use mcproxy_ipc::ServerName;
use serde_json::Value as Json;

use crate::dialect::{self, ServerEntry, Source};
use crate::interpolate::Lack;
use crate::raw::RawServer;
use crate::report::{NOT_READABLE, Report};
use crate::server::{self, Blocked, ServerConfig};
use crate::shape::{ShapeCheck, ShapeLevel};
use crate::tree::{Node, TreeValue};

/// The servers, in the order of the file, and what the file calls them.
pub(crate) struct ServerEntries {
    pub(crate) list: Vec<ServerConfig>,
    /// By each name that is written, and by each safe form.
    pub(crate) known: HashMap<String, ServerName>,
}

/// Inputs that are the same for every entry.
struct EntryReader<'a> {
    defaults: Option<&'a Node>,
    schema: &'a Json,
    source: Source<'a>,
    /// The whole file, for places.
    root: &'a Node,
}

impl ServerEntries {
    /// Reads every entry. There are as many servers as entries, whatever is wrong with them.
    pub(crate) fn read(
        mut entries: Vec<ServerEntry>,
        defaults: Option<&Node>,
        schema: &Json,
        source: Source<'_>,
        root: &Node,
        report: &mut Report,
    ) -> Self {
        let names = dialect::assign(&mut entries);
        let known = dialect::directory(&entries, &names);
        let reader = EntryReader { defaults, schema, source, root };
        let list = entries.into_iter().zip(names).map(|(entry, name)| reader.server(entry, name, report)).collect();
        Self { list, known }
    }
}

impl EntryReader<'_> {
    fn server(&self, mut entry: ServerEntry, name: ServerName, report: &mut Report) -> ServerConfig {
        dialect::translate(&mut entry, self.source);
        let ServerEntry { mut node, blocked, report: mut own, .. } = entry;
        // Keys that do not fit the schema are part of it, too.
        let blocked = blocked.or_else(|| self.lacking(&node, &mut own));
        let schema = &self.schema["$defs"]["Server"];
        // Otherwise nothing is left that could be wrong.
        if !matches!(blocked, Some(Blocked::Kind(_) | Blocked::Mistake(_))) {
            ShapeCheck { root: self.schema, report: &mut own }.keep_all(&mut node, schema, ShapeLevel::Entry);
        }
        if let Some(defaults) = self.defaults {
            node.merge_defaults(defaults);
        }
        let raw = self.raw(&node, &mut own);
        let server = server::build(name, raw, &node, blocked, &mut own);
        server.settled(own, (self.root, self.source), report)
    }

    /// The first kind of what keeps the entry, with the defaults that reach it, from having all its texts. Its description
    /// is for people only.
    fn lacking(&self, node: &Node, own: &mut Report) -> Option<Blocked> {
        let mut whole = node.clone();
        if let Some(defaults) = self.defaults {
            whole.merge_defaults(defaults);
        }
        if let TreeValue::Object(members) = &mut whole.value {
            members.retain(|member| member.key != "description");
        }
        let (mut variables, mut reference, mut secret) = (Vec::new(), None, None);
        whole.each_lack(&mut |node, lack| match lack {
            Lack::Variable(name) if variables.contains(name) => {}
            Lack::Variable(name) => variables.push(name.clone()),
            Lack::Reference(of) => {
                own.warn(node.span.start, told(lack));
                reference.get_or_insert_with(|| of.clone());
            }
            Lack::Secret(of) => {
                own.warn(node.span.start, told(lack));
                secret.get_or_insert_with(|| of.clone());
            }
            Lack::Malformed(_) => own.add(node.span.start, told(lack)),
        });
        let variables = (!variables.is_empty()).then_some(Blocked::Variables(variables));
        reference.map(Blocked::Reference).or(secret.map(Blocked::Secret)).or(variables)
    }

    /// The entry as serde reads it; with mistakes as far as they leave something of it.
    fn raw(&self, node: &Node, own: &mut Report) -> RawServer {
        let mut json = node.to_json();
        if let Some(object) = json.as_object_mut() {
            object.entry("command").or_insert_with(|| "".into());
        }
        serde_json::from_value(json).unwrap_or_else(|_| {
            own.refuse(node.span.start, NOT_READABLE);
            RawServer::default()
        })
    }
}

/// Why a text is missing, in a sentence.
pub(crate) fn told(lack: &Lack) -> String {
    match lack {
        Lack::Variable(name) => Blocked::Variables(vec![name.clone()]).to_string(),
        Lack::Reference(reference) => Blocked::Reference(reference.clone()).to_string(),
        Lack::Secret(secret) => Blocked::Secret(secret.clone()).to_string(),
        Lack::Malformed(error) => error.to_string(),
    }
}
