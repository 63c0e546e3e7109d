//! The answers of people that are kept until somebody forgets them, in one small file of the state directory.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use mcproxy_ipc::{ApprovalRule, MAX_APPROVAL_RULES, ServerName, kept_file};
use serde::{Deserialize, Serialize};

/// Its name, beside the directory of catalogues.
const FILE: &str = "approvals.json";
/// The version of its form.
const VERSION: u32 = 1;
/// The most bytes of it that are read.
const MAX_FILE: u64 = 4 << 20;
/// Random bytes of a rule's name.
const ID: usize = 4;

/// The file.
#[derive(Serialize, Deserialize)]
struct ApprovalsFile {
    version: u32,
    rules: Vec<RuleLine>,
}

/// One answer in it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleLine {
    id: String,
    at_ms: u64,
    by: String,
    principal: Option<String>,
    server: String,
    tool: String,
    /// 64 hexadecimal digits.
    definition_sha256: String,
}

/// Why the answers of before cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApprovalsFileError {
    /// It cannot be read at all.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It is none that we wrote.
    #[error("it is no file of approvals")]
    Form(#[source] serde_json::Error),
    /// Another version of MCProxy wrote it.
    #[error("it is of version {0}, and this is version {VERSION}")]
    Version(u32),
}

/// The answers that are kept. Cheap to clone; writing is apart from changing, because the disk may be slow.
#[derive(Debug, Clone)]
pub(crate) struct KeptApprovals {
    /// `None`: they are kept in memory alone.
    file: Option<PathBuf>,
    rules: Arc<Mutex<Vec<ApprovalRule>>>,
    /// One writes at a time, and the last one writes what counts.
    writing: Arc<Mutex<()>>,
}

impl KeptApprovals {
    /// Those that were kept beside this directory. What cannot be read counts as nothing, and is told.
    pub(crate) fn open(catalogues: Option<&Path>) -> (Self, Option<ApprovalsFileError>) {
        let file = catalogues.map(|dir| dir.with_file_name(FILE));
        let read = file.as_deref().map_or(Ok(Vec::new()), read);
        let (rules, error) = match read {
            Ok(rules) => (rules, None),
            Err(ApprovalsFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        (Self { file, rules: Arc::new(Mutex::new(rules)), writing: Arc::default() }, error)
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> Vec<ApprovalRule> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps one more. `Err`: it is not kept, and why.
    pub(crate) fn add(&self, mut rule: ApprovalRule) -> Result<(), &'static str> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if !rule.is_bounded() {
            return Err("its texts are too long");
        }
        if rules.iter().any(|known| known.is_like(&rule)) {
            return Ok(());
        }
        // An answer of before, for another definition, is of no use any more.
        rules.retain(|known| {
            known.principal != rule.principal || known.server != rule.server || known.tool != rule.tool
        });
        if rules.len() >= MAX_APPROVAL_RULES {
            return Err("as many are kept as there may be; forget some (`mcproxy approvals forget`)");
        }
        let mut random = [0; ID];
        getrandom::fill(&mut random).map_err(|_| "the system gives no random numbers")?;
        rule.id = random.iter().map(|byte| format!("{byte:02x}")).collect();
        rules.push(rule);
        Ok(())
    }

    /// Forgets that one, or all; how many that were.
    pub(crate) fn forget(&self, id: Option<&str>) -> usize {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let before = rules.len();
        rules.retain(|rule| id.is_some_and(|id| rule.id != id));
        before - rules.len()
    }

    /// Writes them. Blocks as long as the disk does.
    pub(crate) fn write(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let rules = self.all().into_iter().map(RuleLine::of).collect();
        let text = serde_json::to_vec_pretty(&ApprovalsFile { version: VERSION, rules }).map_err(io::Error::other)?;
        kept_file::replace_durably(file, &text)
    }
}

impl RuleLine {
    fn of(rule: ApprovalRule) -> Self {
        let ApprovalRule { id, at_ms, by, principal, server, tool, definition } = rule;
        let definition_sha256 = definition.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { id, at_ms, by, principal, server: server.to_string(), tool, definition_sha256 }
    }

