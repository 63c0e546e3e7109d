//! Values of foreign JSON, read as what they are meant to be.

use serde_json::{Map, Value};

use super::report::{ImportReport, Weight};
use crate::cli::human;

/// A text; empty ones and null are none. Numbers and truths are taken as they are written.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The text under the first of these keys that there is.
pub(super) fn text_of(row: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| row.get(*key).and_then(text))
}

/// A truth, as PostgreSQL, JSON and shells write it.
pub(super) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => number.as_f64().map(|number| number != 0.0),
        Value::String(text) => truth_in(text),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The same of a word.
pub(super) fn truth_in(word: &str) -> Option<bool> {
    match word.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "y" | "yes" | "on" => Some(true),
        "0" | "f" | "false" | "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Whether a status says that something is in use. What is not said is.
pub(super) fn is_active(status: Option<&Value>) -> bool {
    let word = status.and_then(text).unwrap_or_default().to_ascii_uppercase();
    word != "INACTIVE" && word != "DISABLED"
}

/// A list of texts, or a text of several words as older versions wrote it.
pub(super) fn texts(value: Option<&Value>, about: &str, key: &str, report: &mut ImportReport) -> Vec<String> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(elements)) => elements
            .iter()
            .filter_map(|element| match element {
                Value::String(text) => Some(text.clone()),
                Value::Number(_) | Value::Bool(_) => Some(element.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    report.add(Weight::Lost, about, format!("an element of `{key}` is no text and is left out"));
                    None
                }
            })
            .collect(),
        Some(Value::String(words)) => words.split_whitespace().map(str::to_owned).collect(),
        Some(_) => {
            report.add(Weight::Lost, about, format!("`{key}` is no list and is left out"));
            Vec::new()
        }
    }
}

/// Texts by name; JSON within a text is read, too.
pub(super) fn pairs(value: Option<&Value>, about: &str, key: &str, report: &mut ImportReport) -> Vec<(String, String)> {
    let object = match value {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Object(object)) => object.clone(),
        Some(Value::String(text)) if text.trim().is_empty() => return Vec::new(),
        Some(other) => {
            let inner = other.as_str().and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
            let Some(inner) = inner else {
                report.add(Weight::Lost, about, format!("`{key}` is no object and is left out"));
                return Vec::new();
            };
            inner
        }
    };
    let mut pairs = Vec::with_capacity(object.len());
    for (name, value) in object {
        match value {
            Value::String(text) => pairs.push((name, text)),
            Value::Number(_) | Value::Bool(_) => pairs.push((name, value.to_string())),
            Value::Null => {}
            Value::Array(_) | Value::Object(_) => {
                let message = format!("`{}` in `{key}` is no text and is left out", shown(&name));
                report.add(Weight::Lost, about, message);
            }
        }
    }
    pairs
}

/// A foreign name, short enough and safe to print.
pub(super) fn shown(text: &str) -> String {
    human::one_line(text).chars().take(80).collect()
}
