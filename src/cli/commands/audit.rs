//! `mcproxy audit verify`: whether the lines of the audit are those that were written.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use mcproxy_audit::{ChainReader, FILE, MAX_LINE, file_number, rotated_name};
use mcproxy_ipc::default_state_dir;
use serde_json::json;

use crate::cli::{console::Console, error::CliError, exit::Exit, human::printable};

/// Where the files are.
pub(crate) struct VerifyAudit {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) json: bool,
}

/// Where a trail breaks.
struct Break {
    file: PathBuf,
    line: u64,
    why: String,
}

impl VerifyAudit {
    /// Reads all files of the trail, the oldest first.
    pub(crate) fn run(self, console: &mut Console) -> Result<Exit, CliError> {
        let dir = match self.dir.or_else(|| default_state_dir().map(|state| state.join("audit"))) {
            Some(dir) => dir,
            None => {
                return Err(CliError::Usage(
                    "there is no state directory here; name the directory of the audit".into(),
                ));
            }
        };
        let unreadable = |source| CliError::Service { what: "read", path: dir.clone(), source };
        let files = files(&dir).map_err(unreadable)?;
        let mut reader = ChainReader::default();
        let mut broken = None;
        for file in &files {
            broken = verify(file, &mut reader).map_err(unreadable)?;
            if broken.is_some() {
                break;
            }
        }
        let (first, last) = (reader.first, reader.head().map(|head| head.next - 1));
        let hash = reader.head().map(|head| head.hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        if self.json {
            let broken = broken.as_ref().map(|at| json!({"file": at.file, "line": at.line, "error": at.why}));
            let answer = json!({"dir": dir, "files": files.len(), "lines": reader.lines, "first": first, "last": last,
                "sha256": hash, "dropped": reader.dropped, "broken": broken});
            writeln!(console.out, "{answer}")?;
        } else if let Some(Break { file, line, why }) = &broken {
            let at = format!("{}:{line}: {why}", file.display());
            writeln!(console.out, "{}", printable(&at))?;
            writeln!(console.out, "{} lines before it are as they were written", reader.lines)?;
        } else {
            match (first, last, hash) {
                (Some(first), Some(last), Some(hash)) => {
                    writeln!(console.out, "{} lines are as they were written: {first} to {last}", reader.lines)?;
                    writeln!(
                        console.out,
                        "the last one has the SHA-256 {hash}; keep it elsewhere, and lines that are cut off at the end show, too"
                    )?;
                }
                _ => writeln!(console.out, "there is no line in {}", printable(&dir.display().to_string()))?,
            }
            if reader.dropped > 0 {
                writeln!(console.out, "{} calls were not recorded, as the lines say", reader.dropped)?;
            }
        }
        Ok(if broken.is_some() { Exit::Failed } else { Exit::Ok })
    }
}

/// The files of a trail in the order of their lines.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let names = fs::read_dir(dir)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut numbers: Vec<u64> = names.filter_map(|name| file_number(&name)).collect();
    numbers.sort_unstable();
    let current = dir.join(FILE);
    let current = current.exists().then_some(current);
    Ok(numbers.into_iter().map(|number| dir.join(rotated_name(number))).chain(current).collect())
}

/// Reads one file; where it breaks, if it does.
fn verify(path: &Path, reader: &mut ChainReader) -> io::Result<Option<Break>> {
    let mut input = BufReader::new(File::open(path)?);
    let mut number = 0;
    loop {
        let mut line = Vec::new();
        input.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        number += 1;
        let broken = |why: String| Some(Break { file: path.to_owned(), line: number, why });
        let Some(text) = line.strip_suffix(b"\n") else {
            return Ok(broken("this line has no end: it is being written, was cut off, or is none of ours".to_owned()));
        };
        if let Err(error) = reader.next(text) {
            return Ok(broken(error.to_string()));
        }
    }
}
