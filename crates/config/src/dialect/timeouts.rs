//! Times of programs that count in milliseconds.

use super::word;
use crate::report::Report;
use crate::tree::{Node, TreeValue};

/// No call is given more seconds than a day; a larger number is meant in milliseconds.
const LONGEST: f64 = 86_400.0;

/// Whether the program that wrote this entry counts `timeout` in milliseconds. To be asked before keys are renamed.
pub(super) fn in_milliseconds(entry: &Node) -> bool {
    let has = |keys: &[&str]| keys.iter().any(|key| entry.get(key).is_some());
    let is_list = |key: &str| entry.get(key).is_some_and(|node| matches!(node.value, TreeValue::Array(_)));
    let gemini = has(&["httpUrl", "trust", "includeTools", "excludeTools"]);
    let opencode = is_list("command") || has(&["environment"]);
    let copilot = is_list("tools") || entry.get("type").and_then(word) == Some("local");
    let fastmcp = entry.get("transport").is_some_and(|node| word(node).is_some());
    let librechat = has(&["initTimeout", "serverInstructions", "chatMenu"]);
    gemini || opencode || copilot || fastmcp || librechat
}

/// Makes seconds of it, where it cannot be meant in seconds.
pub(super) fn convert(entry: &mut Node, in_milliseconds: bool, report: &mut Report) {
    let Some(node) = entry.get_mut("timeout") else { return };
    let TreeValue::Number(number) = &node.value else { return };
    let Some(written) = number.as_f64() else { return };
    if !(in_milliseconds && written >= 1000.0 || written > LONGEST) || written > LONGEST * 1000.0 {
        return;
    }
    let seconds = written / 1000.0;
    let Some(number) = serde_json::Number::from_f64(seconds) else { return };
    report.warn(node.span.start, format!("{written} is read as milliseconds; write {seconds}, in seconds"));
    node.value = TreeValue::Number(number);
}
