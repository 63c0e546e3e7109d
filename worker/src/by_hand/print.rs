//! Output for a person: results on stdout, everything else on stderr.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use mcproxy_ipc::{Reach, ServerDescription};
use mcproxy_mcp::{RawArray, RawObject};

use crate::{lines::printable, mask::Mask};

/// Longest line of a server that is shown whole.
const MAX_LINE: usize = 16 * 1024;
/// Longest first line of a description.
const MAX_SUMMARY: usize = 100;

/// Writes with secrets masked. Errors of a write are ignored: a closed pipe or terminal is the reader's choice.
pub(crate) struct Printer {
    mask: Arc<Mask>,
}

/// Where log records go: they may quote the server.
pub(crate) struct MaskedStderr(Arc<Mask>);

impl Write for MaskedStderr {
    /// The decorator writes a record at a time, so no secret is cut in two.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(self.0.apply(&String::from_utf8_lossy(record)).as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Printer {
    pub(crate) fn new(mask: Mask) -> Self {
        Self { mask: Arc::new(mask) }
    }

    /// For a log.
    pub(crate) fn masked_stderr(&self) -> MaskedStderr {
        MaskedStderr(Arc::clone(&self.mask))
    }

    /// One line to stderr.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{}", self.mask.apply(text));
    }

    fn say(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{}", self.mask.apply(text)).and_then(|()| out.flush());
    }

    /// How the server is reached.
    pub(crate) fn reach(&self, reach: &Reach) {
        reach.describe(shown).iter().for_each(|line| self.note(line));
    }

    pub(crate) fn server_stderr(&self, line: &str, dropped: u64) {
        if dropped > 0 {
            self.note(&format!("stderr | ({dropped} lines not shown)"));
        }
        self.note(&format!("stderr | {line}"));
    }

    pub(crate) fn server_log(&self, payload: &[u8]) {
        self.note(&format!("log | {}", printable(payload, MAX_LINE)));
    }

    pub(crate) fn progress(&self, payload: &[u8]) {
        self.note(&format!("progress | {}", printable(payload, MAX_LINE)));
    }

    pub(crate) fn traced(&self, arrow: &str, line: &[u8]) {
        self.note(&format!("{arrow} {}", printable(line, MAX_LINE)));
    }

    pub(crate) fn ready(&self, server: &ServerDescription, after: Duration) {
        let name = printable(server.name.as_bytes(), 200);
        let version = printable(server.version.as_bytes(), 200);
        self.note(&format!(
            "ready after {} ms: {name} {version}, {} era, MCP {}",
            after.as_millis(),
            server.era,
            server.protocol_version
        ));
        self.note(&format!("  known because: {}", printable(server.probe.as_bytes(), MAX_LINE)));
    }

    /// The server's catalogue.
    pub(crate) fn catalogue(&self, payload: &[u8]) {
        let Ok(catalogue) = RawObject::from_slice(payload) else { return };
        for (member, title, name) in [
            ("tools", "tools", "name"),
            ("prompts", "prompts", "name"),
            ("resources", "resources", "uri"),
            ("resourceTemplates", "resource templates", "uriTemplate"),
        ] {
            let Some(Ok(RawArray(entries))) = catalogue.get(member).map(RawArray::from_raw) else { continue };
            if entries.is_empty() && member != "tools" {
                continue;
            }
            self.say(&format!("{title} ({}):", entries.len()));
            for entry in entries.into_iter().filter_map(|entry| RawObject::from_raw(entry).ok()) {
                let name = entry.get_string(name).unwrap_or_default();
                let about = entry.get_string("description").or_else(|| entry.get_string("name")).unwrap_or_default();
                let about = printable(about.trim().lines().next().unwrap_or_default().as_bytes(), MAX_SUMMARY);
                self.say(format!("  {:<28} {about}", printable(name.as_bytes(), 200)).trim_end());
            }
        }
    }

    /// Prints a tool's result; false when the tool says that it failed.
    pub(crate) fn result(&self, payload: &[u8]) -> bool {
        let result = RawObject::from_slice(payload).unwrap_or_default();
        let content = result.get("content").map(RawArray::from_raw);
        match content {
            Some(Ok(RawArray(blocks))) if !blocks.is_empty() => {
                for block in blocks {
                    let text = RawObject::from_raw(block).ok().and_then(|block| {
                        (block.get_string("type")? == "text")
                            .then(|| block.get_string("text").map(|t| t.into_owned()))?
                    });
                    self.say(text.as_deref().unwrap_or(block.get()));
                }
            }
            _ => self.say(&String::from_utf8_lossy(payload)),
        }
        let is_error = result.get("isError").is_some_and(|flag| flag.get() == "true");
        if is_error {
            self.note("the tool reports an error");
        }
        !is_error
    }

    /// The server wants something before it goes on, which cannot be given here.
    pub(crate) fn needs_input(&self, payload: &[u8]) {
        self.note(&format!("the server asks its client for something first: {}", printable(payload, MAX_LINE)));
    }

    pub(crate) fn error(&self, payload: &[u8]) {
        self.note(&format!("error: {}", printable(payload, MAX_LINE)));
    }
}

/// The names of the tools in a catalogue.
pub(crate) fn tool_names(payload: &[u8]) -> Vec<String> {
    let Ok(catalogue) = RawObject::from_slice(payload) else { return Vec::new() };
    let Some(Ok(RawArray(tools))) = catalogue.get("tools").map(RawArray::from_raw) else { return Vec::new() };
    let name = |tool: &&mcproxy_mcp::RawValue| Some(RawObject::from_raw(tool).ok()?.get_string("name")?.into_owned());
    tools.iter().filter_map(name).collect()
}

/// An argument so that it could be pasted into a shell.
fn shown(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%^".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        arg.to_owned()
    } else {
        format!("'{}'", printable(arg.replace('\'', "'\\''").as_bytes(), MAX_LINE))
    }
}
