//! Tables for people.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Write},
};

use unicode_width::UnicodeWidthStr;

use super::{
    human::{fitting, wrap},
    style::{Paint, Style},
};

/// Between two columns.
const GAP: usize = 2;
/// A column of text is not cut below this; on a terminal that is narrower still, lines wrap.
const MIN_TEXT: usize = 8;
/// Before what stands below a row.
const INDENT: &str = "  ";
/// Most lines of it.
const MAX_BELOW: usize = 3;

/// Rows under a heading, aligned.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
    style: Style,
    /// Cells that look otherwise, by row and column.
    painted: BTreeMap<(usize, usize), Paint>,
}

impl Table {
    /// A table with these headings; the columns in `right` hold numbers, which are never cut.
    pub(crate) fn new(heading: &[&str], right: &[usize]) -> Self {
        Self {
            rows: vec![heading.iter().map(|h| (*h).to_owned()).collect()],
            right: right.to_owned(),
            style: Style::default(),
            painted: BTreeMap::new(),
        }
    }

    /// The same with colours, where there are any.
    pub(crate) fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }

    /// Gives a cell of the last row its look.
    pub(crate) fn paint(&mut self, column: usize, paint: Paint) {
        self.painted.insert((self.rows.len() - 1, column), paint);
    }

    /// Adds a row with as many cells as there are headings.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.rows[0].len());
        self.rows.push(cells);
    }

    /// Writes it. Where `width` columns are too few, the last column is cut first, then the widest others.
    pub(crate) fn write(&self, out: &mut dyn Write, width: Option<usize>) -> io::Result<()> {
        let widths = self.widths(self.rows[0].len(), width);
        (0..self.rows.len()).try_for_each(|row| self.line(out, row, &widths))
    }

    /// Whether no line is longer than `width`.
    pub(crate) fn fits(&self, width: usize) -> bool {
        self.natural(self.rows[0].len()) <= width
    }

    /// Writes it with what is in the last column below its row, and without its heading.
    pub(crate) fn write_folded(&self, out: &mut dyn Write, width: usize) -> io::Result<()> {
        let last = self.rows[0].len() - 1;
        let widths = self.widths(last, Some(width));
        for (n, row) in self.rows.iter().enumerate() {
            self.line(out, n, &widths)?;
            let below = if n == 0 { "" } else { &row[last] };
            for line in wrap(below, width.saturating_sub(INDENT.len()).max(MIN_TEXT), MAX_BELOW) {
                writeln!(out, "{INDENT}{line}")?;
            }
        }
        Ok(())
    }

    /// How wide the first `columns` are, with what is between them.
    fn natural(&self, columns: usize) -> usize {
        (0..columns).map(|i| self.widest(i)).sum::<usize>() + GAP * columns.saturating_sub(1)
    }

    fn widest(&self, column: usize) -> usize {
        self.rows.iter().map(|row| row[column].width()).max().unwrap_or(0)
    }

    /// How wide each of the first `columns` is to be.
    fn widths(&self, columns: usize, width: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = (0..columns).map(|i| self.widest(i)).collect();
        let mut over = width.map_or(0, |width| self.natural(columns).saturating_sub(width));
        let is_text = |i: &usize| !self.right.contains(i);
        if let Some(last) = columns.checked_sub(1).filter(is_text) {
            let by = widths[last].saturating_sub(MIN_TEXT).min(over);
            widths[last] -= by;
            over -= by;
        }
        // The widest gives a column at a time, so that they end up alike.
        while over > 0
            && let Some(widest) = (0..columns).filter(is_text).max_by_key(|i| widths[*i])
            && widths[widest] > MIN_TEXT
        {
            widths[widest] -= 1;
            over -= 1;
        }
        widths
    }

    fn line(&self, out: &mut dyn Write, row: usize, widths: &[usize]) -> io::Result<()> {
        let mut line = String::new();
        for (i, width) in widths.iter().enumerate() {
            let cell = cut(&self.rows[row][i], Some(*width));
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            let gap = if i == 0 { "" } else { &" ".repeat(GAP) };
            let paint = if row == 0 { Some(&Paint::Heading) } else { self.painted.get(&(row, i)) };
            let cell = paint.map_or_else(|| cell.clone(), |paint| self.style.paint(*paint, &cell).into_owned().into());
            if self.right.contains(&i) {
                line.extend([gap, padding.as_str(), &cell]);
            } else {
                line.extend([gap, &cell, padding.as_str()]);
            }
        }
        writeln!(out, "{}", line.trim_end())
    }
}

/// The text, or its beginning and `…`.
pub(crate) fn cut(text: &str, width: Option<usize>) -> Cow<'_, str> {
    match width {
        Some(width) if text.width() > width => {
            let fits = fitting(text, width.saturating_sub(1));
            Cow::Owned(format!("{}…", &text[..fits]))
        }
        _ => Cow::Borrowed(text),
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

    fn folded(table: &Table, width: usize) -> String {
        let mut out = Vec::new();
        table.write_folded(&mut out, width).expect("a Vec takes everything");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_text_that_has_no_room_beside_its_row_stands_below_it() {
        let mut table = Table::new(&["SERVER", "RSS", "LAST ERROR"], &[1]);
        table.row(vec!["time".into(), "2 MiB".into(), String::new()]);
        table.row(vec!["playwright".into(), "-".into(), "the server exited with code 1: no such module".into()]);
        let expected = "\
SERVER        RSS
time        2 MiB
playwright      -
  the server exited with
  code 1: no such module
";
        assert!(table.fits(64) && !table.fits(63), "{}", render(&table, None));
        assert_eq!(folded(&table, 25), expected);
    }

    #[test]
    fn wide_characters_count_for_the_columns_that_they_take() {
        let mut table = Table::new(&["TOOL", "DESCRIPTION"], &[]);
        table.row(vec!["天気".into(), "天気予報を教えます".into()]);
        table.row(vec!["abcd".into(), "x".into()]);
        assert_eq!(render(&table, Some(18)), "TOOL  DESCRIPTION\n天気  天気予報を…\nabcd  x\n");
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
        fn no_line_is_wider_than_a_terminal_with_room(cells in prop::collection::vec("[a-zé漢 ]{0,60}", 1..5), width in 40usize..200) {
            let mut table = Table::new(&["A", "B"], &[0]);
            for cell in cells {
                table.row(vec!["12345".into(), cell]);
            }
            prop_assert!(render(&table, Some(width)).lines().all(|l| l.width() <= width));
            prop_assert!(folded(&table, width).lines().all(|l| l.width() <= width));
        }
    }
}
