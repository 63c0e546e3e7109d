//! Allowing all of a directory but a few paths below it.
//!
//! Landlock can only allow, and what it allows of a directory it allows of all below it. So a directory that is on the way to a path
//! to be hidden is not allowed as a whole: its entries are, as they are now, and so on down to the hidden path. What is made in
//! such a directory later is out of reach.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

/// Programs put new files in the place of old ones here, under the same names.
const NEVER_REPLACED: &str = "/etc";
/// Most paths that may stand for the directories on the way to hidden ones. The kernel is told each of them at each start.
const MOST: usize = 4096;

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    /// What it points to has a path of its own, and is allowed or hidden by that.
    pub(crate) is_symlink: bool,
}

/// What is to be allowed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// All of each of these.
    pub(crate) paths: Vec<PathBuf>,
    /// Hidden paths that are in reach all the same, below one of these.
    pub(crate) exposed: BTreeSet<PathBuf>,
}

/// What stands for `root` when `hidden` is to be left out; all paths without symbolic links. `list` gives the entries of a
/// directory. One that cannot be listed by the user of a server is of no use to it, and left out.
pub(crate) fn without_hidden(
    root: &Path,
    hidden: &[PathBuf],
    list: &mut impl FnMut(&Path) -> io::Result<Vec<Entry>>,
) -> Allowed {
    let mut allowed = Allowed::default();
    if !expand(root, hidden, list, &mut allowed) {
        let below = hidden.iter().filter(|path| path.starts_with(root));
        return Allowed { paths: vec![root.to_owned()], exposed: below.cloned().collect() };
    }
    allowed
}

/// `false`: that would be too many paths.
fn expand(
    path: &Path,
    hidden: &[PathBuf],
    list: &mut impl FnMut(&Path) -> io::Result<Vec<Entry>>,
    allowed: &mut Allowed,
) -> bool {
    if hidden.iter().any(|hidden| path.starts_with(hidden)) {
        return true;
    }
    let below: Vec<PathBuf> = hidden.iter().filter(|hidden| hidden.starts_with(path)).cloned().collect();
    if below.is_empty() || path.starts_with(NEVER_REPLACED) {
        allowed.paths.push(path.to_owned());
        allowed.exposed.extend(below);
        return allowed.paths.len() <= MOST;
    }
    let entries = list(path).unwrap_or_default();
    entries.iter().filter(|entry| !entry.is_symlink).all(|entry| expand(&entry.path, &below, list, allowed))
}

/// The entries of a directory of this machine.
pub(crate) fn entries(directory: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        entries.push(Entry { path: entry.path(), is_symlink: entry.file_type()?.is_symlink() });
    }
    Ok(entries)
}

