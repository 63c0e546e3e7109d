//! The files to import: read within bounds, decoded, and recognised by their content.

use std::{io, path::Path};

use mcproxy_ipc::regular_file::{self, Links};
use serde_json::Value;

use super::{
    dump, environment, export,
    installation::Installation,
    psql,
    report::{ImportReport, Weight},
};

/// The largest file that is read, in bytes. A dump of a thousand servers has one.
const MAX_FILE: usize = 16 << 20;
/// The most files.
pub(super) const MAX_FILES: usize = 32;

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// It cannot be read.
    #[error("cannot read it")]
    Read(#[from] io::Error),
    /// It is larger than anything that MetaMCP writes.
    #[error("it has more than {} MiB; is it the file of one psql statement?", MAX_FILE >> 20)]
    TooLarge,
    /// It is binary, or in an old encoding.
    #[error("it is not UTF-8 (byte {0}); save it as UTF-8")]
    Encoding(usize),
    /// It looks like JSON and is not.
    #[error("it is no JSON, at line {line}, column {column}: {why}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser says; without any of the text.
        why: String,
    },
    /// It is something else.
    #[error("{0}")]
    Unknown(&'static str),
}

const EXPECTED: &str = "it is none of: the export of MetaMCP's web interface (mcp-servers-export.json), the output of \
                        deploy/metamcp-export.sql, MetaMCP's .container or .env";

/// Reads one file into the installation.
pub(super) fn read(path: &Path, into: &mut Installation, report: &mut ImportReport) -> Result<(), ImportError> {
    let bytes = content(path)?;
    let text = decode(&bytes)?;
    let source =
        path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    recognise(&text, &source, into, report)
}

/// The bytes of a file. `-` and pipes are read, too: a dump may come right from `psql`.
fn content(path: &Path) -> Result<Vec<u8>, ImportError> {
    let bound = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::Read::read_to_end(&mut io::Read::take(io::stdin().lock(), bound), &mut bytes)?;
    } else {
        let file = regular_file::open(path, Links::Follow)?;
        io::Read::read_to_end(&mut io::Read::take(file, bound), &mut bytes)?;
    }
    if bytes.len() > MAX_FILE { Err(ImportError::TooLarge) } else { Ok(bytes) }
}

/// The text of a file: UTF-8, or UTF-16 with its mark, as the shell of Windows redirects.
fn decode(bytes: &[u8]) -> Result<String, ImportError> {
    let sixteen = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16(&units).map_err(|_| ImportError::Encoding(0))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => sixteen(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => sixteen(rest, u16::from_be_bytes),
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let text = std::str::from_utf8(bytes).map_err(|error| ImportError::Encoding(error.valid_up_to()))?;
            Ok(text.to_owned())
        }
    }
}

/// Finds out what a file is, and takes it in.
pub(super) fn recognise(
    text: &str,
    source: &str,
    into: &mut Installation,
    report: &mut ImportReport,
) -> Result<(), ImportError> {
    if text.trim().is_empty() {
        return Err(ImportError::Unknown("it is empty"));
    }
    if environment::is_one(text) {
        environment::read(text, source, into, report);
        return Ok(());
    }
    if is_compose(text) {
        return Err(ImportError::Unknown(
            "it is a compose file, which is not read; give the .env beside it, and `--listen` for its `ports`",
        ));
    }
    let json = match serde_json::from_str::<Value>(text.trim()) {
        Ok(json) => json,
        Err(error) => match psql::json_in(text) {
            Some(json) => json,
            None if text.contains('{') => {
                return Err(ImportError::Json {
                    line: error.line(),
                    column: error.column(),
                    why: what_is_wrong(&error),
                });
            }
            None => return Err(ImportError::Unknown(EXPECTED)),
        },
    };
    if export::is_one(&json) {
        export::read(text, &json, source, into, report);
    } else if dump::is_one(&json) {
        dump::read(&json, source, into, report);
    } else if json.as_array().is_some_and(|rows| rows.len() == 1 && dump::is_one(&rows[0])) {
        dump::read(&json[0], source, into, report);
    } else {
        return Err(ImportError::Unknown(EXPECTED));
    }
    if into.servers.is_empty() {
        report.add(Weight::Note, source, "it holds no servers");
    }
    Ok(())
}

/// What the parser says, without the place, which is said apart.
fn what_is_wrong(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

fn is_compose(text: &str) -> bool {
    text.lines().any(|line| line.trim_end() == "services:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Installation, ImportError> {
        let mut installation = Installation::default();
        recognise(text, "file", &mut installation, &mut ImportReport::default()).map(|()| installation)
    }

    #[test]
    fn every_encoding_of_a_redirect_is_read() {
        let text = "{\"a\": \"ü\"}";
        let little: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        let marked: Vec<u8> = [0xef, 0xbb, 0xbf].into_iter().chain(text.bytes()).collect();
        for bytes in [text.as_bytes(), &marked, &little, &big] {
            assert_eq!(decode(bytes).expect("text"), text);
        }
        assert!(matches!(decode(b"{\"a\": \"\xfc\"}"), Err(ImportError::Encoding(7))));
    }

    #[test]
    fn a_file_of_another_kind_is_refused_with_what_was_expected() {
        for (text, why) in [
            ("", "it is empty"),
            (" \r\n", "it is empty"),
            ("hello", "none of"),
            ("{}", "none of"),
            ("[1, 2]", "none of"),
            ("null", "none of"),
            ("{\"servers\": [", "no JSON, at line 1, column 13"),
            ("services:\n  app:\n    image: metamcp\n", "compose file"),
        ] {
            let error = read_text(text).expect_err(text).to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn each_kind_of_file_is_known_by_its_content() {
        assert_eq!(read_text(r#"{"mcpServers": {"a": {"command": "x"}}}"#).expect("an export").servers.len(), 1);
        let dump = r#"{"servers": [{"name": "a", "command": "x"}], "namespaces": []}"#;
        assert_eq!(read_text(dump).expect("a dump").servers.len(), 1);
        assert_eq!(read_text(&format!("[{dump}]")).expect("a row of a dump").servers.len(), 1);
        assert!(read_text("APP_URL=http://localhost:12008\n").expect("a .env").app_url.is_some());
    }
}