    /// `None`: nobody wrote it like this.
    fn read(self) -> Option<ApprovalRule> {
        let Self { id, at_ms, by, principal, server, tool, definition_sha256: hex } = self;
        let mut definition = [0; 32];
        let is_hex = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        for (at, byte) in definition.iter_mut().enumerate().filter(|_| is_hex) {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
        }
        let server = ServerName::try_from(server.as_str()).ok()?;
        let rule = ApprovalRule { id, at_ms, by, principal, server, tool, definition };
        (is_hex && rule.is_bounded()).then_some(rule)
    }
}

fn read(file: &Path) -> Result<Vec<ApprovalRule>, ApprovalsFileError> {
    let mut text = Vec::new();
    let opened: File = kept_file::open(file)?;
    opened.take(MAX_FILE).read_to_end(&mut text)?;
    let ApprovalsFile { version, rules } = serde_json::from_slice(&text).map_err(ApprovalsFileError::Form)?;
    if version != VERSION {
        return Err(ApprovalsFileError::Version(version));
    }
    Ok(rules.into_iter().filter_map(RuleLine::read).take(MAX_APPROVAL_RULES).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn rule(tool: &str, definition: u8) -> ApprovalRule {
        ApprovalRule {
            id: String::new(),
            at_ms: 7,
            by: "user".into(),
            principal: Some("ann".into()),
            server: ServerName::try_from("s").expect("a name"),
            tool: tool.into(),
            definition: [definition; 32],
        }
    }

    #[test]
    fn answers_outlive_the_process_and_the_last_one_of_a_tool_counts() {
        let state = tempfile::tempdir().expect("a directory");
        let catalogues = state.path().join("catalogues");
        let open = || KeptApprovals::open(Some(&catalogues));
        let (kept, error) = open();
        assert!(error.is_none() && kept.all().is_empty());
        kept.add(rule("a", 1)).expect("room");
        kept.add(rule("a", 1)).expect("it is there");
        kept.add(rule("b", 1)).expect("room");
        kept.add(rule("a", 2)).expect("room");
        assert_eq!(
            kept.all().iter().map(|rule| (&*rule.tool, rule.definition[0])).collect::<Vec<_>>(),
            [("b", 1), ("a", 2)]
        );
        kept.write().expect("written");
        let (again, error) = open();
        assert!(error.is_none());
        assert_eq!(again.all(), kept.all());
        let id = again.all()[0].id.clone();
        assert_eq!((again.forget(Some("none")), again.forget(Some(&id)), again.forget(None)), (0, 1, 1));
        again.write().expect("written");
        assert!(open().0.all().is_empty());
    }

    #[test]
    fn what_is_no_file_of_ours_counts_as_nothing_and_is_told() {
        let state = tempfile::tempdir().expect("a directory");
        let catalogues = state.path().join("catalogues");
        for text in ["", "{", "[]", r#"{"version":2,"rules":[]}"#, r#"{"version":1}"#] {
            fs::write(state.path().join(FILE), text).expect("written");
            let (kept, error) = KeptApprovals::open(Some(&catalogues));
            assert!(error.is_some() && kept.all().is_empty(), "{text}");
        }
        let odd = r#"{"version":1,"rules":[{"id":"1","atMs":1,"by":"x","principal":null,"server":"s","tool":"t","definitionSha256":"zz"}]}"#;
        fs::write(state.path().join(FILE), odd).expect("written");
        let (kept, error) = KeptApprovals::open(Some(&catalogues));
        assert!(error.is_none() && kept.all().is_empty());
        let (nowhere, error) = KeptApprovals::open(None);
        assert!(error.is_none() && nowhere.write().is_ok());
    }

    #[test]
    fn there_are_not_too_many() {
        let (kept, _) = KeptApprovals::open(None);
        (0..MAX_APPROVAL_RULES).for_each(|n| kept.add(rule(&n.to_string(), 1)).expect("room"));
        assert!(kept.add(rule("more", 1)).is_err());
        assert!(kept.add(rule("0", 2)).is_ok(), "it takes the place of the one before");
    }
}
