use std::io::{self, Write};

/// Between two columns.
const GAP: usize = 2;
/// A column is not cut below this; on a narrower terminal lines wrap.
const MIN_LAST: usize = 12;

/// Rows under a heading, aligned. The last column takes what is left of the terminal's width.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Table {
    /// A table with these headings; the columns in `right` hold numbers.
    pub(crate) fn new(heading: &[&str], right: &[usize]) -> Self {
        Self { rows: vec![heading.iter().map(|h| (*h).to_owned()).collect()], right: right.to_owned() }
    }

    /// Adds a row with as many cells as there are headings.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.rows[0].len());
        self.rows.push(cells);
    }

    /// Writes it; lines are cut to `width` columns when there is one.
    pub(crate) fn write(&self, out: &mut dyn Write, width: Option<usize>) -> io::Result<()> {
        let columns = self.rows[0].len();
        let widest = |i: usize| self.rows.iter().map(|row| columns_of(&row[i])).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(widest).collect();
        let before_last: usize = widths[..columns - 1].iter().map(|w| w + GAP).sum();
        let last = width.map(|w| w.saturating_sub(before_last).max(MIN_LAST));
        for row in &self.rows {
            let mut line = String::new();
            for (i, cell) in row.iter().enumerate() {
                let padding = " ".repeat(widths[i] - columns_of(cell));
                if i == columns - 1 {
                    line.push_str(&cut(cell, last));
                } else if self.right.contains(&i) {
                    line.extend([padding.as_str(), cell, "  "]);
                } else {
                    line.extend([cell, padding.as_str(), "  "]);
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn columns_of(text: &str) -> usize {
    text.chars().count()
}

/// The text, or its beginning and `…`.
pub(crate) fn cut(text: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if columns_of(text) > width => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(table: &Table, width: Option<usize>) -> String {
        let mut out = Vec::new();
        table.write(&mut out, width).expect("a Vec takes everything");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn columns_are_aligned_and_numbers_stand_right() {
        let mut table = Table::new(&["SERVER", "TOOLS", "LAST ERROR"], &[1]);
        table.row(vec!["time".into(), "2".into(), "".into()]);
        table.row(vec!["playwright".into(), "117".into(), "the server exited with code 1".into()]);
        let expected = "\
SERVER      TOOLS  LAST ERROR
time            2
playwright    117  the server exited with code 1
";
        assert_eq!(render(&table, None), expected);
        assert!(render(&table, Some(40)).contains("117  the server exited wi…\n"), "{}", render(&table, Some(40)));
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_a_terminal_with_room(cells in prop::collection::vec("[a-zé ]{0,60}", 1..5), width in 40usize..200) {
            let mut table = Table::new(&["A", "B"], &[0]);
            for cell in cells {
                table.row(vec!["12345".into(), cell]);
            }
            prop_assert!(render(&table, Some(width)).lines().all(|l| l.chars().count() <= width));
        }
    }
}