/// The path without symbolic links, also of what does not exist yet.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => resolved(parent).join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A file system of these paths; a trailing `@` makes a symbolic link.
    fn tree(paths: &[&str]) -> impl FnMut(&Path) -> io::Result<Vec<Entry>> + use<> {
        let mut all: BTreeMap<PathBuf, BTreeMap<PathBuf, bool>> = BTreeMap::new();
        for path in paths {
            let link = path.ends_with('@');
            let path = PathBuf::from(path.trim_end_matches('@'));
            let mut is_symlink = link;
            for above in path.ancestors().skip(1).zip(path.ancestors()) {
                all.entry(above.0.to_owned()).or_default().entry(above.1.to_owned()).or_insert(is_symlink);
                is_symlink = false;
            }
        }
        move |directory| {
            let entries = all.get(directory).ok_or_else(|| io::Error::from(io::ErrorKind::NotADirectory))?;
            Ok(entries.iter().map(|(path, link)| Entry { path: path.clone(), is_symlink: *link }).collect())
        }
    }

    fn paths(texts: &[&str]) -> Vec<PathBuf> {
        texts.iter().map(PathBuf::from).collect()
    }

    const HOME: &[&str] = &[
        "/usr/bin/env",
        "/etc/passwd",
        "/etc/mcproxy/servers.json",
        "/home/u/.bashrc",
        "/home/u/.local/share/x",
        "/home/u/.local/state/mcproxy/uids.json",
        "/home/u/.local/state/other/y",
        "/home/u/state@",
        "/home/v/z",
    ];

    #[test]
    fn what_is_hidden_is_left_out_and_all_else_is_there() {
        let allowed = without_hidden(Path::new("/"), &paths(&["/home/u/.local/state/mcproxy"]), &mut tree(HOME));
        let expected =
            ["/etc", "/home/u/.bashrc", "/home/u/.local/share", "/home/u/.local/state/other", "/home/v", "/usr"];
        assert_eq!(allowed, Allowed { paths: paths(&expected), exposed: BTreeSet::new() });
    }

    #[test]
    fn a_directory_with_nothing_hidden_below_it_stays_whole() {
        let allowed = without_hidden(Path::new("/home/v"), &paths(&["/home/u"]), &mut tree(HOME));
        assert_eq!(allowed.paths, paths(&["/home/v"]));
        let below = without_hidden(Path::new("/home/u/.local"), &paths(&["/home/u"]), &mut tree(HOME));
        assert_eq!(below.paths, paths(&[]), "what is below a hidden path is hidden");
    }

    #[test]
    fn etc_is_never_replaced_and_says_what_it_exposes() {
        let allowed = without_hidden(Path::new("/"), &paths(&["/etc/mcproxy"]), &mut tree(HOME));
        assert!(allowed.paths.contains(&PathBuf::from("/etc")));
        assert_eq!(allowed.exposed, BTreeSet::from(["/etc/mcproxy".into()]));
    }

    #[test]
    fn a_path_that_does_not_exist_yet_is_hidden_as_well() {
        let allowed = without_hidden(Path::new("/home"), &paths(&["/home/v/later"]), &mut tree(HOME));
        assert_eq!(allowed.paths, paths(&["/home/u", "/home/v/z"]));
    }

    #[test]
    fn a_directory_with_more_entries_than_the_bound_stays_whole_and_is_reported() {
        let mut list = |directory: &Path| {
            let entry = |number| Entry { path: directory.join(format!("f{number}")), is_symlink: false };
            Ok((0..=MOST).map(entry).collect())
        };
        let allowed = without_hidden(Path::new("/data"), &paths(&["/data/secret"]), &mut list);
        assert_eq!(allowed.paths, paths(&["/data"]));
        assert_eq!(allowed.exposed, BTreeSet::from(["/data/secret".into()]));
    }

    #[test]
    fn symbolic_links_are_resolved_as_far_as_there_is_something() {
        let dir = tempfile::tempdir().expect("a directory");
        let real = dir.path().canonicalize().expect("real");
        std::fs::create_dir(real.join("a")).expect("made");
        std::os::unix::fs::symlink(real.join("a"), real.join("link")).expect("linked");
        assert_eq!(resolved(&real.join("link/b/c")), real.join("a/b/c"));
        let links: Vec<bool> = entries(&real).expect("listed").iter().map(|entry| entry.is_symlink).collect();
        assert_eq!(links.iter().filter(|link| **link).count(), 1);
    }

    proptest! {
        #[test]
        fn every_file_is_either_allowed_or_below_a_hidden_path(
            files in prop::collection::btree_set("(/[ab]){1,4}", 1..12),
            hidden in prop::collection::vec("(/[ab]){1,4}", 0..3),
        ) {
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let hidden: Vec<PathBuf> = hidden.iter().map(PathBuf::from).collect();
            let allowed = without_hidden(Path::new("/"), &hidden, &mut tree(&files));
            for file in files.iter().map(Path::new) {
                let is_hidden = hidden.iter().any(|hidden| file.starts_with(hidden));
                let is_allowed = allowed.paths.iter().any(|path| file.starts_with(path));
                // What is a directory on the way to something hidden is neither.
                let is_on_the_way = hidden.iter().any(|hidden| hidden.starts_with(file));
                prop_assert!(is_hidden != is_allowed || (is_on_the_way && !is_allowed), "{}", file.display());
            }
        }
    }
}
