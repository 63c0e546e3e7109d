//! Who may depend on whom (docs/ARCHITECTURE.md). A wrong edge is a wrong design, so it fails here and not in a review.

mod imports;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

use self::imports::Imports;

/// Which of our libraries each of our packages may use.
const EDGES: &[(&str, &[&str])] = &[
    ("mcproxy-confine", &[]),
    ("mcproxy-launch", &["mcproxy-confine"]),
    ("mcproxy-ipc", &["mcproxy-confine"]),
    ("mcproxy-mcp", &[]),
    ("mcproxy-config", &["mcproxy-ipc", "mcproxy-confine"]),
    ("mcproxy-http", &[]),
    ("mcproxy-jwt", &[]),
    ("mcproxy-oauth", &[]),
    ("mcproxy-search", &[]),
    ("mcproxy-audit", &["mcproxy-ipc"]),
    ("mcproxy-supervisor", &["mcproxy-ipc", "mcproxy-config", "mcproxy-confine", "mcproxy-audit"]),
    (
        "mcproxy-worker",
        &[
            "mcproxy-ipc",
            "mcproxy-mcp",
            "mcproxy-config",
            "mcproxy-confine",
            "mcproxy-http",
            "mcproxy-jwt",
            "mcproxy-oauth",
            "mcproxy-search",
            "mcproxy-launch",
        ],
    ),
    (
        "mcproxy",
        &[
            "mcproxy-ipc",
            "mcproxy-mcp",
            "mcproxy-config",
            "mcproxy-confine",
            "mcproxy-http",
            "mcproxy-jwt",
            "mcproxy-oauth",
            "mcproxy-search",
            "mcproxy-audit",
        ],
    ),
    ("mcproxy-bench", &["mcproxy-ipc", "mcproxy-search"]),
    ("mcproxy-fixture", &[]),
    (
        "mcproxy-fuzz",
        &["mcproxy-ipc", "mcproxy-mcp", "mcproxy-config", "mcproxy-http", "mcproxy-jwt", "mcproxy-search"],
    ),
];

/// The folders of the gateway, each of which uses only those below it (docs/decisions/0125).
const LAYERS: &[&str] = &[
    "http",
    "background",
    "dialect",
    "call",
    "downstream",
    "notify",
    "state",
    "sessions",
    "upstream",
    "builtin",
    "base",
    "catalogue",
    "rewrite",
];

/// The roots of our programs and libraries. (The command line is a part of the first.)
const ROOTS: &[&str] = &[
    "src/lib.rs",
    "supervisor/src/main.rs",
    "worker/src/lib.rs",
    "launcher/src/lib.rs",
    "crates/ipc/src/lib.rs",
    "crates/mcp/src/lib.rs",
    "crates/config/src/lib.rs",
    "crates/http/src/lib.rs",
    "crates/jwt/src/lib.rs",
    "crates/oauth/src/lib.rs",
    "crates/search/src/lib.rs",
    "crates/audit/src/lib.rs",
];

/// The roots of programs that are one file around one of the libraries.
const THIN_ROOTS: &[&str] = &[
    "src/bin/mcproxy.rs",
    "src/bin/mcproxy-gateway.rs",
    "launcher/src/main.rs",
    "worker/src/bin/mcproxy-worker.rs",
    "worker/src/bin/mcproxy-remote.rs",
];

/// Names that more than one type may have, and why. All others are there once, so that a search finds what was meant.
const SHARED_NAMES: &[(&str, &str)] = &[
    ("Args", "the command line of a program, once for each program"),
    ("Connection", "of HTTP in the gateway; of the control socket in the library that all processes share"),
    ("Endpoint", "the two sides of an MCP endpoint: the gateway's, and the URL that the command line speaks to"),
    ("Listener", "of `subscriptions/listen` in the gateway; a listening socket in the library"),
    ("Logs", "what `mcproxy logs` and the built-in tool `logs` are asked for"),
    ("Outcome", "of a JSON-RPC response; of a call on the data connection, which knows calls that were never sent"),
    (
        "Session",
        "MCP's word: the gateway's with a client, the worker's with a server, the command line's with a gateway",
    ),
];

