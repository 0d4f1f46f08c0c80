//! The texts about patterns: the list, the help of one, and the table of the documents.

use unicode_width::UnicodeWidthStr as _;

use super::Pattern;

/// The columns before the text of a list: an id and two blanks.
const ID_COLUMN: usize = 9;

/// The columns before a part of the help: its name and two blanks.
const NAME_COLUMN: usize = 9;

/// Returns the list of patterns: the id and the meaning of each. With a number of columns, longer lines continue below.
#[must_use]
pub fn list(patterns: &[Pattern], columns: Option<usize>) -> String {
    patterns.iter().map(|pattern| entry(&pattern.id, ID_COLUMN, &pattern.means, columns)).collect()
}

/// Returns the help of a pattern: what it means, what to look at, and where it comes from. `seen` says where it was found.
#[must_use]
pub fn help(pattern: &Pattern, seen: Option<&str>, columns: Option<usize>) -> String {
    let mut text = entry(&pattern.id, ID_COLUMN, &pattern.means, columns);
    let conditions = pattern.conditions();
    let versions = pattern.versions();
    let parts = [
        ("look", pattern.look.as_str()),
        ("only", conditions.as_str()),
        ("version", versions.as_str()),
        ("seen", seen.unwrap_or_default()),
    ];
    let sources = pattern.sources.iter().map(|source| ("source", source.as_str()));
    for (name, part) in parts.into_iter().filter(|(_, part)| !part.is_empty()).chain(sources) {
        text.push_str(&entry(name, NAME_COLUMN, part, columns));
    }
    text
}

/// Returns the help of a pattern in one line, as a note below a record.
#[must_use]
pub fn brief(pattern: &Pattern) -> String {
    format!("{}: {} Look at: {}", pattern.id, pattern.means, pattern.look)
}

/// Returns a head and a text beside it, with a hanging indent.
fn entry(head: &str, indent: usize, text: &str, columns: Option<usize>) -> String {
    let mut out = format!("{head:<indent$}");
    let mut used = indent;
    for (place, word) in text.split(' ').enumerate() {
        let width = word.width();
        if place > 0 {
            // A word that is wider than a line, such as an address, stays whole: it is copied.
            if columns.is_some_and(|columns| used + 1 + width > columns) {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                used = indent;
            } else {
                out.push(' ');
                used += 1;
            }
        }
        out.push_str(word);
        used += width;
    }
    out.push('\n');
    out
}

/// Returns the table of patterns for the documents, in Markdown.
#[must_use]
pub fn reference(patterns: &[Pattern]) -> String {
    let mut table = "\n| id | meaning | look at | text | sources |\n|---|---|---|---|---|\n".to_owned();
    for pattern in patterns {
        let sources: Vec<String> = pattern.sources.iter().map(|source| link(source)).collect();
        let text = code(pattern.expression());
        let notes = [pattern.conditions(), pattern.versions()].into_iter().filter(|note| !note.is_empty());
        let notes: String = notes.map(|note| format!("<br>{note}")).collect();
        let typed = if pattern.is_only_typed() { "<br>not in records" } else { "" };
        table.push_str(&format!(
            "| {} | {} | {} | {text}{notes}{typed} | {} |\n",
            pattern.id,
            pattern.means,
            pattern.look.replace('|', "\\|"),
            sources.join("<br>")
        ));
    }
    table
}

/// Returns an expression as code in a cell of a table.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

/// Returns a source as a link with a short name, or as it is.
fn link(source: &str) -> String {
    match source.strip_prefix("https://github.com/") {
        Some(path) => {
            let name = path.replace("/issues/", "#").replace("/pull/", "#");
            format!("[{name}]({source})")
        }
        None => code(source),
    }
}
