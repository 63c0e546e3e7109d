//! Which of its rules keeps a server from a file: a program that is refused something says which file, and never who refuses it.

use std::path::{Path, PathBuf};

use crate::{FileRules, own_files::resolved};

/// Why a path cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileRefusal {
    /// It is MCProxy's own, or `sandbox.deny` has it.
    Hidden,
    /// No rule allows to write it.
    Outside,
    /// This entry of a directory that also holds something hidden was not there when the server was started.
    CameLater(PathBuf),
}

impl FileRules {
    /// Why these rules keep a server from writing this path; `None`: they do not.
    pub fn refusal(&self, path: &Path) -> Option<FileRefusal> {
        let path = resolved(path);
        let all = |paths: &[PathBuf]| paths.iter().map(|path| resolved(path)).collect::<Vec<_>>();
        let (whole, write, hidden) = (all(&self.write_whole), all(&self.write), all(&self.hidden));
        if whole.iter().any(|root| path.starts_with(root)) {
            return None;
        }
        if hidden.iter().any(|hidden| path.starts_with(hidden)) {
            return Some(FileRefusal::Hidden);
        }
        let Some(root) = write.iter().find(|root| path.starts_with(root)) else { return Some(FileRefusal::Outside) };
        let is_on_the_way = |path: &Path| hidden.iter().any(|hidden| hidden.starts_with(path));
        let below = path.ancestors().take_while(|part| part.starts_with(root) && *part != root);
        let entry = below.filter(|part| !is_on_the_way(part) && part.parent().is_some_and(is_on_the_way)).last();
        entry.map(|entry| FileRefusal::CameLater(entry.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(write: &[&str], whole: &[&str], hidden: &[&str]) -> FileRules {
        let paths = |texts: &[&str]| texts.iter().map(PathBuf::from).collect();
        FileRules { read: vec!["/".into()], write: paths(write), write_whole: paths(whole), hidden: paths(hidden) }
    }

    #[test]
    fn a_path_is_refused_by_the_rule_that_does_not_have_it() {
        let rules = rules(&["/nowhere/u"], &["/nowhere/data"], &["/nowhere/u/.local/state/mcproxy"]);
        let refusal = |path: &str| rules.refusal(Path::new(path));
        let came_later = |path: &str| Some(FileRefusal::CameLater(path.into()));
        assert_eq!(refusal("/nowhere/data/x"), None);
        assert_eq!(refusal("/nowhere/other/x"), Some(FileRefusal::Outside));
        assert_eq!(refusal("/nowhere/u/.local/state/mcproxy/uids.json"), Some(FileRefusal::Hidden));
        assert_eq!(refusal("/nowhere/u/.mcp-auth/token/x"), came_later("/nowhere/u/.mcp-auth"));
        assert_eq!(refusal("/nowhere/u/.local/share/x"), came_later("/nowhere/u/.local/share"));
        assert_eq!(refusal("/nowhere/u"), None, "the directory itself may be listed");
    }

    #[test]
    fn where_nothing_is_hidden_below_a_directory_all_of_it_may_be_written() {
        let rules = rules(&["/nowhere/u"], &[], &["/nowhere/mcproxy"]);
        assert_eq!(rules.refusal(Path::new("/nowhere/u/new/x")), None);
    }

    #[test]
    fn what_was_named_as_a_whole_is_never_refused() {
        let rules = rules(&[], &["/nowhere/u"], &["/nowhere/u/mcproxy"]);
        assert_eq!(rules.refusal(Path::new("/nowhere/u/mcproxy/file")), None);
    }
}
