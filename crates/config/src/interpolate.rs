//! `${VAR}` and `${VAR:-default}` inside a string; `$${` writes a literal `${`. `${file:PATH}` and `${credential:NAME}` stand for the text of a file. What editors write for the same is
//! understood: `${env:VAR}`, `${userHome}`, `${workspaceFolder}`, `${pathSeparator}`.

use mcproxy_ipc::environment::is_passed_on;

use crate::secret_file;

/// The name under which an [`EnvLookup`] knows the directory that editors call the workspace folder.
pub(crate) const WORKSPACE: &str = "workspaceFolder";

/// A string of the file, expanded.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Expanded {
    /// Nothing was replaced: the text is the author's own and may be shown.
    Literal(String),
    /// Something came from the environment: the text may be secret. With the values that did, but for those that every server
    /// finds in its environment anyway.
    Replaced(String, Vec<String>),
    /// There is no text, because this is missing; at least one.
    Lacking(Vec<Lack>),
}

/// Why a string has no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lack {
    /// This environment variable is not set.
    Variable(String),
    /// Only an editor can say what this stands for: `input:token`.
    Reference(String),
    /// This file with a secret cannot be read: `file:/run/secrets/token`.
    Secret(String),
    /// It cannot be read as a reference.
    Malformed(SyntaxError),
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
pub(crate) type EnvLookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces every reference in `text`. As in a shell, a default also stands in for an empty variable.
pub(crate) fn expand(text: &str, lookup: EnvLookup<'_>) -> Expanded {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut replaced, mut lacks, mut values) = (text, false, Vec::new(), Vec::new());
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            out.push_str(&rest[..start]);
            out.push('{');
            rest = &rest[start + 2..];
            continue;
        }
        out.push_str(&rest[..start]);
        let body = &rest[start + 2..];
        let Some(end) = body.find('}') else {
            return Expanded::Lacking(vec![Lack::Malformed(SyntaxError::Unterminated)]);
        };
        match resolve(&body[..end], lookup) {
            Ok(Resolved { value, is_secret }) => {
                replaced = true;
                out.push_str(&value);
                if is_secret {
                    values.push(value);
                }
            }
            Err(malformed @ Lack::Malformed(_)) => return Expanded::Lacking(vec![malformed]),
            Err(lack) if lacks.contains(&lack) => {}
            Err(lack) => lacks.push(lack),
        }
        rest = &body[end + 1..];
    }
    out.push_str(rest);
    match (lacks.is_empty(), replaced) {
        (false, _) => Expanded::Lacking(lacks),
        (true, true) => Expanded::Replaced(out, values),
        (true, false) => Expanded::Literal(out),
    }
}

/// The value of a reference.
struct Resolved {
    value: String,
    /// It is the value of a variable that servers do not see unless their entry says so.
    is_secret: bool,
}

impl Resolved {
    fn plain(value: impl Into<String>) -> Self {
        Self { value: value.into(), is_secret: false }
    }
}

