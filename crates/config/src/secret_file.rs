//! Secrets in files of their own: `${file:/run/secrets/token}`, and `${credential:NAME}` for those that systemd hands over.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use mcproxy_ipc::regular_file::{self, Links};

/// Before the path of a file.
const FILE: &str = "file:";
/// Before the name of a credential.
const CREDENTIAL: &str = "credential:";
/// Where systemd puts them.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// Largest secret, in bytes.
const MAX_SECRET: u64 = 64 * 1024;

/// Whether a reference names a secret in a file.
pub(crate) fn is_one(reference: &str) -> bool {
    [FILE, CREDENTIAL].into_iter().any(|prefix| reference.strip_prefix(prefix).is_some_and(|name| !name.is_empty()))
}

/// The secret, without the end of its last line; `None`: there is none that can be read. `base`: the directory of the configuration.
pub(crate) fn read(reference: &str, base: &Path, env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let path = path(reference, base, env)?;
    let mut text = String::new();
    let file = regular_file::open(&path, Links::Follow).ok()?;
    file.take(MAX_SECRET + 1).read_to_string(&mut text).ok()?;
    if text.len() as u64 > MAX_SECRET {
        return None;
    }
    let end = text.strip_suffix('\n').map_or(text.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    text.truncate(end);
    Some(text)
}

fn path(reference: &str, base: &Path, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if let Some(file) = reference.strip_prefix(FILE) {
        return Some(match file.strip_prefix("~/") {
            Some(below_home) => Path::new(&env("HOME")?).join(below_home),
            None => base.join(file),
        });
    }
    let name = reference.strip_prefix(CREDENTIAL)?;
    let plain = !name.contains('/') && name != "..";
    plain.then(|| env(CREDENTIALS)).flatten().map(|dir| Path::new(&dir).join(name))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_secret_is_the_text_of_its_file_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let (at, text) =
            (dir.path().to_owned(), |name: &str, text: &[u8]| fs::write(dir.path().join(name), text).expect("written"));
        text("token", b"s3cret\n");
        text("dos", b"s3cret\r\n");
        text("lines", b"a\nb\n\n");
        text("large", &vec![b'x'; MAX_SECRET as usize + 1]);
        text("binary", &[0xff, 0xfe]);
        let env = |name: &str| (name == CREDENTIALS || name == "HOME").then(|| at.display().to_string());
        let of = |reference: &str| read(reference, dir.path(), &env);
        for reference in ["file:token", "file:dos", "file:~/token", "credential:token"] {
            assert_eq!(of(reference).as_deref(), Some("s3cret"), "{reference}");
        }
        assert_eq!(of(&format!("file:{}", dir.path().join("lines").display())).as_deref(), Some("a\nb\n"));
        for reference in
            ["file:none", "file:large", "file:binary", "file:.", "credential:../token", "credential:x/token"]
        {
            assert_eq!(of(reference), None, "{reference}");
        }
        assert_eq!(read("credential:token", dir.path(), &|_| None), None, "systemd handed nothing over");
    }

    #[test]
    fn other_references_are_none() {
        assert!(is_one("file:/x") && is_one("credential:x"));
        for other in ["file", "file:", "credential:", "input:x", "env:X", "files:x"] {
            assert!(!is_one(other), "{other}");
        }
    }
}
