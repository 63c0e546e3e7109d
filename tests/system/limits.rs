//! The table of queues and buffers in `docs/limits.md` names all of them, and nothing else.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::edges::sources;

/// What runs for long and holds what its peers send.
const FOLDERS: [&str; 4] = ["src/gateway", "supervisor/src", "worker/src", "crates/ipc/src"];
/// Makes a queue, whose first argument is its bound.
const QUEUES: [&str; 4] = ["mpsc::channel(", "broadcast::channel(", "Semaphore::new(", "Queue::new("];
/// What a field holds that can grow.
const COLLECTIONS: [&str; 8] =
    ["VecDeque<", "HashMap<", "HashSet<", "BTreeMap<", "BTreeSet<", "OwnKeyMap<", "RefCell<Vec<", "BytesMut"];
/// What a constant is called that bounds something.
const BOUNDS: [&str; 14] = [
    "MAX",
    "MOST",
    "QUEUE",
    "ROOM",
    "BOUND",
    "BACKLOG",
    "BYTES",
    "LIMIT",
    "QUESTIONS",
    "NEWS",
    "NOTICES",
    "EVENTS",
    "SESSIONS",
    "LONGEST",
];

/// A file and a name in it.
type Place = (PathBuf, String);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The part of a source that is not its tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a source");
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end].to_owned()
}

fn is_test(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.contains("tests") || file.components().any(|part| part.as_os_str() == "tests")
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// What bounds a queue that is made here: a constant or a number.
fn queue(line: &str) -> Option<String> {
    let rest = QUEUES.iter().find_map(|queue| line.split_once(queue))?.1;
    // One without a bound has to be told of as such.
    Some(word(rest)).map(|bound| if bound.is_empty() { "channel".to_owned() } else { bound })
}

fn field(line: &str) -> Option<String> {
    let line = line.strip_prefix("    ").filter(|line| !line.starts_with([' ', '/', '#']))?;
    let line = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
    let (name, kind) = line.split_once(": ")?;
    let is_field = word(name) == name && kind.ends_with(',') && !kind.starts_with('&');
    (is_field && COLLECTIONS.iter().any(|collection| kind.contains(collection))).then(|| name.to_owned())
}

fn constant(line: &str) -> Option<String> {
    let line = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
    let (name, kind) = line.strip_prefix("const ")?.split_once(": ")?;
    let is_size = ["usize", "u64", "u32", "(usize"].iter().any(|size| kind.starts_with(size));
    let is_bound = name.split('_').any(|part| BOUNDS.contains(&part));
    (is_size && is_bound).then(|| name.to_owned())
}

/// All queues, collections that grow, and bounds of the sources.
fn found() -> BTreeSet<Place> {
    let mut found = BTreeSet::new();
    for file in FOLDERS.iter().flat_map(|folder| sources(folder)).filter(|file| !is_test(file)) {
        let path = file.strip_prefix(root()).expect("ours").to_owned();
        for line in code(&file).lines() {
            for name in [queue(line), field(line), constant(line)].into_iter().flatten() {
                found.insert((path.clone(), name));
            }
        }
    }
    found
}

/// All that the table names: in its second column a file, and what is meant there.
fn named() -> BTreeSet<Place> {
    let text = fs::read_to_string(root().join("docs/limits.md")).expect("the table");
    let mut named = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what |")) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, what, place, bound, at_it, _] = columns[..] else { panic!("five bars, not: {line}") };
        assert!(![what, bound, at_it].contains(&""), "a row says all of it: {line}");
        let mut file = None;
        for word in place.split('`').filter(|word| !word.trim().is_empty() && word.trim() != ",") {
            match word.ends_with(".rs") {
                true => file = Some(PathBuf::from(word)),
                false => {
                    let file = file.clone().unwrap_or_else(|| panic!("a file comes first: {line}"));
                    named.insert((file, word.to_owned()));
                }
            }
        }
    }
    named
}

#[test]
fn every_queue_and_buffer_is_in_the_table_of_limits_and_nothing_else_is() {
    let (found, named) = (found(), named());
    let show = |places: Vec<&Place>| -> String {
        places.iter().map(|(file, name)| format!("\n`{}` `{name}`", file.display())).collect()
    };
    let missing = show(found.difference(&named).collect());
    assert!(missing.is_empty(), "docs/limits.md does not say what bounds:{missing}");
    let gone: Vec<&Place> = named.difference(&found).filter(|(file, name)| !mentions(file, name)).collect();
    assert!(gone.is_empty(), "docs/limits.md names what is not there:{}", show(gone));
}

/// A row may name more than must be named.
fn mentions(file: &Path, name: &str) -> bool {
    let path = root().join(file);
    path.exists() && code(&path).split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

#[test]
fn what_bounds_something_is_seen() {
    assert_eq!(queue("        let (to, from) = mpsc::channel(QUEUE);").as_deref(), Some("QUEUE"));
    assert_eq!(queue("    let steps = Rc::new(Queue::new(EVENTS, BYTES, Step::size));").as_deref(), Some("EVENTS"));
    assert_eq!(queue("        let (done, finished) = mpsc::channel();").as_deref(), Some("channel"));
    assert_eq!(field("    pub(super) calls: BTreeMap<u64, Call>,").as_deref(), Some("calls"));
    assert_eq!(field("    items: RefCell<VecDeque<T>>,").as_deref(), Some("items"));
    assert_eq!(field("    names: &HashMap<String, u8>,"), None, "an argument");
    assert_eq!(constant("pub(crate) const MAX_URI: usize = 8 * 1024;").as_deref(), Some("MAX_URI"));
    assert_eq!(constant("const MAXIMAL: usize = 8;"), None);
}
