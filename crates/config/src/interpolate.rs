//! `${VAR}` and `${VAR:-default}` inside a string; `$${` writes a literal `${`.

/// What a string of the file became.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Expanded {
    /// Nothing was replaced: the text is the author's own and may be shown.
    Literal(String),
    /// Something came from the environment: the text may be secret.
    Replaced(String),
    /// These variables are not set (none when a reference is malformed, which is reported); there is no text.
    Unset(Vec<String>),
}

/// Why a string cannot be interpolated at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyntaxError {
    #[error("`${{` without its `}}`; write `$${{` for a literal `${{`")]
    Unterminated,
    #[error("`${{{0}}}` does not name an environment variable; write `${{NAME}}`, or `$${{` for a literal `${{`")]
    BadName(String),
    #[error("the default of `${{{0}:-…}}` contains another `${{`; nesting is not supported")]
    Nested(String),
}

/// Looks a variable up; the pure code never reads the environment itself.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces every reference in `text`. As in a shell, a default also stands in for an empty variable.
pub(crate) fn expand(text: &str, lookup: Lookup<'_>) -> Result<Expanded, SyntaxError> {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut replaced, mut unset) = (text, false, Vec::new());
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            out.push_str(&rest[..start]);
            out.push('{');
            rest = &rest[start + 2..];
            continue;
        }
        out.push_str(&rest[..start]);
        let body = &rest[start + 2..];
        let end = body.find('}').ok_or(SyntaxError::Unterminated)?;
        match resolve(&body[..end], lookup)? {
            Ok(value) => {
                replaced = true;
                out.push_str(&value);
            }
            Err(name) if unset.contains(&name) => {}
            Err(name) => unset.push(name),
        }
        rest = &body[end + 1..];
    }
    out.push_str(rest);
    Ok(match (unset.is_empty(), replaced) {
        (false, _) => Expanded::Unset(unset),
        (true, true) => Expanded::Replaced(out),
        (true, false) => Expanded::Literal(out),
    })
}

/// The value of `NAME` or `NAME:-default`; the inner error is the name that is not set.
fn resolve(reference: &str, lookup: Lookup<'_>) -> Result<Result<String, String>, SyntaxError> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if !is_variable(name) {
        return Err(SyntaxError::BadName(crate::problem::printable(name)));
    }
    if default.is_some_and(|text| text.contains("${")) {
        return Err(SyntaxError::Nested(name.into()));
    }
    Ok(match (lookup(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.into()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.into()),
        (None, None) => Err(name.into()),
    })
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with_home(text: &str) -> Result<Expanded, SyntaxError> {
        expand(text, &|name| match name {
            "HOME" => Some("/home/me".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    fn replaced(text: &str) -> String {
        match with_home(text) {
            Ok(Expanded::Replaced(text) | Expanded::Literal(text)) => text,
            Ok(Expanded::Unset(names)) => format!("unset {names:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_reference_is_replaced_wherever_it_stands() {
        assert_eq!(replaced("${HOME}"), "/home/me");
        assert_eq!(replaced("a${HOME}b${HOME}c"), "a/home/meb/home/mec");
        assert_eq!(replaced("$HOME costs 5$"), "$HOME costs 5$");
    }

    #[test]
    fn a_default_stands_in_for_an_unset_and_an_empty_variable() {
        assert_eq!(replaced("${NOPE:-x:-y}"), "x:-y");
        assert_eq!(replaced("${EMPTY:-x}"), "x");
        assert_eq!(replaced("${NOPE:-}"), "");
        assert_eq!(replaced("${EMPTY}"), "");
    }

    #[test]
    fn two_dollars_escape_a_reference() {
        assert!(matches!(with_home("$${HOME}"), Ok(Expanded::Literal(text)) if text == "${HOME}"));
        assert_eq!(replaced("$${A}${HOME}"), "${A}/home/me");
    }

    #[test]
    fn every_unset_variable_is_named_once() {
        assert_eq!(replaced("${A}${B}${A}"), "unset [\"A\", \"B\"]");
    }

    #[test]
    fn what_is_not_a_reference_is_explained() {
        assert_eq!(with_home("${HOME").err(), Some(SyntaxError::Unterminated));
        assert!(matches!(with_home("${env:HOME}"), Err(SyntaxError::BadName(_))));
        assert!(matches!(with_home("${1X}"), Err(SyntaxError::BadName(_))));
        assert!(matches!(with_home("${A:-${B}}"), Err(SyntaxError::Nested(_))));
    }

    proptest! {
        #[test]
        fn text_without_a_reference_is_unchanged(text in "[^$]{0,40}") {
            prop_assert!(matches!(with_home(&text), Ok(Expanded::Literal(out)) if out == text));
        }

        #[test]
        fn any_text_can_be_written_by_escaping(text in "[${}a-]{0,20}") {
            let escaped = text.replace("${", "$${");
            prop_assert!(matches!(with_home(&escaped), Ok(Expanded::Literal(out)) if out == text));
        }

        #[test]
        fn a_value_is_never_interpolated_again(value in "[${}A-Z:-]{0,12}") {
            let out = expand("<${X}>", &|_| Some(value.clone()));
            let expected = format!("<{value}>");
            prop_assert!(matches!(out, Ok(Expanded::Replaced(text)) if text == expected));
        }

        #[test]
        fn hostile_text_never_panics(text in "\\PC{0,40}") {
            let _ = with_home(&text);
        }
    }
}
