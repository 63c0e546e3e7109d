//! Which values of a server's entry are secrets: the entry does not say it, and what is masked without need makes a log unreadable.
//! (`docs/decisions/0118-secrets-are-masked-in-what-servers-say.md`)

use mcproxy_ipc::{Reach, environment::is_credential};

use crate::mask::Mask;

/// Shorter values are shown unless their variable says that they are secret.
const SHORTEST: usize = 6;
/// Words for variables that say where a secret lies, and do not hold it.
const PLACES: [&str; 6] = ["path", "file", "dir", "directory", "folder", "name"];
/// Words that are settings.
const WORDS: [&str; 16] = [
    "true",
    "false",
    "yes",
    "none",
    "null",
    "auto",
    "info",
    "debug",
    "error",
    "warning",
    "verbose",
    "default",
    "enabled",
    "disabled",
    "development",
    "production",
];

/// The mask for the output of a server.
pub(crate) fn mask(reach: &Reach) -> Mask {
    let named = reach.named_values().iter().map(|(name, value)| (name.as_str(), value.expose()));
    let looked_up = reach.looked_up().iter().map(|value| ("", value.expose()));
    let mut values = Vec::new();
    for (name, value) in named.chain(looked_up) {
        if is_secret(name, value) {
            values.push(value.to_owned());
        }
        values.extend(password(value).map(str::to_owned));
    }
    Mask::new(values)
}

/// Whether the value of a variable of that name is to be masked.
fn is_secret(name: &str, value: &str) -> bool {
    let (name, value) = (name.to_ascii_lowercase(), value.trim());
    let words = || name.split(|c: char| !c.is_ascii_alphanumeric());
    // Who it is for is no secret.
    let is_credential = |word: &str| word != "username" && is_credential(word);
    if words().any(is_credential) && !words().any(|word| PLACES.contains(&word)) {
        return !WORDS.contains(&value.to_ascii_lowercase().as_str());
    }
    value.len() >= SHORTEST
        && !WORDS.contains(&value.to_ascii_lowercase().as_str())
        && value.parse::<f64>().is_err()
        && !is_path(value)
        && !is_plain_url(value)
}

/// One path, or several with colons between them.
fn is_path(value: &str) -> bool {
    let is_one = |path: &str| {
        let begins = ["/", "~/", "./", "../"].iter().any(|start| path.starts_with(start));
        let usual = |c: char| c.is_alphanumeric() || "/._-~ @".contains(c);
        path.is_empty() || begins && path.chars().all(usual)
    };
    // A key of random letters may begin with a slash, and has a letter in both cases beside digits.
    let looks_random = !value.contains('.') && value.len() >= 20 && value.matches('/').count() < 3 && {
        let has = |test: fn(&char) -> bool| value.chars().any(|c| test(&c));
        has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit)
    };
    !looks_random && value.split(':').all(is_one)
}

/// An address without a user, a query or a fragment.
fn is_plain_url(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once("://") else { return false };
    scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c)) && !rest.contains(['@', '?', '#'])
}

/// The password in an address: `postgres://user:password@host`.
fn password(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (_, password) = authority.rsplit_once('@')?.0.split_once(':')?;
    Some(password)
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::{LaunchSpec, Secret};

    use super::*;

    #[test]
    fn secrets_are_told_from_settings() {
        for (name, value) in [
            ("API_KEY", "sup3rs3cr3tvalue"),
            ("PASSWORD", "1234"),
            ("GITHUB_TOKEN", "/starts/with/a/slash"),
            ("WHATEVER", "sup3rs3cr3tvalue"),
            ("WHATEVER", "/aB3dE5fG7hI9jK1lM3nO"),
            ("DATABASE", "postgres://me:pa55word@host/db"),
            ("HOOK", "https://example.com/hook?sig=abcdef"),
            ("", "looked up"),
        ] {
            assert!(is_secret(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("LOG_LEVEL", "debug"),
            ("USE_TOKEN", "true"),
            ("PORT", "30000000"),
            ("RATIO", "0.123456"),
            ("ROOT", "/usr/share/some/place"),
            ("ROOTS", "/usr/share:/opt/some"),
            ("SSH_KEY_PATH", "/home/me/.ssh/id_ed25519"),
            ("BASE_URL", "https://example.com/api/v1"),
            ("MODE", "fast"),
            ("EMPTY", ""),
        ] {
            assert!(!is_secret(name, value), "{name}={value}");
        }
    }

    #[test]
    fn what_the_command_has_out_of_the_environment_is_masked_and_so_is_a_password_in_an_address() {
        let mask = mask(&Reach::Command(LaunchSpec {
            program: "server".into(),
            args: vec![Secret::new("--token=from-the-environment")],
            env: vec![("DATABASE_URL".into(), Secret::new("postgres://me:pa55word@host/db"))],
            cwd: None,
            looked_up: vec![Secret::new("from-the-environment")],
        }));
        assert_eq!(mask.apply("started with --token=from-the-environment"), "started with --token=***");
        assert_eq!(mask.apply("no access for me with pa55word"), "no access for me with ***");
    }
}
