//! Edits of JSON with comments, as text: what is not edited stays byte for byte as it is.
//!
//! A comment on a line of its own stays where it is; one behind what is removed, on the same line, goes with it.

use std::ops::Range;

use crate::json_text::{Json, Layout, quoted};
use crate::tree::{Node, TreeValue};

/// Text in the place of other text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Splice {
    range: Range<usize>,
    text: String,
}

impl Splice {
    /// Another value in the place of this one.
    pub(crate) fn replace(node: &Node, value: &Json) -> Self {
        Self { range: node.span.clone(), text: value.line() }
    }

    fn insert(at: usize, text: String) -> Self {
        Self { range: at..at, text }
    }

    fn cut(range: Range<usize>) -> Self {
        Self { range, text: String::new() }
    }
}

/// The text after these edits, which do not overlap.
pub(crate) fn apply(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
    let mut out = String::with_capacity(text.len() + splices.iter().map(|splice| splice.text.len()).sum::<usize>());
    let mut from = 0;
    for Splice { range, text: new } in splices {
        out.push_str(&text[from..range.start]);
        out.push_str(&new);
        from = range.end;
    }
    out.push_str(&text[from..]);
    out
}

/// An object or a list of a text, to be edited.
pub(crate) struct ItemList<'t> {
    text: &'t str,
    /// Between its brackets.
    inner: Range<usize>,
    /// Its members with their keys, or its elements.
    items: Vec<Range<usize>>,
}

impl<'t> ItemList<'t> {
    /// Of an object or a list; nothing else has items.
    pub(crate) fn of(text: &'t str, node: &Node) -> Option<Self> {
        let items = match &node.value {
            TreeValue::Object(members) => {
                members.iter().map(|member| member.key_span.start..member.node.span.end).collect()
            }
            TreeValue::Array(elements) => elements.iter().map(|element| element.span.clone()).collect(),
            TreeValue::Null | TreeValue::Bool(_) | TreeValue::Number(_) | TreeValue::String(_) => return None,
        };
        Some(Self { text, inner: node.span.start + 1..node.span.end - 1, items })
    }

    /// A member more, at the end of an object.
    pub(crate) fn append_member(&self, key: &str, value: &Json) -> Vec<Splice> {
        let key = format!("{}: ", quoted(key));
        self.append(&|layout| match layout {
            Some(layout) => {
                let column = layout.base.chars().count() + key.chars().count();
                format!("{key}{}", value.part(layout, column))
            }
            None => format!("{key}{}", value.line()),
        })
    }

    /// An element more, at the end of a list.
    pub(crate) fn append_element(&self, value: &Json) -> Vec<Splice> {
        self.append(&|layout| match layout {
            Some(layout) => value.part(layout, layout.base.chars().count()),
            None => value.line(),
        })
    }

