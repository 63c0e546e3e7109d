//! Which entry of its cache `npx` will use for a command line: a digest of what it is to install (libnpmexec).

use mcproxy_ipc::package_runner;
use sha2::{Digest, Sha512};

/// The name of the entry; `None`: this is not `npx`, or it installs nothing.
pub(super) fn entry_name(program: &str, arguments: &[&str]) -> Option<String> {
    let packages = packages(program, arguments)?;
    let digest = Sha512::digest(packages.join("\n"));
    Some(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// The names of the packages that come from a registry, without their versions.
pub(super) fn package_names<'a>(program: &str, arguments: &[&'a str]) -> Vec<&'a str> {
    let packages = packages(program, arguments).unwrap_or_default();
    let names = packages.into_iter().map(|package| match package.rfind('@') {
        Some(at) if at > 0 => &package[..at],
        _ => package,
    });
    names
        .filter(|name| !name.contains("..") && !name.contains(':') && (name.starts_with('@') || !name.contains('/')))
        .collect()
}

/// The packages to install, in the order of the digest.
fn packages<'a>(program: &str, arguments: &[&'a str]) -> Option<Vec<&'a str>> {
    let mut words = arguments.iter().copied();
    match program.rsplit('/').next()? {
        "npx" | "npx.cmd" => {}
        "npm" if matches!(words.next()?, "exec" | "x") => {}
        _ => return None,
    }
    let (mut packages, mut command) = (Vec::new(), None);
    while let Some(word) = words.next() {
        match word {
            "-p" | "--package" => packages.push(words.next()?),
            "-c" | "--call" => {
                words.next();
                command = Some("");
            }
            "--" => {
                command = command.or_else(|| words.next());
                break;
            }
            word if package_runner::NPX_FLAGS_WITH_VALUE.contains(&word) => {
                words.next();
            }
            word if word.starts_with('-') => {
                packages.extend(word.strip_prefix("--package=").or_else(|| word.strip_prefix("-p=")));
            }
            word => {
                command = Some(word);
                break;
            }
        }
    }
    if packages.is_empty() {
        packages.extend(command.filter(|command| !command.is_empty()));
    }
    // A package that is on this machine already is not installed.
    let is_local = |package: &&str| package.starts_with(['.', '/', '~']);
    packages.sort_unstable();
    (!packages.is_empty() && !packages.iter().any(is_local)).then_some(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_are_found_in_what_people_write() {
        let found = |words: &[&'static str]| packages(words[0], &words[1..]).map(|packages| packages.join(" "));
        let plain = Some("@a/server@1.0".to_owned());
        for words in [
            &["npx", "-y", "@a/server@1.0", "/srv", "-p", "8080"][..],
            &["/usr/bin/npx", "--yes", "--quiet", "@a/server@1.0"],
            &["npx", "--registry", "https://r", "-y", "@a/server@1.0"],
            &["npx", "--package=@a/server@1.0", "-c", "server --x"],
            &["npx", "-y", "-p", "@a/server@1.0", "server"],
            &["npm", "exec", "--yes", "--", "@a/server@1.0", "x"],
        ] {
            assert_eq!(found(words), plain, "{words:?}");
        }
        assert_eq!(found(&["npx", "-p", "b", "-p", "a", "x"]), Some("a b".to_owned()));
        for words in
            [&["npx"][..], &["npx", "./x"], &["npm", "start"], &["node", "x"], &["npx", "-c", "x"], &["npx", "-p"]]
        {
            assert_eq!(found(words), None, "{words:?}");
        }
    }

    #[test]
    fn the_name_is_the_one_that_npx_chooses() {
        let name = entry_name("npx", &["-y", "@modelcontextprotocol/server-everything"]);
        assert_eq!(name.as_deref(), Some("5b2dd62b9d0bddd4"));
    }
}
