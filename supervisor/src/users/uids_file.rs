//! `uids.json` of the state directory: the table of user ids for the next supervisor.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use mcproxy_ipc::kept_file;

use super::uid_table::UidTable;

/// Longest table that is read, in bytes: far more than names for every id of a range.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// The file.
#[derive(Debug)]
pub(super) struct UidsFile(PathBuf);

impl UidsFile {
    /// The table in this state directory.
    pub(super) fn of(state: &Path) -> Self {
        Self(state.join("uids.json"))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What it says; nothing where there is none yet.
    ///
    /// # Errors
    /// It cannot be read, or says what we never wrote: then nobody knows which ids were given.
    pub(super) fn read(&self) -> io::Result<UidTable> {
        let mut text = String::new();
        match kept_file::open(&self.0) {
            Ok(file) => file.take(MAX_FILE).read_to_string(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(UidTable::default()),
            Err(error) => return Err(error),
        };
        serde_json::from_str(&text).map_err(io::Error::other)
    }

    /// Replaces it.
    pub(super) fn write(&self, table: &UidTable) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(table).map_err(io::Error::other)?;
        text.push('\n');
        kept_file::replace(&self.0, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mcproxy_config::UidRange;

    use super::*;

    #[test]
    fn a_table_is_read_as_it_was_written_and_a_broken_one_is_an_error() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = UidsFile::of(dir.path());
        assert_eq!(file.read().expect("none yet"), UidTable::default());
        let mut table = UidTable::default();
        let range = UidRange { first: 5000, last: 6000 };
        table.assign("time", range, &Default::default(), |_| false).expect("a free one");
        file.write(&table).expect("written");
        assert_eq!(file.read().expect("read"), table);
        let whole = fs::read_to_string(file.path()).expect("text");
        for broken in [&whole[..whole.len() / 2], "", "[]", r#"{"next": 1}"#] {
            fs::write(file.path(), broken).expect("written");
            assert!(file.read().is_err(), "{broken:?}");
        }
    }
}