/// Of so many names the requirement speaks.
const MOST_SHARED_NAMES: usize = 20;

/// More files than this must not use each other in a circle.
const LARGEST_CIRCLE: usize = 3;

/// The workspace as cargo resolves it for this machine, so that no package of another system has to be fetched.
fn workspace() -> Metadata {
    let version = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let version = String::from_utf8(version.stdout).expect("text");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    MetadataCommand::new()
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .other_options(["--locked", "--filter-platform", host].map(str::to_owned))
        .exec()
        .expect("cargo metadata")
}

fn ours(metadata: &Metadata) -> BTreeMap<&str, &Package> {
    metadata.workspace_packages().into_iter().map(|package| (package.name.as_str(), package)).collect()
}

/// Everything that ends up in a package, tests of it not counted.
fn tree<'m>(metadata: &'m Metadata, root: &PackageId) -> BTreeSet<&'m PackageId> {
    let nodes = &metadata.resolve.as_ref().expect("a resolved graph").nodes;
    let node = |id: &PackageId| nodes.iter().find(|node| node.id == *id).expect("every package has a node");
    let (mut seen, mut open) = (BTreeSet::new(), vec![node(root)]);
    while let Some(next) = open.pop() {
        for edge in &next.deps {
            let real = edge.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development);
            if real && seen.insert(&edge.pkg) {
                open.push(node(&edge.pkg));
            }
        }
    }
    seen
}

fn tree_of<'m>(metadata: &'m Metadata, name: &str) -> Vec<&'m Package> {
    tree(metadata, &ours(metadata)[name].id).into_iter().map(|id| &metadata[id]).collect()
}

