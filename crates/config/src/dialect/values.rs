//! Values in another form than ours: numbers where text belongs, one string for several arguments, lists of variables.

use super::{Source, in_place_of, members_mut};
use crate::report::Report;
use crate::tree::{ConfigText, Node, TreeMember, TreeValue};

/// `args` as one text, or with numbers in it.
pub(super) fn arguments(node: &mut Node, source: Source<'_>, report: &mut Report) {
    let span = node.span.clone();
    match &mut node.value {
        TreeValue::String(text) if text.written.contains(['"', '\'', '\\']) => {
            report.add(span.start, "expected a list of strings; a text with quotes is not taken apart");
        }
        TreeValue::String(text) => {
            let words: Vec<&str> = text.written.split_whitespace().collect();
            let count = if words.len() == 1 { "one argument".to_owned() } else { format!("{} arguments", words.len()) };
            report.warn(span.start, format!("the text is read as {count}; write a list"));
            let argument = |word: &str| Node {
                span: span.clone(),
                value: TreeValue::String(ConfigText::new(word.to_owned(), source.lookup)),
            };
            node.value = TreeValue::Array(words.into_iter().map(argument).collect());
        }
        TreeValue::Array(elements) => elements.iter_mut().for_each(|element| as_text(element, source, report)),
        _ => {}
    }
}

/// `env` with numbers in it, or as a list: of `"NAME=value"` or of `{"name": …, "value": …}`.
pub(super) fn variables(node: &mut Node, source: Source<'_>, report: &mut Report) {
    if let TreeValue::Array(elements) = &node.value {
        let pairs: Option<Vec<TreeMember>> = elements.iter().map(|element| pair(element, source)).collect();
        match pairs {
            Some(members) => node.value = TreeValue::Object(members),
            None => return, // the shape says what it expects
        }
    }
    let Some(members) = members_mut(node) else { return };
    members.retain_mut(|member| {
        if matches!(member.node.value, TreeValue::Null) {
            report.warn(member.node.span.start, "null is no value; the variable is left out");
            return false;
        }
        as_text(&mut member.node, source, report);
        true
    });
}

fn pair(element: &Node, source: Source<'_>) -> Option<TreeMember> {
    let (key, node) = match &element.value {
        TreeValue::String(text) => {
            let (name, value) = text.written.split_once('=')?;
            let value = TreeValue::String(ConfigText::new(value.to_owned(), source.lookup));
            (name.to_owned(), in_place_of(element, value))
        }
        TreeValue::Object(_) => {
            let name = element.get("name").or_else(|| element.get("key"))?.text()?.written.clone();
            (name, element.get("value")?.clone())
        }
        _ => return None,
    };
    Some(TreeMember { key, key_span: element.span.clone(), node })
}

/// A number or a truth value as it is written.
fn as_text(node: &mut Node, source: Source<'_>, report: &mut Report) {
    let what = match node.value {
        TreeValue::Number(_) => "the number",
        TreeValue::Bool(_) => "true or false",
        _ => return,
    };
    report.warn(node.span.start, format!("{what} is read as text; write it in quotes"));
    let written = source.text.get(node.span.clone()).unwrap_or_default().to_owned();
    node.value = TreeValue::String(ConfigText::literal(written));
}

/// `"true"` where true belongs.
pub(super) fn truth(node: &mut Node, report: &mut Report) {
    let value = match &node.value {
        TreeValue::String(text) if text.value().eq_ignore_ascii_case("true") => true,
        TreeValue::String(text) if text.value().eq_ignore_ascii_case("false") => false,
        _ => return,
    };
    report.warn(node.span.start, format!("the text is read as {value}; leave the quotes out"));
    node.value = TreeValue::Bool(value);
}

/// `command` as a list, its arguments behind it, or as an object of both.
pub(super) fn command(entry: &mut Node) {
    let Some(command) = entry.get("command") else { return };
    let (span, mut before, mut others) = (command.span.clone(), Vec::new(), Vec::new());
    let program = match &command.value {
        TreeValue::Array(words) => {
            let mut words = words.clone().into_iter();
            let program = words.next();
            before = words.collect();
            program
        }
        TreeValue::Object(members) => {
            let is_program = |member: &&TreeMember| matches!(member.key.as_str(), "path" | "command");
            let program = members.iter().find(is_program).map(|member| member.node.clone());
            others = members.iter().filter(|member| !is_program(member)).cloned().collect();
            program
        }
        _ => return,
    };
    let Some(members) = members_mut(entry) else { return };
    members.retain(|member| member.key != "command");
    if let Some(node) = program {
        members.push(TreeMember { key: "command".into(), key_span: span.clone(), node });
    }
    for other in others {
        if !members.iter().any(|member| member.key == other.key) {
            members.push(other);
        }
    }
    if before.is_empty() {
        return;
    }
    match members.iter_mut().find(|member| member.key == "args") {
        Some(TreeMember { node: Node { value: TreeValue::Array(args), .. }, .. }) => {
            before.append(args);
            *args = before;
        }
        _ => {
            members.retain(|member| member.key != "args");
            let node = Node { span: span.clone(), value: TreeValue::Array(before) };
            members.push(TreeMember { key: "args".into(), key_span: span, node });
        }
    }
}

/// `cmd /c PROGRAM …`, which Windows needs to find `npx`, is PROGRAM everywhere else.
pub(super) fn without_shell_of_windows(entry: &mut Node, report: &mut Report) {
    let is_shell = |text: &ConfigText| matches!(text.written.to_ascii_lowercase().as_str(), "cmd" | "cmd.exe");
    if !entry.get("command").and_then(Node::text).is_some_and(is_shell) {
        return;
    }
    let Some(Node { value: TreeValue::Array(args), .. }) = entry.get_mut("args") else { return };
    let is_flag = |node: &Node| node.text().is_some_and(|text| text.written.eq_ignore_ascii_case("/c"));
    if args.len() < 2 || !is_flag(&args[0]) {
        return;
    }
    let program = args.drain(..2).nth(1);
    if let (Some(program), Some(command)) = (program, entry.get_mut("command")) {
        report.warn(command.span.start, "`cmd /c` belongs to Windows; what follows it is started");
        command.value = program.value;
    }
}
