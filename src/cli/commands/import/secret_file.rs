//! Secrets of an installation, kept apart from the configuration: a file of variables, and references to them in their place.

use std::collections::BTreeMap;

use mcproxy_ipc::environment::{is_credential, is_passed_on};

/// Words for variables that say where a secret lies, or whose it is, and do not hold it.
const PLACES: [&str; 8] = ["path", "file", "dir", "directory", "folder", "name", "username", "id"];
/// What keys of well-known services begin with.
const PREFIXES: [&str; 16] = [
    "sk-",
    "sk_",
    "pk_",
    "rk_",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "AKIA",
    "AIza",
    "eyJ",
    "pplx-",
    "ntn_",
];
/// A text of letters and digits without words in it is taken for random from this length on.
const RANDOM: usize = 24;
/// Names that mean something to the programs of MCProxy, or to what starts them.
const RESERVED: [&str; 8] = ["MCPROXY_", "LD_", "RUST_", "LISTEN_", "NOTIFY_", "SYSTEMD_", "XDG_", "DBUS_"];

/// Whether the value of a variable, header or option of that name is a secret.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    let value = value.trim();
    let name = name.to_ascii_lowercase();
    let words = || name.split(|c: char| !c.is_ascii_alphanumeric());
    let names_secret = words().any(|word| word != "username" && is_credential(word)) || name == "authorization";
    if value.is_empty() || value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") {
        return false;
    }
    let names_place = words().any(|word| PLACES.contains(&word));
    (names_secret && !names_place) || looks_secret(value)
}

/// Whether a value says by itself that it is a secret.
pub(super) fn looks_secret(value: &str) -> bool {
    let bare = value.trim().trim_start_matches("Bearer ").trim_start_matches("Basic ");
    PREFIXES.iter().any(|prefix| bare.starts_with(prefix) && bare.len() > prefix.len() + 8)
        || bare.len() < value.trim().len()
        || has_password(value)
        || is_random(bare)
}

/// Letters of both cases and digits, or many hexadecimal digits, and nothing else.
fn is_random(text: &str) -> bool {
    let has = |test: fn(&char) -> bool| text.chars().any(|c| test(&c));
    let is_hex = text.len() >= 32 && text.chars().all(|c| c.is_ascii_hexdigit());
    let is_mixed = text.len() >= RANDOM
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '=' | '.'))
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_lowercase)
        && has(char::is_ascii_digit);
    is_hex || is_mixed
}

/// `scheme://user:password@host`, or a secret among what a URL asks for.
fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let in_query = rest.split_once('?').is_some_and(|(_, query)| {
        query.split('&').filter_map(|pair| pair.split_once('=')).any(|(name, value)| {
            !value.is_empty()
                && name.to_ascii_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).any(is_credential)
        })
    });
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) || in_query
}

/// The variables of the file, by name.
pub(super) struct SecretFile {
    variables: BTreeMap<String, Variable>,
    /// Whose secrets they were.
    from: &'static str,
    /// What was in the file.
    before: Option<String>,
    /// What has to be put in by hand stands for itself until then, as MetaMCP leaves it. Else it is not set.
    open_is_set: bool,
}

#[derive(Clone)]
struct Variable {
    value: String,
    /// It has to be put in by hand.
    is_open: bool,
    /// The file had it.
    is_old: bool,
}

impl Default for SecretFile {
    fn default() -> Self {
        Self { variables: BTreeMap::new(), from: "MetaMCP", before: None, open_is_set: true }
    }
}

impl SecretFile {
    /// A file that may have variables already, which stay as they are.
    pub(super) fn of(before: Option<String>, from: &'static str) -> Self {
        let lines = before.iter().flat_map(|text| text.lines()).map(str::trim).filter(|line| !line.starts_with('#'));
        let variable = |line: &str| {
            let (name, value) = line.split_once('=')?;
            let value = value.trim().trim_matches(['"', '\'']).to_owned();
            Some((name.trim().to_owned(), Variable { value, is_open: false, is_old: true }))
        };
        Self { variables: lines.filter_map(variable).collect(), from, before, open_is_set: false }
    }

    /// Whether there is something in it that the file does not have.
    pub(super) fn has_new(&self) -> bool {
        self.variables.values().any(|variable| !variable.is_old)
    }

