//! Arguments as they may be recorded: without what JSON pointers name.

use std::borrow::Cow;

use serde_json::Value;

/// Takes the place of what is left out.
const LEFT_OUT: &str = "***";
/// Longest arguments that are recorded whole, in bytes.
const MAX_ARGUMENTS: usize = 32 * 1024;

/// The arguments as JSON; what is too long, or no JSON, is said to be so.
pub(crate) fn redacted(arguments: &str, pointers: &[String]) -> String {
    if arguments.len() > MAX_ARGUMENTS {
        return "\"(too long)\"".to_owned();
    }
    if pointers.is_empty() {
        return mcproxy_mcp::one_line(arguments).into_owned();
    }
    let Ok(mut value) = serde_json::from_str::<Value>(arguments) else { return "\"(no JSON)\"".to_owned() };
    for pointer in pointers {
        let steps: Vec<Cow<'_, str>> = pointer.split('/').skip(1).map(unescaped).collect();
        leave_out(&mut value, &steps);
    }
    value.to_string()
}

/// A step of a JSON pointer (RFC 6901 §4).
fn unescaped(step: &str) -> Cow<'_, str> {
    if step.contains('~') { step.replace("~1", "/").replace("~0", "~").into() } else { step.into() }
}

fn leave_out(value: &mut Value, steps: &[Cow<'_, str>]) {
    let Some((step, rest)) = steps.split_first() else {
        *value = Value::from(LEFT_OUT);
        return;
    };
    match value {
        Value::Object(members) if step == "*" => members.values_mut().for_each(|member| leave_out(member, rest)),
        Value::Object(members) => members.get_mut(&**step).into_iter().for_each(|member| leave_out(member, rest)),
        Value::Array(elements) if step == "*" => elements.iter_mut().for_each(|element| leave_out(element, rest)),
        Value::Array(elements) => {
            let element = step.parse::<usize>().ok().and_then(|at| elements.get_mut(at));
            element.into_iter().for_each(|element| leave_out(element, rest));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &str, pointers: &[&str]) -> String {
        redacted(arguments, &pointers.iter().map(|pointer| (*pointer).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_a_pointer_names_is_left_out_and_nothing_else() {
        let arguments = r#"{"user":"ann","password":"x","list":[{"token":1},{"token":2,"a":3}],"a/b":{"~":4}}"#;
        let value = |pointers: &[&str]| serde_json::from_str::<Value>(&of(arguments, pointers)).expect("JSON");
        assert_eq!(value(&["/password"])["password"], "***");
        assert_eq!(value(&["/list/*/token"])["list"], serde_json::json!([{"token": "***"}, {"token": "***", "a": 3}]));
        assert_eq!(value(&["/list/1"])["list"][1], "***");
        assert_eq!(value(&["/a~1b/~0"])["a/b"]["~"], "***");
        assert_eq!(value(&["/*"])["user"], "***");
        assert_eq!(of(arguments, &[""]), "\"***\"");
        assert_eq!(
            of(arguments, &["/none", "/user/x"]),
            serde_json::from_str::<Value>(arguments).expect("JSON").to_string()
        );
    }

    #[test]
    fn what_cannot_be_redacted_is_not_recorded() {
        assert_eq!(of("{\"a\":", &["/a"]), "\"(no JSON)\"");
        assert_eq!(of(&format!("\"{}\"", "x".repeat(MAX_ARGUMENTS)), &[]), "\"(too long)\"");
        assert_eq!(of("{\n\"a\": 1.50}", &[]), "{ \"a\": 1.50}");
    }
}
