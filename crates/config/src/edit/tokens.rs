//! Edits of `auth.tokens`.

use sha2::{Digest, Sha256};

use super::{EditError, EditableConfig};
use crate::json_text::Json;
use crate::splice::Splice;
use crate::tree::{Node, TreeValue};

/// The shortest beginning of a hash that names a token.
const MIN_PREFIX: usize = 4;

/// A token of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditableToken {
    /// Who uses it.
    pub name: String,
    /// Its SHA-256 in hexadecimal digits; `None`: the file does not hold it itself.
    pub sha256: Option<String>,
}

/// Why tokens cannot be taken out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenEditError {
    /// There is none.
    #[error("no token is named `{0}`, and the hash of none begins like that (at least {MIN_PREFIX} digits)")]
    Unknown(String),
    /// There are several of different names.
    #[error("the hashes of tokens of {0} begin like that; write more of it")]
    Ambiguous(String),
    /// Nothing would be left.
    #[error(
        "it is the last token: without any, nobody could call; to let everybody in write `\"auth\": \"none\"`, to replace it add another one first (`mcproxy token new {0} --add`)"
    )]
    Last(String),
    /// The file has no list of them.
    #[error("the file has no `auth.tokens`: no client needs a token")]
    None,
}

impl EditableConfig {
    /// The tokens of the file, in its order.
    pub fn tokens(&self) -> Vec<EditableToken> {
        let text = |node: &Node, key: &str| node.get(key).and_then(Node::text).map(|text| text.written.clone());
        let hash = |node: &Node| match text(node, "sha256") {
            Some(hex) => Some(hex.trim_start_matches("sha256:").to_ascii_lowercase()),
            // What refers to a variable is not the token.
            None => text(node, "token")
                .filter(|token| !token.contains("${"))
                .map(|token| Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()),
        };
        let token = |node: &Node| EditableToken { name: text(node, "name").unwrap_or_default(), sha256: hash(node) };
        self.root.at(&["auth", "tokens"]).map(Node::elements).unwrap_or_default().iter().map(token).collect()
    }

    /// The file with one token more.
    ///
    /// # Errors
    /// `auth` says something else than tokens.
    pub fn with_token(&self, entry: &Json) -> Result<String, EditError> {
        let tokens = || Json::List(vec![entry.clone()]);
        let auth = || Json::Object(vec![("tokens".to_owned(), tokens())]);
        let splices = match (self.root.get("auth"), self.root.at(&["auth", "tokens"])) {
            (_, Some(list @ Node { value: TreeValue::Array(_), .. })) => self.list(list)?.append_element(entry),
            (Some(node @ Node { value: TreeValue::Null, .. }), _) => vec![Splice::replace(node, &auth())],
            (Some(node @ Node { value: TreeValue::Object(_), .. }), None) => {
                self.list(node)?.append_member("tokens", &tokens())
            }
            (None, _) => self.object(&self.root)?.append_member("auth", &auth()),
            (Some(_), _) => {
                let why = "`auth` lets everybody in, or is no object; write `\"auth\": {\"tokens\": []}` in its place";
                return Err(EditError::Place(why));
            }
        };
        Ok(self.after(splices))
    }

    /// The file without the tokens of this name, or the one whose hash begins like that; and which those were.
    ///
    /// # Errors
    /// There is none, there are several, or none would be left.
    pub fn without_tokens(&self, which: &str) -> Result<(String, Vec<EditableToken>), TokenEditError> {
        let list = self.root.at(&["auth", "tokens"]).ok_or(TokenEditError::None)?;
        let tokens = self.tokens();
        let named: Vec<usize> = (0..tokens.len()).filter(|at| tokens[*at].name == which).collect();
        let places = if named.is_empty() { self.by_hash(&tokens, which)? } else { named };
        if places.len() == tokens.len() {
            return Err(TokenEditError::Last(tokens.first().map(|token| token.name.clone()).unwrap_or_default()));
        }
        let items = self.list(list).map_err(|_| TokenEditError::None)?;
        let first = places.first().ok_or_else(|| TokenEditError::Unknown(which.to_owned()))?;
        let once = self.after(items.remove(*first));
        let gone = tokens[*first].clone();
        if places.len() == 1 {
            return Ok((once, vec![gone]));
        }
        // One after the other: an item's neighbours change with it.
        let rest = Self::of_file(once.as_bytes()).map_err(|_| TokenEditError::None)?;
        let (text, mut others) = rest.without_tokens(which)?;
        others.insert(0, gone);
        Ok((text, others))
    }

