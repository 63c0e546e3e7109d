//! What an edit changes of a text, for people.

use std::io;

use similar::{ChangeTag, TextDiff};

use super::{console::Console, human::printable};

/// Lines around a change.
const CONTEXT: usize = 2;

/// Writes the lines that go, come, and stand around them.
pub(crate) fn write(before: &str, after: &str, console: &mut Console) -> io::Result<()> {
    let diff = TextDiff::from_lines(before, after);
    for (at, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if at > 0 {
            writeln!(console.out, "  …")?;
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let line = printable(change.value().trim_end_matches(['\n', '\r'])).into_owned();
            writeln!(console.out, "{}", format!("{sign} {line}").trim_end())?;
        }
    }
    Ok(())
}