    /// Puts a value in and returns the reference to it; `None`: a file of variables cannot hold it. `name`: what the variable is
    /// best called; `server`: whose it is, if that name is taken.
    pub(super) fn keep(&mut self, server: &str, name: &str, value: &str) -> Option<String> {
        if !fits(value) {
            return None;
        }
        let plain = variable_name(name);
        let own = variable_name(&format!("{server}_{name}"));
        let is_usable = |name: &str| !is_passed_on(name) && !RESERVED.iter().any(|start| name.starts_with(start));
        let numbered = (2..).map(|number| format!("{own}_{number}"));
        let mut names = [plain, own.clone()].into_iter().filter(|name| is_usable(name)).chain(numbered);
        let name =
            names.find(|name| self.variables.get(name).is_none_or(|known| known.value == value && !known.is_open))?;
        let variable = Variable { value: value.to_owned(), is_open: false, is_old: false };
        self.variables.entry(name.clone()).or_insert(variable);
        Some(format!("${{{name}}}"))
    }

    /// Names a variable that servers refer to. Without a value it stands for itself, as MetaMCP leaves it; the person puts it in.
    pub(super) fn refer(&mut self, name: &str, value: Option<&str>) {
        let value = value.filter(|value| fits(value));
        let shown = value.map_or_else(|| format!("${{{name}}}"), str::to_owned);
        let variable = Variable { value: shown, is_open: value.is_none(), is_old: false };
        self.variables.entry(name.to_owned()).or_insert(variable);
    }

    /// The value of a variable.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let is_set = |variable: &&Variable| self.open_is_set || !variable.is_open;
        self.variables.get(name).filter(is_set).map(|variable| variable.value.as_str())
    }

    /// The names of all variables that the file did not have.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().filter(|(_, variable)| !variable.is_old).map(|(name, _)| name.as_str())
    }

    /// The text of the file, which systemd (`EnvironmentFile=`), podman and docker (`--env-file`) read alike; `None`: there is
    /// nothing in it.
    pub(super) fn text(&self) -> Option<String> {
        if self.variables.is_empty() {
            return None;
        }
        let line = |(name, variable): (&String, &Variable)| format!("{name}={}\n", variable.value);
        let new = || self.variables.iter().filter(|(_, variable)| !variable.is_old);
        let of = |open: bool| new().filter(move |(_, variable)| variable.is_open == open).map(line);
        let mut text = self.before.clone().unwrap_or_default();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if !self.has_new() {
            return Some(text);
        }
        text.push_str(&format!(
            "# Secrets of mcp-servers.json, imported from {}. For MCProxy's user only.\n",
            self.from
        ));
        text.extend(of(false));
        if new().any(|(_, variable)| variable.is_open) {
            if self.open_is_set {
                text.push_str(&format!("# {} had these from its own environment. Put the values in.\n", self.from));
                text.extend(of(true));
            } else {
                text.push_str("# Put the values in, and take the `#` away.\n");
                text.extend(new().filter(|(_, variable)| variable.is_open).map(|(name, _)| format!("#{name}=\n")));
            }
        }
        Some(text)
    }
}

impl std::fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// Whether every reader of such files takes the value as it is, without quotes.
fn fits(value: &str) -> bool {
    !value.is_empty()
        && value.trim() == value
        && !value.starts_with(['"', '\''])
        && !value.contains(['\n', '\r', '\0', '\\'])
}

