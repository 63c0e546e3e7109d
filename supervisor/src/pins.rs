//! Pins: what each server offered when it was first seen, or when somebody approved it. Copies of kept catalogues, which nobody here
//! reads; the gateway compares them with what a server offers now.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use mcproxy_ipc::{ServerName, kept_file};

use crate::runtime_dir::own_directory;

const DIR: &str = "pins";

/// Where the pins of a server are. `catalogues`: where catalogues are kept, beside them.
pub(crate) fn place(catalogues: &Path, server: &str) -> PathBuf {
    catalogues.with_file_name(DIR).join(format!("{server}.json"))
}

/// Pins a server whose catalogue was kept in this file, if it was never seen before.
pub(crate) fn first_sight(catalogue: &Path) -> io::Result<()> {
    let name = catalogue.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('.').next());
    let (Some(dir), Some(server)) = (catalogue.parent(), name) else { return Ok(()) };
    let pins = place(dir, server);
    if pins.exists() { Ok(()) } else { copy(catalogue, &pins) }
}

/// Pins what a server offered last.
pub(crate) fn approve(catalogues: &Path, catalogue: &Path, server: &ServerName) -> io::Result<()> {
    copy(catalogue, &place(catalogues, server.as_str()))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(dir) = to.parent() {
        own_directory(dir, false, "--state-dir").map_err(io::Error::other)?;
    }
    kept_file::replace_with(to, &kept_file::open(from)?)
}

/// Opens the pins of a server.
pub(crate) fn open(catalogues: &Path, server: &ServerName) -> io::Result<File> {
    kept_file::open(&place(catalogues, server.as_str()))
}

/// Removes the pins of servers that are not configured.
pub(crate) fn keep_only(catalogues: &Path, is_there: impl Fn(&str) -> bool) {
    let Ok(entries) = fs::read_dir(catalogues.with_file_name(DIR)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.to_str().and_then(|name| name.strip_suffix(".json")).is_some_and(&is_there) {
            // It is looked at again at the next start.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_first_stays_until_something_else_is_approved() {
        let state = tempfile::tempdir().expect("a directory");
        let catalogues = state.path().join("catalogues");
        fs::create_dir(&catalogues).expect("made");
        let catalogue = catalogues.join("time.00ff.json");
        let server = ServerName::try_from("time").expect("a name");
        let pinned = || fs::read_to_string(place(&catalogues, "time")).ok();
        for text in ["first", "second"] {
            fs::write(&catalogue, text).expect("written");
            first_sight(&catalogue).expect("pinned");
            assert_eq!(pinned().as_deref(), Some("first"));
        }
        approve(&catalogues, &catalogue, &server).expect("approved");
        assert_eq!(pinned().as_deref(), Some("second"));
        keep_only(&catalogues, |name| name == "time");
        assert!(open(&catalogues, &server).is_ok());
        keep_only(&catalogues, |_| false);
        assert_eq!(pinned(), None);
    }
}
