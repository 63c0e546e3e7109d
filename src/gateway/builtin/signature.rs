//! A tool on one line, for a model that chooses among several: its name, what it is called with, what it does.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _};

use mcproxy_search::estimate_tokens;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::gateway::catalogue::visible;

/// How much of a tool there is in its line, beside its name and what it must be called with: characters of what it does, and
/// parameters that need not be given. The first is all that is ever shown.
const DETAILS: [(usize, usize); 5] = [(90, 4), (60, 3), (40, 2), (24, 0), (0, 0)];
/// About how many tokens the lines of tools may take together, for each tool.
const TOKENS: usize = 45;

/// A line for each of these tools, the best first; the later ones say less where all together would be long. Each is the name that it
/// is called by, and the tool as it is listed.
pub(crate) fn signatures<'t>(tools: impl Iterator<Item = (&'t str, &'t str)>) -> Vec<String> {
    let tools: Vec<_> = tools.map(|(name, json)| Signature::read(name, json)).collect();
    let mut lines: Vec<(String, usize)> = tools.iter().map(|tool| measured(tool.line(DETAILS[0]))).collect();
    let most = TOKENS * lines.len();
    let mut all: usize = lines.iter().map(|(_, tokens)| tokens).sum();
    for detail in &DETAILS[1..] {
        for (tool, line) in tools.iter().zip(&mut lines).rev() {
            if all <= most {
                break;
            }
            let shorter = measured(tool.line(*detail));
            all = all - line.1 + shorter.1;
            *line = shorter;
        }
    }
    lines.into_iter().map(|(line, _)| line).collect()
}

fn measured(line: String) -> (String, usize) {
    let tokens = estimate_tokens(&line);
    (line, tokens)
}

/// A tool, as far as its line shows it.
struct Signature<'t> {
    name: &'t str,
    /// With their types.
    required: Vec<String>,
    optional: Vec<String>,
    is_destructive: bool,
    /// Its first sentence.
    about: String,
}

impl<'t> Signature<'t> {
    fn read(name: &'t str, json: &str) -> Self {
        let tool: ToolSummary<'_> = serde_json::from_str(json).unwrap_or_default();
        let schema: ParameterSummaries<'_> =
            tool.input_schema.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let typed = |parameter: &Cow<'_, str>| {
            let kind = schema.properties.get(parameter).and_then(|property| kind_of(property));
            let colon = if kind.is_some() { ": " } else { "" };
            format!("{}{colon}{}", visible(parameter), kind.unwrap_or_default())
        };
        let optional = schema.properties.keys().filter(|name| !schema.required.contains(name));
        Self {
            name,
            required: schema.required.iter().map(typed).collect(),
            optional: optional.map(|name| format!("{}?", visible(name))).collect(),
            is_destructive: tool.annotations.destructive_hint == Some(true),
            about: tool.description.map(|text| first_sentence(&visible(&text))).unwrap_or_default(),
        }
    }

    /// `name(required: type, optional?) [destructive] What it does.` Every parameter that is required is there; `…` stands for what
    /// is left out.
    fn line(&self, (characters, parameters): (usize, usize)) -> String {
        let left_out = self.optional.len() > parameters;
        let shown = self.required.iter().chain(self.optional.iter().take(parameters)).map(String::as_str);
        let shown: Vec<&str> = shown.chain(left_out.then_some("…")).collect();
        let mut out = format!("{}({})", self.name, shown.join(", "));
        if self.is_destructive {
            out.push_str(" [destructive]");
        }
        let about = shortened(&self.about, characters);
        if !about.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(out, " {about}");
        }
        out
    }
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

/// The first sentence of a text, on one line.
fn first_sentence(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut text = words.join(" ");
    let end =
        [". ", "。", "! ", "? "].iter().filter_map(|mark| text.find(mark).map(|at| at + mark.trim_end().len())).min();
    text.truncate(end.unwrap_or(text.len()));
    text
}

/// A sentence of at most so many characters, cut between words where it can be.
fn shortened(sentence: &str, most: usize) -> Cow<'_, str> {
    match sentence.char_indices().nth(most) {
        None => Cow::Borrowed(sentence),
        Some((0, _)) => Cow::Borrowed("…"),
        Some((at, _)) => {
            let cut = sentence[..at].rfind(' ').filter(|cut| *cut > at / 2).unwrap_or(at);
            Cow::Owned(format!("{}…", sentence[..cut].trim_end()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(name: &str, json: &str) -> String {
        Signature::read(name, json).line(DETAILS[0])
    }

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
        let cut = shortened(&about, 90);
        assert!(cut.ends_with("word…") && cut.chars().count() <= 91, "{cut}");
        assert_eq!(first_sentence("天気を調べる。それから"), "天気を調べる。");
        assert_eq!(shortened(&"é".repeat(500), 90).chars().count(), 91);
        assert_eq!((&*shortened("word", 0), &*shortened("", 0)), ("…", ""));
    }

    #[test]
    fn many_long_lines_say_less_of_the_last_ones_and_keep_what_is_required() {
        let properties: String = (0..30).map(|n| format!(r#""parameter_number_{n}":{{"type":"integer"}},"#)).collect();
        let json = format!(
            r#"{{"description":"{}","inputSchema":{{"properties":{{{properties}"path":{{}}}},"required":["path","parameter_number_7"]}}}}"#,
            "Several words about what it does ".repeat(9)
        );
        let names: Vec<String> = (0..8).map(|n| format!("a_server__a_tool_with_a_name_{n}")).collect();
        let lines = signatures(names.iter().map(|name| (name.as_str(), json.as_str())));
        assert!(bpe_openai::o200k_base().count(&lines.join("\n")) <= 400, "{lines:#?}");
        assert!(lines.iter().all(|line| line.contains("(path, parameter_number_7: int")), "{lines:#?}");
        assert!(lines.windows(2).all(|two| two[0].len() >= two[1].len()), "{lines:#?}");
        assert!(lines[0].len() < signature(&names[0], &json).len(), "there is no room for all of it: {lines:#?}");
        assert!(lines[7].contains(", …)") && lines[7].ends_with('…'), "what is left out is marked: {lines:#?}");
        let short = r#"{"description":"Adds two numbers.","inputSchema":{"properties":{"a":{}},"required":["a"]}}"#;
        let lines = signatures(names.iter().map(|name| (name.as_str(), short)));
        assert!(lines.iter().all(|line| line.ends_with("(a) Adds two numbers.")), "{lines:#?}");
    }
}
