//! What a server may do, from its entry.

use std::path::{Path, PathBuf};

use mcproxy_confine::{Network, Reading, Sandbox};

use super::checks::ServerChecks;
use crate::raw::{RawNetwork, RawSandbox, RawSandboxObject, RawSandboxWord, RawSettings};

/// Lists that hold paths.
pub(crate) const PATHS: [&str; 3] = ["read", "write", "deny"];

/// The keys `sandbox` and `network`; paths as they are written.
pub(super) fn sandbox(settings: &RawSettings) -> Sandbox {
    let (files, object) = match settings.sandbox.clone() {
        None => (true, RawSandboxObject::default()),
        Some(RawSandbox::Word(RawSandboxWord::Off)) => (false, RawSandboxObject::default()),
        Some(RawSandbox::Word(RawSandboxWord::Strict)) => {
            (true, RawSandboxObject { read: Some(Vec::new()), ..RawSandboxObject::default() })
        }
        Some(RawSandbox::Object(object)) => (true, object),
    };
    let paths = |paths: Vec<String>| paths.into_iter().map(PathBuf::from).collect();
    Sandbox {
        files,
        reading: object.read.map_or(Reading::Everything, |read| Reading::Only(paths(read))),
        write: paths(object.write),
        deny: paths(object.deny),
        network: match (settings.network, object.connect) {
            (RawNetwork::None, _) => Network::None,
            (RawNetwork::Full, Some(ports)) => Network::Ports(ports),
            (RawNetwork::Full, None) => Network::Full,
        },
        bind: object.bind,
        namespaces: object.namespaces,
    }
}

/// Makes relative paths start from the directory of the file.
pub(super) fn resolve(sandbox: &mut Sandbox, base: &Path) {
    let read = match &mut sandbox.reading {
        Reading::Everything => &mut Vec::new(),
        Reading::Only(paths) => paths,
    };
    for path in read.iter_mut().chain(&mut sandbox.write).chain(&mut sandbox.deny) {
        *path = base.join(&*path);
    }
}

impl ServerChecks<'_> {
    /// What contradicts itself, or names nothing.
    pub(super) fn sandbox(&mut self, settings: &RawSettings) {
        let node = self.node;
        for path in PATHS {
            for text in node.at(&["sandbox", path]).map(crate::tree::Node::elements).unwrap_or_default() {
                let Some(value) = text.text().map(crate::tree::ConfigText::value) else { continue };
                if value.is_empty() || value.contains('\0') {
                    self.report.add(text.span.start, "this is no path");
                }
            }
        }
        // Ports from the defaults mean those that have a network.
        let own = node.at(&["sandbox", "connect"]).is_some_and(|ports| node.span.contains(&ports.span.start));
        if matches!(settings.network, RawNetwork::None) && own {
            self.problem(&["sandbox", "connect"], "with `network: none` there is no port to connect to");
        }
        if settings.run_as.as_deref().is_some_and(|user| user.trim().is_empty() || user.contains([':', '/', '\0'])) {
            self.problem(&["runAs"], "this is no name of a user");
        }
    }
}
