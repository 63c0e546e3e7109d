//! A tool on one line, for a model that chooses among several: its name, what it is called with, what it does.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::gateway::catalogue::visible;

/// Most characters of what a tool does.
const SENTENCE: usize = 90;
/// Most parameters that need not be given.
const OPTIONAL: usize = 4;

/// `name(required: type, optional?) [destructive] What it does.` Every parameter that is required is there; `…` stands for what is
/// left out. `json` is the tool as it is listed.
pub(crate) fn signature(name: &str, json: &str) -> String {
    let tool: ToolSummary<'_> = serde_json::from_str(json).unwrap_or_default();
    let schema: ParameterSummaries<'_> =
        tool.input_schema.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let mut out = format!("{name}(");
    let mut gap = "";
    for required in &schema.required {
        let kind = schema.properties.get(required).and_then(|property| kind_of(property));
        let colon = if kind.is_some() { ": " } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(out, "{gap}{}{colon}{}", visible(required), kind.unwrap_or_default());
        gap = ", ";
    }
    let mut optional = schema.properties.keys().filter(|name| !schema.required.contains(name));
    for name in optional.by_ref().take(OPTIONAL) {
        let _ = write!(out, "{gap}{}?", visible(name));
        gap = ", ";
    }
    if optional.next().is_some() {
        let _ = write!(out, "{gap}…");
    }
    out.push(')');
    if tool.annotations.destructive_hint == Some(true) {
        out.push_str(" [destructive]");
    }
    let about = tool.description.map(|text| first_sentence(&visible(&text))).unwrap_or_default();
    if !about.is_empty() {
        let _ = write!(out, " {about}");
    }
    out
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ToolSummary<'t> {
    #[serde(borrow)]
    description: Option<Cow<'t, str>>,
    #[serde(borrow)]
    input_schema: Option<&'t RawValue>,
    annotations: Annotations,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Annotations {
    destructive_hint: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ParameterSummaries<'t> {
    #[serde(borrow)]
    properties: BTreeMap<Cow<'t, str>, &'t RawValue>,
    #[serde(borrow)]
    required: Vec<Cow<'t, str>>,
}

/// The type that a parameter must have, in a word; `None`: a string, or it does not say.
fn kind_of(property: &RawValue) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct ParameterKind {
        r#type: Option<String>,
        r#enum: Option<serde::de::IgnoredAny>,
    }

    let property: ParameterKind = serde_json::from_str(property.get()).ok()?;
    match property.r#type.as_deref() {
        _ if property.r#enum.is_some() => Some("enum"),
        Some("integer") => Some("int"),
        Some("number") => Some("number"),
        Some("boolean") => Some("bool"),
        Some("array") => Some("array"),
        Some("object") => Some("object"),
        Some(_) | None => None,
    }
}

/// The first sentence of a text, on one line and cut where it is long.
fn first_sentence(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    let end =
        [". ", "。", "! ", "? "].iter().filter_map(|mark| text.find(mark).map(|at| at + mark.trim_end().len())).min();
    let sentence = &text[..end.unwrap_or(text.len())];
    match sentence.char_indices().nth(SENTENCE) {
        None => sentence.to_owned(),
        Some((at, _)) => {
            let cut = sentence[..at].rfind(' ').filter(|cut| *cut > at / 2).unwrap_or(at);
            format!("{}…", sentence[..cut].trim_end())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_parameters_come_first_and_are_all_there() {
        let json = r#"{"name":"x","description":"Writes a file. More words.","inputSchema":{"type":"object","properties":{
            "path":{"type":"string"},"mode":{"enum":["a","b"]},"n":{"type":"integer"},"a":{},"b":{},"c":{},"d":{},"e":{}},
            "required":["path","n","mode","gone"]},"annotations":{"destructiveHint":true}}"#;
        assert_eq!(
            signature("fs__write", json),
            "fs__write(path, n: int, mode: enum, gone, a?, b?, c?, d?, …) [destructive] Writes a file."
        );
    }

    #[test]
    fn what_is_not_said_is_not_there() {
        assert_eq!(signature("x", r#"{"name":"x"}"#), "x()");
        assert_eq!(signature("x", "4"), "x()");
        assert_eq!(signature("x", r#"{"description":"\n First line\n goes on"}"#), "x() First line goes on");
    }

    #[test]
    fn a_long_sentence_is_cut_between_words_and_marked() {
        let about = "word ".repeat(40);
        let cut = first_sentence(&about);
        assert!(cut.ends_with("word…") && cut.chars().count() <= SENTENCE + 1, "{cut}");
        assert_eq!(first_sentence("天気を調べる。それから"), "天気を調べる。");
        assert!(first_sentence(&"é".repeat(500)).chars().count() <= SENTENCE + 1);
    }
}