    /// `write`: the new item; without a layout on one line.
    fn append(&self, write: &dyn Fn(Option<Layout<'_>>) -> String) -> Vec<Splice> {
        let Self { text, inner, items } = self;
        let newline = newline(text);
        let (Some(first), Some(last)) = (items.first(), items.last()) else { return self.fill(write) };
        let gap = gap(text, last.end..inner.end);
        let after = gap.comma.map_or(last.end, |comma| comma + 1);
        if !text[inner.start..first.start].contains(['\n', '\r']) {
            let item = write(None);
            return vec![match gap.comma {
                Some(_) => Splice::insert(after, format!(" {item},")),
                None => Splice::insert(after, format!(", {item}")),
            }];
        }
        let base = indentation(text, first.start);
        let layout = Layout { base, unit: &self.unit(), newline };
        let item = write(Some(layout));
        let mut splices = Vec::new();
        let comma = match gap.comma {
            Some(_) => ",",
            None => {
                splices.push(Splice::insert(last.end, ",".to_owned()));
                ""
            }
        };
        // Behind what is said of the last one on its line.
        let at = gap.on_line(text, after).last();
        let at = at.map_or(after, |comment| comment.end).max(after);
        splices.push(Splice::insert(at, format!("{newline}{base}{item}{comma}")));
        splices
    }

    /// The first item.
    fn fill(&self, write: &dyn Fn(Option<Layout<'_>>) -> String) -> Vec<Splice> {
        let Self { text, inner, .. } = self;
        let gap = gap(text, inner.clone());
        let newline = newline(text);
        if gap.comments.is_empty() && !text.contains(['\n', '\r']) {
            return vec![Splice { range: inner.clone(), text: write(None) }];
        }
        let outer = indentation(text, inner.start);
        let unit = self.unit();
        let base = format!("{outer}{unit}");
        let item = write(Some(Layout { base: &base, unit: &unit, newline }));
        let (at, end) = match gap.comments.last() {
            None => (inner.clone(), format!("{newline}{outer}")),
            Some(last) if same_line(text, last.end, inner.end) => (last.end..last.end, format!("{newline}{outer}")),
            Some(last) => (last.end..last.end, String::new()),
        };
        vec![Splice { range: at, text: format!("{newline}{base}{item}{end}") }]
    }

    /// One item less.
    pub(crate) fn remove(&self, at: usize) -> Vec<Splice> {
        let Self { text, inner, items } = self;
        let item = &items[at];
        let end = items.get(at + 1).map_or(inner.end, |next| next.start);
        let behind = gap(text, item.end..end);
        let before = match at.checked_sub(1) {
            Some(before) => items[before].end..item.start,
            None => inner.start..item.start,
        };
        let comma_before = gap(text, before.clone()).comma;
        let after = behind.comma.map_or(item.end, |comma| comma + 1);
        let line = line_start(text, item.start);
        let begins_line = line >= before.start && text[line..item.start].trim().is_empty();
        // Comments on its line are about it.
        let ours = behind.on_line(text, after).last();
        let after = ours.map_or(after, |comment| comment.end).max(after);
        let rest = &text[after..end];
        let spaces = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let ends_line = rest[spaces..].starts_with(['\n', '\r']);
        let is_last_of_all = at + 1 == items.len() && behind.comma.is_none();
        let mut splices = Vec::new();
        if begins_line && ends_line {
            // With the end of the line before it, so that its own stays.
            splices.push(Splice::cut(line - line_end(&text[..line])..after));
        } else if at + 1 == items.len() {
            // With what is between it and the one before it, comments aside.
            let said = gap(text, before.clone()).comments.pop();
            let said = said.filter(|said| comma_before.is_none_or(|comma| comma < said.start));
            let from = match said {
                Some(comment) if text[comment.clone()].starts_with("//") => item.start,
                Some(comment) => comment.end,
                None => before.start,
            };
            splices.push(Splice::cut(from.max(comma_before.map_or(0, |comma| comma + 1))..after));
        } else {
            splices.push(Splice::cut(item.start..after + spaces));
        }
        if is_last_of_all {
            splices.extend(comma_before.map(|comma| Splice::cut(comma..comma + 1)));
        }
        splices
    }

    /// One step of indentation in this file.
    fn unit(&self) -> String {
        let indented =
            self.text.split(['\n', '\r']).find(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty());
        let unit = indented.map(|line| &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]);
        unit.filter(|unit| unit.len() <= 8).unwrap_or("  ").to_owned()
    }
}

/// What is between two values.
struct Gap {
    /// Where its comma is.
    comma: Option<usize>,
    comments: Vec<Range<usize>>,
}

impl Gap {
    /// The comments behind a place that begin on its line.
    fn on_line<'g>(&'g self, text: &'g str, from: usize) -> impl Iterator<Item = &'g Range<usize>> {
        let behind = self.comments.iter().skip_while(move |comment| comment.start < from);
        behind.take_while(move |comment| same_line(text, from, comment.start))
    }
}

/// Reads white space, comments and commas, which is all that there can be.
fn gap(text: &str, range: Range<usize>) -> Gap {
    let mut found = Gap { comma: None, comments: Vec::new() };
    let mut at = range.start;
    while at < range.end {
        let rest = &text[at..range.end];
        if rest.starts_with("//") {
            let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
            found.comments.push(at..at + end);
            at += end;
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").map_or(rest.len(), |end| end + 2);
            found.comments.push(at..at + end);
            at += end;
        } else {
            if rest.starts_with(',') {
                found.comma.get_or_insert(at);
            }
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    found
}

/// Whether no line ends between the two.
fn same_line(text: &str, from: usize, to: usize) -> bool {
    !text[from..to].contains(['\n', '\r'])
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind(['\n', '\r']).map_or(0, |end| end + 1)
}

/// How long the line end is that a text ends with.
fn line_end(text: &str) -> usize {
    if text.ends_with("\r\n") { 2 } else { 1 }
}

/// What the line begins with.
fn indentation(text: &str, at: usize) -> &str {
    let line = &text[line_start(text, at)..at];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

fn newline(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        Some(_) | None => "\n",
    }
}

#[cfg(test)]
mod tests;
