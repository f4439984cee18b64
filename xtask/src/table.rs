//! Plain-text and Markdown tables.

/// A table whose first column is text and whose columns are aligned as told.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

/// On which side a column is flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

impl Table {
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|(heading, align)| ((*heading).to_owned(), *align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; cells beyond the last column are dropped, missing ones are empty.
    pub(crate) fn push<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// For a terminal: columns two blanks apart, a rule under the heading.
    pub(crate) fn to_text(&self) -> String {
        let widths = self.widths();
        let mut out = String::new();
        self.text_line(&mut out, &self.headings(), &widths);
        out.push_str(&"─".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)));
        out.push('\n');
        for row in &self.rows {
            self.text_line(&mut out, row, &widths);
        }
        out
    }

    /// For a document; a bar inside a cell is escaped.
    pub(crate) fn to_markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', r"\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = self.columns.iter().map(|(_, align)| match align {
            Align::Left => "---".to_owned(),
            Align::Right => "---:".to_owned(),
        });
        let mut out = line(&self.headings());
        out.push_str(&line(&rule.collect::<Vec<_>>()));
        for row in &self.rows {
            out.push_str(&line(row));
        }
        out
    }

    fn headings(&self) -> Vec<String> {
        self.columns.iter().map(|(heading, _)| heading.clone()).collect()
    }

    fn widths(&self) -> Vec<usize> {
        let width = |index: usize, heading: &str| {
            let cells = self.rows.iter().filter_map(|row| row.get(index));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            widest.max(heading.chars().count())
        };
        let columns = self.columns.iter().enumerate();
        columns.map(|(index, (heading, _))| width(index, heading)).collect()
    }

    fn text_line(&self, out: &mut String, cells: &[String], widths: &[usize]) {
        let mut line = String::new();
        for ((cell, &width), (_, align)) in cells.iter().zip(widths).zip(&self.columns) {
            match align {
                Align::Left => line.push_str(&format!("{cell:<width$}  ")),
                Align::Right => line.push_str(&format!("{cell:>width$}  ")),
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&[("step", Align::Left), ("s", Align::Right), ("note", Align::Left)]);
        table.push(["fmt", "1.5", ""]);
        table.push(["µ-test", "12.0", "a|b"]);
        table.push(["short"]);
        table
    }

    #[test]
    fn text_is_aligned_by_characters_and_has_no_trailing_blanks() {
        let expected = "\
step       s  note
──────────────────
fmt      1.5
µ-test  12.0  a|b
short
";
        assert_eq!(sample().to_text(), expected);
    }

    #[test]
    fn markdown_carries_the_alignment_and_escapes_bars() {
        let expected = "\
| step | s | note |
| --- | ---: | --- |
| fmt | 1.5 |  |
| µ-test | 12.0 | a\\|b |
| short |  |  |
";
        assert_eq!(sample().to_markdown(), expected);
    }

    #[test]
    fn a_table_without_rows_is_its_heading() {
        let table = Table::new(&[("a", Align::Left)]);
        assert_eq!(table.to_text(), "a\n─\n");
    }
}
