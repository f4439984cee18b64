//! The lines of a text in ZPL, the `ZeroMQ` property language (RFC 4), as far as certificates use it.
//!
//! It reads what czmq reads, and is lenient where hands and other writers vary: any indentation makes a line a child of
//! the nearest line above that is indented less, where czmq wants four spaces a level.

use alloc::vec::Vec;
use core::iter::Enumerate;
use core::str::Lines;

/// A line that names something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// Which line of the text, counted from 1.
    pub(super) line: usize,
    /// How many lines above it is part of: 0 for a section, 1 for what is directly in it.
    pub(super) depth: usize,
    pub(super) name: &'a str,
    /// What follows the `=`, without its quotation marks; empty if nothing does.
    pub(super) value: &'a str,
}

/// A line that is not ZPL. It is not shown, it may hold a secret key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) problem: &'static str,
}

/// The entries of `text` in order. It borrows all it gives out, so nothing is copied that would have to be wiped.
pub(super) fn entries(text: &str) -> Entries<'_> {
    // Some editors put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Entries { lines: text.lines().enumerate(), open: Vec::new() }
}

/// See [`entries`].
pub(super) struct Entries<'a> {
    lines: Enumerate<Lines<'a>>,
    /// The indentation of the last line and of all those that it is part of.
    open: Vec<usize>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, SyntaxError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (index, line) = self.lines.next()?;
            let content = line.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let line_number = index + 1;
            let depth = self.depth(line);
            return Some(match name_and_value(content) {
                Ok((name, value)) => Ok(Entry { line: line_number, depth, name, value }),
                Err(problem) => Err(SyntaxError { line: line_number, problem }),
            });
        }
    }
}

impl Entries<'_> {
    fn depth(&mut self, line: &str) -> usize {
        // A tab is worth the four spaces of a level.
        let width =
            line.chars().take_while(|c| c.is_whitespace()).map(|c| if c == '\t' { 4 } else { 1 }).sum::<usize>();
        while self.open.last().is_some_and(|&above| above >= width) {
            self.open.pop();
        }
        let depth = self.open.len();
        self.open.push(width);
        depth
    }
}

/// Splits a line that was trimmed and is no comment.
fn name_and_value(content: &str) -> Result<(&str, &str), &'static str> {
    if content.chars().any(|c| c.is_control() && c != '\t') {
        return Err("it has a control character; check that this is a certificate file");
    }
    let (name, rest) = content.split_at(content.find(|c| !is_name_char(c)).unwrap_or(content.len()));
    if !is_name(name) {
        return Err("it does not start with a name; write `name = \"value\"`");
    }
    let Some(value) = rest.trim_start().strip_prefix('=') else {
        return if is_blank(rest) { Ok((name, "")) } else { Err("no = follows the name; write `name = \"value\"`") };
    };
    let value = value.trim_start();
    let Some(mark) = value.chars().next().filter(|&c| is_mark(c)) else {
        let end = value.find('#').unwrap_or(value.len());
        return Ok((name, value.split_at(end).0.trim_end()));
    };
    match value.strip_prefix(mark).and_then(|value| value.split_once(mark)) {
        Some((value, rest)) if is_blank(rest) => Ok((name, value)),
        Some(_) => Err("something follows the closing quotation mark; remove it or put a # before it"),
        None => Err("the closing quotation mark is missing; add it"),
    }
}

/// True if nothing or a comment is left of a line.
fn is_blank(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('#')
}

const fn is_mark(c: char) -> bool {
    matches!(c, '"' | '\'')
}

const fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '$' | '-' | '_' | '@' | '.' | '&' | '+' | '/')
}

/// True if `name` may stand before a `=`.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_name_char) && !name.starts_with('/') && !name.ends_with('/')
}

/// What to put around `value` so that it is read back as it is, `None` if nothing helps: there are no escapes.
/// Every value that [`entries`] gives out has an answer.
pub(super) fn marks_for(value: &str) -> Option<&'static str> {
    if value.chars().any(|c| c.is_control() && c != '\t') {
        None
    } else if !value.contains('"') {
        Some("\"")
    } else if !value.contains('\'') {
        Some("'")
    } else {
        (!value.starts_with(is_mark) && !value.contains('#') && value.trim() == value).then_some("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(usize, &str, &str)> {
        entries(text).map(|entry| entry.unwrap()).map(|entry| (entry.depth, entry.name, entry.value)).collect()
    }

    fn problem(text: &str) -> SyntaxError {
        entries(text).find_map(Result::err).unwrap()
    }

    #[test]
    fn values_are_quoted_either_way_or_not() {
        assert_eq!(read("a = \"b c\""), [(0, "a", "b c")]);
        assert_eq!(read("a = 'b \"c\"'"), [(0, "a", "b \"c\"")]);
        assert_eq!(read("a=b c \t"), [(0, "a", "b c")]);
        assert_eq!(read("a = it's"), [(0, "a", "it's")]);
        assert_eq!(read("a ="), [(0, "a", "")]);
        assert_eq!(read("a = \"\""), [(0, "a", "")]);
        assert_eq!(read("a"), [(0, "a", "")]);
    }

    #[test]
    fn a_hash_starts_a_comment_except_between_quotation_marks() {
        assert_eq!(
            read("# a = b\n  # c\n\na = b # c\nd = \"e # f\" # g\nh # i\nj = # k"),
            [(0, "a", "b"), (0, "d", "e # f"), (0, "h", ""), (0, "j", ""),]
        );
    }

    #[test]
    fn a_line_belongs_to_the_nearest_line_above_that_is_indented_less() {
        for indent in [" ", "    ", "\t", "        "] {
            let text = format!("a\n{indent}b = 1\n{indent}{indent}c = 2\n{indent}d = 3\ne\n{indent}f = 4");
            assert_eq!(
                read(&text),
                [(0, "a", ""), (1, "b", "1"), (2, "c", "2"), (1, "d", "3"), (0, "e", ""), (1, "f", "4")]
            );
        }
        assert_eq!(read("a\n      b\n   c"), [(0, "a", ""), (1, "b", ""), (1, "c", "")]);
    }

    #[test]
    fn line_ends_and_a_byte_order_mark_do_not_matter() {
        assert_eq!(read("\u{feff}a\r\n    b = c\r\n    d = \"e\"\r\n"), [(0, "a", ""), (1, "b", "c"), (1, "d", "e")]);
    }

    #[test]
    fn broken_lines_are_told_by_number() {
        for broken in ["= b", "/a = b", "a/ = b", "a b", "a = \"b", "a = \"b\" c", "ä = b", "a = \0", "\"a\" = b"] {
            assert_eq!(problem(&format!("# one\nx = y\n{broken}\nz")).line, 3, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn a_value_that_can_be_written_is_read_back(value in "[ab \t\"'#=\\\\é]{0,8}") {
            if let Some(marks) = marks_for(&value) {
                let text = format!("n = {marks}{value}{marks}");
                prop_assert_eq!(read(&text), [(0, "n", &*value)]);
            }
        }

        #[test]
        fn every_value_that_is_read_can_be_written(text in "[ab \t\"'#=\\\\\0é]{0,12}") {
            if let Some(Ok(entry)) = entries(&format!("n = {text}")).next() {
                prop_assert!(marks_for(entry.value).is_some());
            }
        }
    }
}