    fn by_hash(&self, tokens: &[EditableToken], which: &str) -> Result<Vec<usize>, TokenEditError> {
        let prefix = which.trim_end_matches('…').to_ascii_lowercase();
        let is_hash = prefix.len() >= MIN_PREFIX && prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
        let begins = |token: &EditableToken| token.sha256.as_ref().is_some_and(|hash| hash.starts_with(&prefix));
        let found: Vec<usize> = (0..tokens.len()).filter(|at| is_hash && begins(&tokens[*at])).collect();
        match found.len() {
            0 => Err(TokenEditError::Unknown(crate::problem::printable(which))),
            1 => Ok(found),
            _ => {
                let names: Vec<String> = found.iter().map(|at| format!("`{}`", tokens[*at].name)).collect();
                Err(TokenEditError::Ambiguous(names.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str) -> EditableConfig {
        EditableConfig::of_file(text.as_bytes()).expect("JSON")
    }

    fn entry(name: &str) -> Json {
        Json::pairs([("name".to_owned(), name.to_owned()), ("sha256".to_owned(), "00ff".repeat(16))])
    }

    const FILE: &str = "{\n  // who\n  \"auth\": {\n    \"tokens\": [\n      {\"name\": \"ann\", \"token\": \"0123456789abcdef\"}, // hers\n      {\"name\": \"bob\", \"sha256\": \"aabbccdd\"},\n      {\"name\": \"ann\", \"token\": \"${ANN}\"}\n    ]\n  }\n}\n";

    #[test]
    fn a_token_is_added_and_taken_out_without_a_trace() {
        let more = edited(FILE).with_token(&entry("ci")).expect("added");
        assert!(more.contains("// hers") && more.contains(r#""name": "ci""#), "{more}");
        let (less, gone) = edited(&more).without_tokens("00FF00ff…").expect("taken out");
        assert_eq!((less.as_str(), gone[0].name.as_str()), (FILE, "ci"));
        let (less, gone) = edited(FILE).without_tokens("ann").expect("both");
        assert_eq!(gone.len(), 2);
        assert!(less.contains("bob") && !less.contains("ann"), "{less}");
        let hash = edited(FILE).tokens()[0].sha256.clone().expect("it is written");
        let (less, _) = edited(FILE).without_tokens(&hash[..8]).expect("hers");
        assert_eq!(edited(&less).tokens().len(), 2);
    }

    #[test]
    fn what_cannot_be_taken_out_is_said_with_what_to_do() {
        let error = |text: &str, which: &str| edited(text).without_tokens(which).expect_err("it cannot").to_string();
        assert!(error(FILE, "eve").contains("no token is named"));
        assert!(error(FILE, "aab").contains("at least 4 digits"));
        assert!(error("{}", "ann").contains("no client needs a token"));
        let one = r#"{"auth": {"tokens": [{"name": "ann", "sha256": "aabbccdd"}]}}"#;
        assert!(error(one, "ann").contains("mcproxy token new ann --add"));
        let two = r#"{"auth": {"tokens": [{"name": "a", "sha256": "aabbcc"}, {"name": "b", "sha256": "aabbdd"}, {"name": "c"}]}}"#;
        assert!(error(two, "aabb").contains("`a`, `b`"));
    }

    #[test]
    fn a_token_goes_where_tokens_are_and_never_where_everybody_is_let_in() {
        for text in ["{}", r#"{"auth": null}"#, r#"{"auth": {}}"#, r#"{"auth": {"tokens": []}}"#] {
            let more = edited(text).with_token(&entry("ci")).expect("added");
            assert_eq!(edited(&more).tokens()[0].name, "ci", "{more}");
        }
        for text in [r#"{"auth": "none"}"#, "[]"] {
            assert!(edited(text).with_token(&entry("ci")).is_err(), "{text}");
        }
    }
}