fn variable_name(text: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = text.chars().map(fit).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// Whether this can be the name of a variable.
pub(super) fn is_variable(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The variable that a value is, if it is a reference and nothing else.
pub(super) fn reference(value: &str) -> Option<&str> {
    value.strip_prefix("${")?.strip_suffix('}').filter(|name| is_variable(name))
}

/// A text that MCProxy reads as it is, without looking for references in it.
pub(super) fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_told_from_settings() {
        for (name, value) in [
            ("PERPLEXITY_API_KEY", "pplx-0123"),
            ("GITHUB_PERSONAL_ACCESS_TOKEN", "x"),
            ("DB_PASSWORD", "hunter2"),
            ("Authorization", "Basic eDp5"),
            ("DATABASE_URL", "postgres://me:hunter2@db/x"),
            ("ENDPOINT", "https://api.example/mcp?api_key=12345"),
            ("X", "ghp_0123456789abcdef"),
            ("HEADER", "Bearer abc"),
            ("SEED", "0123456789abcdef0123456789abcdef"),
            ("SEED", "Ab3dEf6hIj9lMn2pQr5tUv8x"),
        ] {
            assert!(is_secret(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("MEMORY_FILE_PATH", "/srv/memory.json"),
            ("TOKEN_FILE", "/run/secrets/token"),
            ("LOG_LEVEL", "debug"),
            ("PORT", "8080"),
            ("API_URL", "https://api.example/v1?page=2"),
            ("USE_TOKEN", "true"),
            ("PASSWORD", ""),
            ("TZ", "Europe/Vienna"),
        ] {
            assert!(!is_secret(name, value), "{name}={value}");
        }
    }

    #[test]
    fn a_variable_keeps_its_name_unless_that_means_something_else() {
        let mut file = SecretFile::default();
        assert_eq!(file.keep("a", "API_KEY", "1").as_deref(), Some("${API_KEY}"));
        assert_eq!(file.keep("b", "API_KEY", "1").as_deref(), Some("${API_KEY}"), "the same value");
        assert_eq!(file.keep("b-2", "API_KEY", "2").as_deref(), Some("${B_2_API_KEY}"));
        assert_eq!(file.keep("b-2", "API_KEY", "3").as_deref(), Some("${B_2_API_KEY_2}"));
        assert_eq!(file.keep("a", "HTTP_PROXY", "http://me:x@proxy").as_deref(), Some("${A_HTTP_PROXY}"));
        assert_eq!(file.keep("a", "MCPROXY_TOKEN", "x").as_deref(), Some("${A_MCPROXY_TOKEN}"));
        assert_eq!(file.keep("a", "x-api-key", "y").as_deref(), Some("${X_API_KEY}"));
        for odd in ["", " x", "a\nb", "a\\b", "'a'", "\"a"] {
            assert_eq!(file.keep("a", "ODD", odd), None, "{odd:?}");
        }
    }

    #[test]
    fn what_nobody_knows_stands_for_itself() {
        let mut file = SecretFile::default();
        file.refer("KNOWN", Some("x"));
        file.refer("OPEN", None);
        assert_eq!((file.value("KNOWN"), file.value("OPEN")), (Some("x"), Some("${OPEN}")));
        let text = file.text().expect("a file");
        assert!(text.contains("KNOWN=x\n") && text.ends_with("Put the values in.\nOPEN=${OPEN}\n"), "{text}");
        assert_eq!(reference("${OPEN}"), Some("OPEN"));
        for other in ["$OPEN", "a${OPEN}", "${OPEN:-x}", "${}", "${1A}"] {
            assert_eq!(reference(other), None, "{other}");
        }
    }

    #[test]
    fn variables_that_were_there_stay_and_names_of_theirs_are_not_taken() {
        let mut file = SecretFile::of(Some("# mine\nAPI_KEY=\"1\"\nB=2".to_owned()), "Cursor");
        assert_eq!(file.keep("s", "API_KEY", "1").as_deref(), Some("${API_KEY}"), "it is there");
        assert!(!file.has_new());
        assert_eq!(file.keep("s", "API_KEY", "other").as_deref(), Some("${S_API_KEY}"));
        let text = file.text().expect("a file");
        assert!(
            text.starts_with("# mine\nAPI_KEY=\"1\"\nB=2\n# Secrets") && text.ends_with("\nS_API_KEY=other\n"),
            "{text}"
        );
        assert_eq!(file.names().collect::<Vec<_>>(), ["S_API_KEY"]);
    }

    proptest! {
        #[test]
        fn the_file_says_of_each_variable_what_was_put_in(
            values in prop::collection::vec(("[A-Z_a-z0-9-]{1,12}", "\\PC{0,24}"), 0..8),
        ) {
            let mut file = SecretFile::default();
            let kept: Vec<_> = values.iter().map(|(name, value)| file.keep("s", name, value)).collect();
            let text = file.text().unwrap_or_default();
            for (kept, (_, value)) in kept.iter().zip(&values) {
                if let Some(reference) = kept {
                    let name = super::reference(reference).expect("a reference");
                    prop_assert!(text.lines().any(|line| line == format!("{name}={value}")), "{text}");
                }
            }
        }
    }
}