/// The value of what stands between the braces.
fn resolve(reference: &str, lookup: EnvLookup<'_>) -> Result<Resolved, Lack> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let name = match name {
        "userHome" => "HOME",
        "pathSeparator" | "/" => return Ok(Resolved::plain("/")),
        WORKSPACE | "workspaceRoot" => {
            return lookup(WORKSPACE).map(Resolved::plain).ok_or_else(|| Lack::Reference(name.to_owned()));
        }
        name => name.strip_prefix("env:").unwrap_or(name),
    };
    if secret_file::is_one(name) {
        return match (lookup(name), default) {
            (Some(value), _) => Ok(Resolved { value, is_secret: true }),
            (None, Some(default)) => Ok(Resolved::plain(default)),
            (None, None) => Err(Lack::Secret(crate::problem::printable(name))),
        };
    }
    if !is_variable(name) {
        let shown = crate::problem::printable(name);
        return Err(match name.split_once(':') {
            Some((kind, of)) if is_variable(kind) && !of.is_empty() => Lack::Reference(shown),
            _ => Lack::Malformed(SyntaxError::BadName(shown)),
        });
    }
    if default.is_some_and(|text| text.contains("${")) {
        return Err(Lack::Malformed(SyntaxError::Nested(name.into())));
    }
    match (lookup(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(Resolved::plain(default)),
        (Some(value), _) => Ok(Resolved { value, is_secret: !is_passed_on(name) }),
        (None, Some(default)) => Ok(Resolved::plain(default)),
        (None, None) => Err(Lack::Variable(name.into())),
    }
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

    fn with_home(text: &str) -> Expanded {
        expand(text, &|name| match name {
            "HOME" => Some("/home/me".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    fn replaced(text: &str) -> String {
        match with_home(text) {
            Expanded::Replaced(text, _) | Expanded::Literal(text) => text,
            Expanded::Lacking(lacks) => format!("{lacks:?}"),
        }
    }

    #[test]
    fn a_reference_is_replaced_wherever_it_stands() {
        assert_eq!(replaced("${HOME}"), "/home/me");
        assert_eq!(replaced("a${HOME}b${HOME}c"), "a/home/meb/home/mec");
        assert_eq!(replaced("$HOME costs 5$"), "$HOME costs 5$");
    }

    #[test]
    fn a_secret_in_a_file_stands_wherever_a_variable_may_and_is_known_for_one() {
        let look = |name: &str| (name == "file:/run/secrets/x").then(|| "s3cret".to_owned());
        let found = expand("Bearer ${file:/run/secrets/x}", &look);
        assert!(matches!(found, Expanded::Replaced(text, values) if text == "Bearer s3cret" && values == ["s3cret"]));
        assert!(
            matches!(expand("${credential:y}", &look), Expanded::Lacking(lacks) if lacks == [Lack::Secret("credential:y".into())])
        );
        assert!(
            matches!(expand("${file:/none:-x}", &look), Expanded::Replaced(text, values) if text == "x" && values.is_empty())
        );
    }

    #[test]
    fn a_default_stands_in_for_an_unset_and_an_empty_variable() {
        assert_eq!(replaced("${NOPE:-x:-y}"), "x:-y");
        assert_eq!(replaced("${EMPTY:-x}"), "x");
        assert_eq!(replaced("${NOPE:-}"), "");
        assert_eq!(replaced("${EMPTY}"), "");
    }

    #[test]
    fn what_came_out_of_the_environment_is_known_apart() {
        let of = |text: &str| match expand(text, &|name| Some(format!("value of {name}"))) {
            Expanded::Replaced(_, values) => values,
            _ => panic!("replaced"),
        };
        assert_eq!(of("--token=${TOKEN}:${OTHER:-x}"), ["value of TOKEN", "value of OTHER"]);
        assert_eq!(of("${HOME}${userHome}${/}"), [""; 0], "servers find those in their environment");
    }

    #[test]
    fn two_dollars_escape_a_reference() {
        assert!(matches!(with_home("$${HOME}"), Expanded::Literal(text) if text == "${HOME}"));
        assert_eq!(replaced("$${A}${HOME}"), "${A}/home/me");
    }

    #[test]
    fn every_unset_variable_is_named_once() {
        assert_eq!(replaced("${A}${B}${A}"), "[Variable(\"A\"), Variable(\"B\")]");
    }

    #[test]
    fn what_is_not_a_reference_is_explained() {
        let said = |text: &str| match with_home(text) {
            Expanded::Lacking(lacks) => match &lacks[..] {
                [Lack::Malformed(error)] => error.clone(),
                other => panic!("{other:?}"),
            },
            _ => panic!("a text"),
        };
        assert_eq!(said("${A}${HOME"), SyntaxError::Unterminated);
        assert!(matches!(said("${1X}"), SyntaxError::BadName(_)));
        assert!(matches!(said("${}"), SyntaxError::BadName(_)));
        assert!(matches!(said("${A:-${B}}"), SyntaxError::Nested(_)));
    }

    #[test]
    fn what_editors_write_is_understood_and_what_only_they_know_is_named() {
        assert_eq!(replaced("${env:HOME}"), "/home/me");
        assert_eq!(replaced("${userHome}${pathSeparator}x${/}"), "/home/me/x/");
        assert_eq!(replaced("${env:NOPE}"), "[Variable(\"NOPE\")]");
        assert_eq!(replaced("${env:NOPE:-x}"), "x");
        assert_eq!(replaced("${input:key}"), "[Reference(\"input:key\")]");
        assert_eq!(replaced("${workspaceFolder}"), "[Reference(\"workspaceFolder\")]");
        let known = expand("${workspaceFolder}/x", &|name| (name == WORKSPACE).then(|| "/work".into()));
        assert!(matches!(known, Expanded::Replaced(text, _) if text == "/work/x"));
    }

    proptest! {
        #[test]
        fn text_without_a_reference_is_unchanged(text in "[^$]{0,40}") {
            prop_assert!(matches!(with_home(&text), Expanded::Literal(out) if out == text));
        }

        #[test]
        fn any_text_can_be_written_by_escaping(text in "[${}a-]{0,20}") {
            let escaped = text.replace("${", "$${");
            prop_assert!(matches!(with_home(&escaped), Expanded::Literal(out) if out == text));
        }

        #[test]
        fn a_value_is_never_interpolated_again(value in "[${}A-Z:-]{0,12}") {
            let out = expand("<${X}>", &|_| Some(value.clone()));
            let expected = format!("<{value}>");
            prop_assert!(matches!(out, Expanded::Replaced(text, _) if text == expected));
        }

        #[test]
        fn hostile_text_never_panics(text in "\\PC{0,40}") {
            let _ = with_home(&text);
        }
    }
}