/// All Rust sources below a folder of the repository.
pub(crate) fn sources(folder: &str) -> Vec<PathBuf> {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// Those of them in which this word stands.
pub(crate) fn sources_that_name(folder: &str, word: &str) -> Vec<PathBuf> {
    let names = |path: &PathBuf| fs::read_to_string(path).expect("a source").contains(word);
    sources(folder).into_iter().filter(names).collect()
}

#[test]
fn our_packages_depend_in_one_direction_only() {
    let metadata = workspace();
    let ours = ours(&metadata);
    assert_eq!(ours.len(), EDGES.len(), "a new package needs its line in EDGES: {:?}", ours.keys());
    for (name, allowed) in EDGES {
        let used = ours[name].dependencies.iter().filter(|dependency| ours.contains_key(dependency.name.as_str()));
        for dependency in used {
            assert!(allowed.contains(&dependency.name.as_str()), "{name} must not depend on {}", dependency.name);
        }
    }
}

#[test]
fn the_supervisor_holds_no_http_and_no_mcp() {
    let metadata = workspace();
    let tree = tree_of(&metadata, "mcproxy-supervisor");
    for package in tree {
        let name = package.name.as_str();
        let parser = name.starts_with("actix") || name.starts_with("hyper") || name.starts_with("http");
        assert!(!parser && name != "mcproxy-mcp" && name != "rmcp", "the supervisor depends on {name}");
    }
}

#[test]
fn the_launcher_holds_no_runtime_no_log_and_no_reader_of_messages() {
    let metadata = workspace();
    for package in tree_of(&metadata, "mcproxy-launch") {
        let name = package.name.as_str();
        let heavy = ["tokio", "slog", "bincode", "serde_json", "mcproxy-ipc", "clap"];
        assert!(!heavy.contains(&name), "the launcher depends on {name}, and each start of a server pays for it");
    }
}

#[test]
fn the_old_syslog_client_and_its_old_clock_stay_in_the_supervisor() {
    let metadata = workspace();
    for name in ours(&metadata).keys().filter(|name| **name != "mcproxy-supervisor") {
        for package in tree_of(&metadata, name) {
            let old_clock = package.name.as_str() == "time" && package.version.major == 0 && package.version.minor == 1;
            assert!(!old_clock && package.name.as_str() != "slog-syslog", "{name} depends on {}", package.name);
        }
    }
}

#[test]
fn crates_that_may_have_to_be_replaced_have_one_user_each() {
    let metadata = workspace();
    for (dependency, user) in [
        ("bincode", "mcproxy-ipc"),
        ("actix-web-lab", "mcproxy"),
        ("rustls", "mcproxy-http"),
        ("slog-syslog", "mcproxy-supervisor"),
    ] {
        let users: Vec<&str> = ours(&metadata)
            .into_iter()
            .filter(|(_, package)| package.dependencies.iter().any(|used| used.name.as_str() == dependency))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(users, [user], "users of {dependency}");
    }
}

#[test]
fn a_crate_that_may_have_to_be_replaced_is_named_in_one_file() {
    let found: Vec<PathBuf> = ["crates", "src", "supervisor", "worker", "launcher", "bench"]
        .iter()
        .flat_map(|folder| sources_that_name(folder, "bincode::"))
        .collect();
    assert_eq!(found, [Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/ipc/src/codec.rs")]);
}

#[test]
fn the_gateway_does_not_know_the_configuration_file() {
    for file in ["src/gateway", "src/bin"] {
        let found = sources_that_name(file, "mcproxy_config");
        assert!(found.is_empty(), "{found:?}");
    }
}

fn imports_of(root: &str) -> Imports {
    Imports::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(root))
}

#[test]
fn no_more_than_three_files_of_a_crate_use_each_other_in_a_circle() {
    for root in ROOTS {
        let imports = imports_of(root);
        let circles: Vec<_> = imports.circles().into_iter().filter(|circle| circle.len() > LARGEST_CIRCLE).collect();
        assert!(circles.is_empty(), "{root}: {circles:?}");
    }
}

#[test]
fn a_type_has_a_name_of_its_own_or_a_reason_why_not() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for root in ROOTS.iter().chain(THIN_ROOTS) {
        for (file, types) in imports_of(root).types {
            types.into_iter().for_each(|name| places.entry(name).or_default().push(format!("{root}: {file}")));
        }
    }
    assert!(places.len() > 500, "the sources have not been understood: {}", places.len());
    let shared: BTreeMap<&str, &Vec<String>> =
        places.iter().filter(|(_, places)| places.len() > 1).map(|(name, places)| (name.as_str(), places)).collect();
    let allowed: BTreeSet<&str> = SHARED_NAMES.iter().map(|(name, _)| *name).collect();
    let new: Vec<_> = shared.iter().filter(|(name, _)| !allowed.contains(*name)).collect();
    assert!(new.is_empty(), "each of these names has several types; give them names that say more: {new:#?}");
    let stale: Vec<_> = allowed.iter().filter(|name| !shared.contains_key(*name)).collect();
    assert!(stale.is_empty(), "these names have one type, or none: take them from SHARED_NAMES: {stale:?}");
    assert!(allowed.len() <= MOST_SHARED_NAMES);
}

#[test]
fn the_layers_of_the_gateway_use_only_those_below() {
    let imports = imports_of("src/lib.rs");
    let layer_of = |file: &str| {
        let folder = file.strip_prefix("gateway/")?.split_once('/')?.0;
        Some(LAYERS.iter().position(|layer| *layer == folder).unwrap_or_else(|| panic!("{file} is in no layer")))
    };
    let mut arrows = 0;
    for (file, used) in &imports.files {
        let Some(layer) = layer_of(file) else { continue };
        for other in used {
            if let Some(below) = layer_of(other) {
                arrows += usize::from(below > layer);
                assert!(below >= layer, "{file} uses {other}, which is in a layer above it");
            }
            assert!(other != "gateway/mod", "{file} uses what starts the whole gateway");
        }
    }
    assert!(arrows > 100, "the sources have not been understood: {arrows}");
    let at_top = |file: &&String| file.starts_with("gateway/") && layer_of(file).is_none();
    assert_eq!(imports.files.keys().filter(at_top).collect::<Vec<_>>(), ["gateway/mod"], "each file is in a layer");
}
