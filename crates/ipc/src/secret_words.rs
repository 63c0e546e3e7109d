//! What looks like a secret in a text that nobody has marked: for what people are shown (the web page), where too much is masked rather
//! than too little. (What servers say in logs is masked by the values of their entries, which are known.)

/// What is put in the place of a secret.
pub const MASK: &str = "•••";
/// Parts of names whose values are secret.
const NAMES: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "authorization",
    "credential",
    "privatekey",
    "accesskey",
    "cookie",
    "signature",
    "sha256",
];
/// Names that have such a part and are counts or places.
const KNOWN: [&str; 8] = [
    "progresstoken",
    "maxtokens",
    "tokens",
    "tokencount",
    "maxsessionspertoken",
    "tokenurl",
    "tokenendpoint",
    "tokentype",
];
/// What tokens of well known services begin with.
const PREFIXES: [&str; 14] =
    ["sk-", "sk_", "pk_", "rk_", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xox", "AKIA", "AIza", "eyJ", "hf_"];
/// A word of letters and digits that is this long is a key rather than a word.
const KEY: usize = 32;

/// Whether the value of something that is called so is a secret.
pub fn is_secret_name(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    !KNOWN.contains(&&*plain) && NAMES.iter().any(|secret| plain.contains(secret))
}

/// The text without the words in it that have the form of secrets, or follow a word that announces one; `None`: there are none.
pub fn mask_words(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '/' | '~');
    let (mut out, mut rest, mut found) = (String::with_capacity(text.len()), text, false);
    let mut is_announced = false;
    while !rest.is_empty() {
        let word = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        rest = &rest[word.len()..];
        let gap = &rest[..rest.find(is_part).unwrap_or(rest.len())];
        rest = &rest[gap.len()..];
        let secret = !word.is_empty() && (has_form(word) || is_announced);
        found |= secret;
        out.push_str(if secret { MASK } else { word });
        out.push_str(gap);
        let is_scheme = word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic");
        // `--token=x`, `?api_key=x`, `user:password@host`
        let is_assigned = gap == "=" && is_secret_name(word);
        is_announced = (is_scheme && gap.trim().is_empty() && !gap.is_empty()) || is_assigned;
    }
    found.then_some(out)
}

/// The same of an address, without its password and without the values of its query.
pub fn mask_address(text: &str) -> Option<String> {
    let (before, after) = text.split_once("://")?;
    let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
    let host = authority.rsplit_once('@').map(|(user, host)| (user.split(':').next().unwrap_or_default(), host));
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    if host.is_none() && query.is_none() {
        return None;
    }
    let authority = host.map_or_else(|| authority.to_owned(), |(user, host)| format!("{user}:{MASK}@{host}"));
    let query = query.map(|query| {
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, value)) if !is_reference(value) => format!("{name}={MASK}"),
            _ => pair.to_owned(),
        };
        format!("?{}", query.split('&').map(pair).collect::<Vec<_>>().join("&"))
    });
    Some(format!("{before}://{authority}{path}{}", query.unwrap_or_default()))
}

/// Whether a text is a reference to a variable and nothing else, so that it says nothing of the value.
pub fn is_reference(text: &str) -> bool {
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|name| !name.contains(['$', '{', '}']) && !name.contains(":-"))
}

fn has_form(word: &str) -> bool {
    let is_prefixed = word.len() >= 16 && PREFIXES.iter().any(|prefix| word.starts_with(prefix));
    let has = |what: fn(&char) -> bool| word.chars().any(|c| what(&c));
    // A path is none, nor is a long name with a number in it.
    let is_key = word.len() >= KEY
        && !word.contains('/')
        && has(char::is_ascii_digit)
        && has(char::is_ascii_alphabetic)
        && word.chars().filter(char::is_ascii_digit).count() * 8 >= word.len();
    is_prefixed || is_key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        mask_words(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn names_of_secrets_are_told_from_others() {
        for name in ["password", "API_KEY", "apiKey", "client_secret", "GITHUB_TOKEN", "X-Api-Key", "Authorization"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["path", "progressToken", "maxTokens", "tokens", "name", "key", "maxSessionsPerToken"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn words_that_have_the_form_of_a_secret_are_masked_within_what_surrounds_them() {
        for (text, masked) in [
            ("curl -H 'Authorization: Bearer abcdefgh1'", "curl -H 'Authorization: Bearer •••'"),
            ("key=ghp_0123456789abcdefABCD, done", "key=•••, done"),
            ("--api-key=abc --port=80", "--api-key=••• --port=80"),
            ("the key 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b is here", "the key ••• is here"),
        ] {
            assert_eq!(shown(text), masked);
        }
        for plain in [
            "see https://example.com/a/long/path/with/2/digits/and/more",
            "2026-07-28T10:00:00.000Z",
            "größer",
            "@modelcontextprotocol/server-sequential-thinking",
            "",
        ] {
            assert_eq!(shown(plain), plain);
        }
    }

    #[test]
    fn an_address_is_shown_without_password_and_query() {
        let shown = |text: &str| mask_address(text);
        assert_eq!(
            shown("https://a.example/mcp?key=x&b=${B}&c").as_deref(),
            Some("https://a.example/mcp?key=•••&b=${B}&c")
        );
        assert_eq!(shown("postgres://ann:pw@host:5/db").as_deref(), Some("postgres://ann:•••@host:5/db"));
        assert_eq!(shown("https://a.example/mcp"), None);
        assert_eq!(shown("plain"), None);
        assert!(
            is_reference("${TOKEN}") && !is_reference("${A}x") && !is_reference("${A:-literal}") && !is_reference("")
        );
    }

    proptest! {
        #[test]
        fn whatever_is_masked_is_so_once_and_for_all(text in "\\PC{0,80}") {
            let once = shown(&text);
            prop_assert_eq!(shown(&once), once);
        }
    }
}
