//! A document: what is printed on a terminal and what is written as Markdown.

use crate::table::Table;

pub(crate) enum Block {
    /// A heading of the second or third rank.
    Section(String),
    Subsection(String),
    Paragraph(String),
    List(Vec<String>),
    Table(Table),
    /// A file beside the document, and what it shows.
    Picture(&'static str, &'static str),
}

pub(crate) fn markdown(title: &str, blocks: &[Block]) -> String {
    let block = |block: &Block| match block {
        Block::Section(heading) => format!("## {heading}\n"),
        Block::Subsection(heading) => format!("### {heading}\n"),
        Block::Paragraph(text) => format!("{text}\n"),
        Block::List(items) => items.iter().map(|item| format!("- {item}\n")).collect(),
        Block::Table(table) => table.to_markdown(),
        Block::Picture(file, caption) => format!("![{caption}]({file})\n"),
    };
    std::iter::once(format!("# {title}\n")).chain(blocks.iter().map(block)).collect::<Vec<_>>().join("\n")
}

/// For a terminal, where there are no pictures.
pub(crate) fn text(blocks: &[Block]) -> String {
    let block = |block: &Block| match block {
        Block::Section(heading) => {
            Some(format!("{}\n{}\n", heading.to_uppercase(), "═".repeat(heading.chars().count())))
        }
        Block::Subsection(heading) | Block::Paragraph(heading) => Some(format!("{heading}\n")),
        Block::List(items) => Some(items.iter().map(|item| format!("- {item}\n")).collect()),
        Block::Table(table) => Some(table.to_text()),
        Block::Picture(..) => None,
    };
    blocks.iter().filter_map(block).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_two_faces() {
        let blocks = [
            Block::Section("Rates".to_owned()),
            Block::List(vec!["one".to_owned(), "two".to_owned()]),
            Block::Picture("rates.svg", "rates"),
        ];
        assert_eq!(markdown("Report", &blocks), "# Report\n\n## Rates\n\n- one\n- two\n\n![rates](rates.svg)\n");
        assert_eq!(text(&blocks), "RATES\n═════\n\n- one\n- two\n");
    }
}
