//! Names of servers: safe ones for those that are none.

use std::collections::{HashMap, HashSet};

use mcproxy_ipc::{EMBEDDINGS_SERVER, ServerName, is_authority};
use sha2::{Digest, Sha256};

use super::ServerEntry;
use crate::problem::printable;

/// The name of the built-in server.
pub const RESERVED_NAME: &str = "mcproxy";

/// Names that no entry may have.
const TAKEN: [&str; 2] = [RESERVED_NAME, EMBEDDINGS_SERVER];

fn is_taken(name: &ServerName) -> bool {
    TAKEN.contains(&name.as_str()) || is_authority(name)
}

/// The longest that a safe form may be, so that a number still fits behind it.
const LONGEST: usize = 36;

/// Gives every entry a name, in their order. A name that is written right is never given to another entry.
pub(crate) fn assign(entries: &mut [ServerEntry]) -> Vec<ServerName> {
    let right = |entry: &ServerEntry| ServerName::try_from(entry.name.as_deref()?).ok().filter(|name| !is_taken(name));
    let mut taken: HashSet<String> = entries.iter().filter_map(right).map(String::from).collect();
    taken.extend(TAKEN.map(str::to_owned));
    let mut seen = HashSet::new();
    let mut names = Vec::with_capacity(entries.len());
    for entry in entries {
        let own = right(entry);
        let name = match own {
            Some(name) if seen.insert(name.clone()) => name,
            Some(name) => {
                entry.report.add(entry.name_at, format!("another server is named `{name}`"));
                free(name.as_str(), &mut taken)
            }
            None => {
                let name = free(&safe(entry.name.as_deref().unwrap_or("unnamed")), &mut taken);
                if let Some(written) = &entry.name {
                    entry.report.warn(entry.name_at, renamed(written, &name));
                }
                name
            }
        };
        names.push(name);
    }
    names
}

fn renamed(written: &str, name: &ServerName) -> String {
    let why = match ServerName::try_from(written) {
        Ok(name) if name.as_str() == EMBEDDINGS_SERVER => "it is the name of `search.embeddings`".to_owned(),
        Ok(name) if is_authority(&name) => "it is the name of an issuer of `auth.oauth`".to_owned(),
        Ok(_) => "it is the name of the built-in server".to_owned(),
        Err(error) => error.to_string(),
    };
    format!("`{}` is no name; the server is called `{name}`, and its tools `{name}__…` ({why})", printable(written))
}

/// A name for a server that is called something that is none. Letters and digits stay, and what separates words becomes `-`.
pub fn safe(written: &str) -> String {
    let mut out = String::new();
    for c in written.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => out.push(c),
            '_' if !out.ends_with(['_', '-']) => out.push('_'),
            '_' => {}
            _ if !out.ends_with(['_', '-']) => out.push('-'),
            _ => {}
        }
    }
    let out = out.trim_matches(['-', '_']);
    let cut = out[..out.len().min(LONGEST)].trim_end_matches(['-', '_']);
    if cut.is_empty() {
        // Written in another script; the same text has the same name everywhere.
        let digest = Sha256::digest(written);
        return format!("server-{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2]);
    }
    cut.to_owned()
}

/// The name itself, or with the first number behind it that is free.
fn free(base: &str, taken: &mut HashSet<String>) -> ServerName {
    let base = base[..base.len().min(LONGEST)].trim_end_matches(['-', '_']);
    let candidates = std::iter::once(base.to_owned()).chain((2_u32..).map(|n| format!("{base}-{n}")));
    for candidate in candidates {
        if !taken.contains(&candidate)
            && let Ok(name) = ServerName::try_from(candidate.as_str())
            && !is_authority(&name)
        {
            taken.insert(candidate);
            return name;
        }
    }
    unreachable!("there are more numbers than servers, and {base} is a name")
}

/// Which server a name of the file means: as written, or its safe form.
pub(crate) fn directory(entries: &[ServerEntry], names: &[ServerName]) -> HashMap<String, ServerName> {
    let mut known: HashMap<String, ServerName> = names.iter().map(|name| (name.to_string(), name.clone())).collect();
    for (entry, name) in entries.iter().zip(names) {
        if let Some(written) = &entry.name {
            known.entry(written.clone()).or_insert_with(|| name.clone());
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_has_a_safe_form(text in "\\PC{0,60}", ascii in "[ -~]{0,60}") {
            for text in [text, ascii] {
                let safe = safe(&text);
                prop_assert!(ServerName::try_from(safe.as_str()).is_ok(), "{safe:?}");
                prop_assert!(safe.len() <= LONGEST);
            }
        }

        #[test]
        fn a_right_name_of_moderate_length_is_its_own_safe_form(name in "[a-z0-9]{1,8}([-_][a-z0-9]{1,8}){0,2}") {
            prop_assert_eq!(safe(&name), name);
        }
    }

    #[test]
    fn safe_forms_can_be_recognised() {
        let cases = [
            ("sequential thinking", "sequential-thinking"),
            ("my.server", "my-server"),
            ("c d/e", "c-d-e"),
            ("@scope/pkg", "scope-pkg"),
            ("a__b", "a_b"),
            ("_x_", "x"),
            ("GitHub (work)", "GitHub-work"),
        ];
        for (written, expected) in cases {
            assert_eq!(safe(written), expected);
        }
        assert_ne!(safe("日本語"), safe("한국어"));
    }
}
