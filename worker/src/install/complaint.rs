//! A server's complaints about files that are missing or cut short, in the words of the runtimes and runners that say so. That a
//! path is mentioned says nothing: the stack trace of any failure goes through the cache that its server was started from.

use std::path::{Component, Path, PathBuf};

/// Behind or directly before each of these stands the file that is meant.
const OF_A_FILE: [&str; 11] = [
    "ENOENT",
    "ENOTDIR",
    "No such file or directory",
    "Invalid package config",
    "Error parsing",
    "failed to read",
    "Failed to inspect",
    "Broken symlink",
    "Broken virtual environment",
    "file too short",
    ": not found",
];
/// The same where npm says so: two of its installations have met, or one was cut short.
const OF_NPM: [&str; 3] = ["ENOTEMPTY", "EEXIST", "EJSONPARSE"];
/// How far above its error the file stands that could not be compiled: place, source, mark, empty line.
const EXCERPT: usize = 5;

/// The files that a text calls missing or cut short. Of a module that is asked for by name it is the file that asks for it:
/// what is missing belongs beside it.
pub(super) fn missing(stderr: &str) -> Vec<PathBuf> {
    let lines: Vec<&str> = stderr.lines().map(str::trim_end).collect();
    let mut found = Vec::new();
    // The last frame of a Python traceback, and whether npm has just given the code of such an error.
    let (mut frame, mut npm_code) = (None, false);
    for (at, line) in lines.iter().enumerate() {
        let rest = &lines[at + 1..];
        let npm = line.strip_prefix("npm error ").or_else(|| line.strip_prefix("npm ERR! "));
        if let Some(code) = npm.and_then(|said| said.strip_prefix("code ")) {
            npm_code = OF_NPM.iter().chain(&["ENOENT", "ENOTDIR"]).any(|known| code == *known);
            continue;
        }
        if let Some(path) = npm.and_then(|said| said.strip_prefix("path ")) {
            found.extend(npm_code.then(|| PathBuf::from(path)));
            continue;
        }
        if let Some(file) = line.trim_start().strip_prefix("File \"").and_then(|rest| rest.split_once('"')) {
            frame = Some(file.0);
            continue;
        }
        let of_npm: &[&str] = if npm.is_some() { &OF_NPM } else { &[] };
        found.extend(OF_A_FILE.iter().chain(of_npm).filter_map(|symptom| file_of(line, symptom)));
        found.extend(module(line, rest));
        found.extend(uncompiled(line, &lines[at.saturating_sub(EXCERPT)..at], rest));
        if line.starts_with("ModuleNotFoundError: ") || line.starts_with("ImportError: ") {
            found.extend(import(line, frame.take()));
        }
    }
    found
}

/// The commands that `sh` did not find, or could not start. Only `sh` itself: what a server has a shell of its own do says
/// `/bin/sh`.
pub(super) fn commands(stderr: &str) -> impl Iterator<Item = &str> {
    stderr.lines().filter_map(|line| {
        let said = line.trim_end().strip_prefix("sh: ")?;
        let said = [": command not found", ": not found", ": Permission denied"]
            .iter()
            .find_map(|symptom| said.strip_suffix(symptom))?;
        let command = said.rsplit(": ").next()?;
        (!command.contains(['/', ' '])).then_some(command)
    })
}

/// The file that a symptom in this line is about.
fn file_of(line: &str, symptom: &str) -> Option<PathBuf> {
    let (before, after) = line.split_once(symptom)?;
    let subject = if after.contains(['\'', '"', '`', '/']) { subject(after)? } else { neighbour(before)? };
    absolute(subject)
}

/// The first thing that is named in a text: what is quoted, or a path.
fn subject(text: &str) -> Option<&str> {
    let (at, first) = text.char_indices().find(|(_, c)| matches!(c, '\'' | '"' | '`' | '/'))?;
    if first == '/' {
        let path = &text[at..];
        return path.split(|c: char| c.is_whitespace() || "'\":,)".contains(c)).next();
    }
    text[at + 1..].split_once(first).map(|(quoted, _)| quoted)
}

/// The last thing that is named in a text, if nothing but marks follows it.
fn neighbour(text: &str) -> Option<&str> {
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || "'\"`:,".contains(c));
    text.rsplit(|c: char| c.is_whitespace() || "'\"`(".contains(c)).next()
}

/// A module that Node.js or Bun does not find.
fn module(line: &str, rest: &[&str]) -> Option<PathBuf> {
    let after = ["Cannot find module ", "Cannot find package "].iter().find_map(|words| line.split_once(words))?.1;
    let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (name, after) = after[1..].split_once(quote)?;
    if let Some(path) = absolute(name) {
        return Some(path);
    }
    let importer = match after.split_once(" from ") {
        Some((_, importer)) => importer.trim_matches(['\'', '"']),
        None => match rest {
            ["Require stack:", first, ..] => first.strip_prefix("- ")?,
            _ => return None,
        },
    };
    let importer = absolute(importer)?;
    if name.starts_with('.') { normal(&importer.parent()?.join(name)) } else { Some(importer) }
}

/// A file that could not be compiled: it stands above the error, and what is below is the loader. A text that a server failed to
/// parse has the server below it.
fn uncompiled(line: &str, above: &[&str], rest: &[&str]) -> Option<PathBuf> {
    line.strip_prefix("SyntaxError: ")?;
    let caller = rest.iter().take(EXCERPT).find_map(|line| line.trim_start().strip_prefix("at "));
    if caller.is_some_and(|caller| !["node:", "internal/"].iter().any(|loader| caller.contains(loader))) {
        return None;
    }
    above.iter().rev().find_map(|line| {
        if let Some(file) = line.trim_start().strip_prefix("File \"") {
            return absolute(file.split_once('"')?.0);
        }
        let (file, number) = line.rsplit_once(':')?;
        (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then(|| absolute(file))?
    })
}

/// A module that Python does not find, or that lacks a name. Shared libraries of the system are not in any package.
fn import(line: &str, frame: Option<&str>) -> Option<PathBuf> {
    if line.contains("cannot import name")
        && let Some((_, file)) = line.rsplit_once('(')
        && let Some(file) = absolute(file.trim_end_matches(')'))
    {
        return Some(file);
    }
    let of_a_module = line.contains("No module named") || line.contains("cannot import name");
    frame.filter(|_| of_a_module).and_then(absolute)
}

fn absolute(path: &str) -> Option<PathBuf> {
    let path = path.strip_prefix("file://").unwrap_or(path);
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// The path without `.` and `..`.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if !normal.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            part => normal.push(part),
        }
    }
    Some(normal)
}
