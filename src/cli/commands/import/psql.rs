//! One JSON value in the output of `psql`, whichever way it was told to print it.

use serde_json::Value;

/// The value; `None`: there is none.
pub(super) fn json_in(text: &str) -> Option<Value> {
    [as_it_is, aligned, csv, copied].into_iter().find_map(|undo| serde_json::from_str(&undo(text)?).ok())
}

/// From the first brace to the last: titles, counts of rows and notices lie outside.
fn between_braces(text: &str) -> Option<&str> {
    let (start, end) = (text.find('{')?, text.rfind('}')?);
    text.get(start..=end)
}

fn as_it_is(text: &str) -> Option<String> {
    between_braces(text).map(str::to_owned)
}

/// Aligned or expanded output (no `-A`): a line of the value that goes on ends in spaces and `+`, and begins with a space or a bar.
fn aligned(text: &str) -> Option<String> {
    let lines = between_braces(text)?.lines().map(|line| {
        let line = line.trim_end();
        let line = line.strip_suffix('+').unwrap_or(line);
        line.trim_start().strip_prefix('|').unwrap_or(line)
    });
    Some(lines.collect::<Vec<_>>().join("\n"))
}

/// `--csv`: the value in quotes, its own quotes doubled.
fn csv(text: &str) -> Option<String> {
    text.contains("{\"\"").then(|| between_braces(text).map(|value| value.replace("\"\"", "\""))).flatten()
}

/// `\copy … to FILE`: backslashes and line ends escaped.
fn copied(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = between_braces(text)?.chars();
    while let Some(c) = rest.next() {
        match (c, c == '\\') {
            (_, true) => match rest.next()? {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                other => out.push(other),
            },
            (c, false) => out.push(c),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> Value {
        serde_json::json!({"servers": [{"name": "a", "args": ["say \"hi\" \\ + | {", "ü", "}"]}], "n": {}})
    }

    #[test]
    fn decorations_of_psql_are_taken_off() {
        let line = value().to_string();
        let lines = format!("{:#}", value());
        let aligned: String = lines.lines().map(|line| format!(" {line:<60}+\r\n")).collect();
        let expanded: String = lines.lines().map(|line| format!("                  | {line:<60}+\n")).collect();
        let texts = [
            format!("Password for user metamcp_user: \n{line}\n"),
            format!(" json_build_object \n-------------------\n {line}\n(1 row)\n"),
            format!(" json_build_object \n-------------------\n{aligned}(1 row)\n"),
            format!("-[ RECORD 1 ]-----+----\njson_build_object {}", expanded.trim_start()),
            format!("json_build_object\n\"{}\"\n", line.replace('"', "\"\"")),
            line.replace('\\', "\\\\"),
        ];
        for text in texts {
            assert_eq!(json_in(&text), Some(value()), "{text}");
        }
        assert_eq!(json_in("ERROR:  relation \"mcp_servers\" does not exist"), None);
        assert_eq!(json_in("}{"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[{}\"\\\\+| \\n\\r a,:\\[\\]é]{0,60}") {
            let _ = json_in(&text);
        }
    }
}
