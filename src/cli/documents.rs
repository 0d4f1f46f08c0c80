//! Documents that are generated from the declarations: completions, pages of the manual, and the reference of options.

use std::io;

use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::{help, parser};
use crate::config::declaration::{Declaration, Kind};
use crate::config::{self, Command};
use crate::exit::Exit;

/// Returns the completions of a shell.
#[must_use]
pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut parser::of_all(), "katalog", &mut out);
    out
}

/// The program and its version, at the foot of each page.
const VERSION: &str = concat!("katalog ", env!("CARGO_PKG_VERSION"));

/// Returns a page of the manual, in roff. The page of a command has the name of the command.
///
/// # Errors
/// If the page cannot be written to memory, which does not happen.
pub fn page(name: &str) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    match Command::of_name(name) {
        Some(command) => {
            // The page is called as for git, so that `man katalog-ship` and apropos find it.
            let parser = parser::of(command, true).display_name(format!("katalog-{name}"));
            render(parser, &mut out)?;
            more(command, "katalog(1), katalog.toml(5)").to_writer(&mut out)?;
        }
        None if name == help::CONFIG_PAGE => config_page().to_writer(&mut out)?,
        None => {
            render(parser::of_all().override_usage(help::USAGE), &mut out)?;
            more(Command::Print, "katalog.toml(5), journalctl(1)").to_writer(&mut out)?;
        }
    }
    Ok(out)
}

/// Writes the sections that the parser knows.
fn render(mut parser: clap::Command, out: &mut Vec<u8>) -> io::Result<()> {
    let usage = parser.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let parser = parser.override_usage(usage).after_help(None).after_long_help(None);
    Man::new(parser).source(VERSION).render(out)
}

/// Returns the sections that the parser does not know.
fn more(command: Command, others: &str) -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["EXAMPLES"]);
    for [line, effect] in help::examples(command) {
        page.control("TP", []).text([bold(*line)]).text([roman(*effect)]);
    }
    if command.reads_inputs() {
        page.control("SH", ["SETTINGS"]);
        for line in help::LAYERS.lines() {
            page.text([roman(line)]);
        }
        page.control("SH", ["EXIT STATUS"]);
        for exit in Exit::ALL {
            page.control("TP", []).text([bold(exit.code().to_string())]).text([roman(exit.meaning())]);
        }
    }
    if command == Command::Explain {
        page.control("SH", ["EXIT STATUS"]).text([roman(help::EXPLAIN_EXIT)]);
    }
    page.control("SH", ["SEE ALSO"]).text([roman(others)]);
    page
}

/// Returns the page about the configuration file.
fn config_page() -> Roff {
    let mut page = Roff::new();
    page.control("TH", [help::CONFIG_PAGE, "5", "", VERSION]);
    page.control("SH", ["NAME"]).text([roman("katalog.toml - configuration file of katalog")]);
    page.control("SH", ["DESCRIPTION"]).text([roman(
        "The file that --config or KATALOG_CONFIG names, in TOML. Its keys serve all commands; a command ignores the keys of \
         other commands. Each key is also a flag and an environment variable.",
    )]);
    let mut group = "";
    for option in config::all().map(|option| option.declaration()) {
        if option.group != group {
            group = option.group;
            page.control("SH", [group.to_uppercase().as_str()]);
        }
        let (summary, details) = option.help();
        page.control("TP", []).text(head(option)).text([roman(format!("{summary}."))]);
        for paragraph in details {
            page.control("IP", []).text([roman(paragraph)]);
        }
        page.control("IP", []).text([roman(format!("Commands: {}.", commands(option)))]);
    }
    page.control("SH", ["SEE ALSO"]).text([roman("katalog(1), katalog-config(1)")]);
    page
}

fn head(option: &Declaration) -> Vec<Inline> {
    let default = option.shown_default().map_or(String::new(), |default| format!(" (default: {default})"));
    vec![bold(option.name), roman(" = "), italic(form(option)), roman(default)]
}

/// Returns the form of a value in the configuration file.
fn form(option: &Declaration) -> &'static str {
    match option.kind {
        Kind::Switch => "true or false",
        Kind::Number => "number or text",
        Kind::Text => "text",
        Kind::List | Kind::AddedList | Kind::CommaList => "list of texts",
        Kind::Table => "table of texts",
    }
}

fn commands(option: &Declaration) -> String {
    option.commands.iter().map(|command| command.name()).collect::<Vec<_>>().join(", ")
}

/// Returns the reference of all options in Markdown: a table for each group.
#[must_use]
pub fn reference() -> String {
    let mut text = String::new();
    let mut group = "";
    for option in config::all().map(|option| option.declaration()) {
        if option.group != group {
            group = option.group;
            text.push_str(&format!(
                "\n## {group}\n\n| option | value | default | commands | meaning |\n|---|---|---|---|---|\n"
            ));
        }
        let short = option.short.map_or(String::new(), |short| format!("`-{short}`, "));
        text.push_str(&format!(
            "| {short}`--{}` | {} | {} | {} | {} |\n",
            option.name,
            values(option),
            default(option),
            commands(option),
            meaning(option)
        ));
    }
    text
}

/// Returns the possible values of an option: the words of a closed list with their help, or the name of the value.
fn values(option: &Declaration) -> String {
    let list = match option.kind {
        Kind::List | Kind::AddedList | Kind::CommaList => "list of ",
        Kind::Table => "table of ",
        Kind::Switch | Kind::Number | Kind::Text => "",
    };
    let words = option.words.map(|words| words()).unwrap_or_default();
    let with_help = |[word, help]: &[&str; 2]| match *help {
        "" => code(word),
        help => format!("{}: {help}", code(word)),
    };
    let separator = if words.iter().all(|[_, help]| help.is_empty()) { ", " } else { "<br>" };
    match option.kind {
        Kind::Switch => "`true`, `false`".to_owned(),
        _ if words.is_empty() => format!("{list}{}", code(option.value)),
        _ => words.iter().map(with_help).collect::<Vec<_>>().join(separator),
    }
}

/// Returns the default of an option. Long lists are in the default configuration file only.
fn default(option: &Declaration) -> String {
    let default = (option.default)();
    match option.shown_default() {
        Some(default) => code(&default),
        None if option.kind == Kind::Switch => code(&default.concat()),
        None if default.iter().all(String::is_empty) => "none".to_owned(),
        None => "a list".to_owned(),
    }
}

/// Returns the help of an option as one cell of a table: the summary, the details, and the needs of the flag.
fn meaning(option: &Declaration) -> String {
    let (summary, details) = option.help();
    let sentences = [&[format!("{summary}.")], details.as_slice()].concat().join(" ");
    let needs: String = option.needs.iter().map(|need| format!(" Needs {}.", need.what)).collect();
    format!("{sentences}{needs}").replace('|', "\\|")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that `man` and apropos find each page by the name of its file.
    #[test]
    fn every_page_begins_with_its_name() {
        for [name, _] in help::pages() {
            let (title, section) = match Command::of_name(name) {
                Some(_) => (format!("katalog-{name}"), 1),
                None => (name.to_owned(), if name == help::CONFIG_PAGE { 5 } else { 1 }),
            };
            let text = String::from_utf8(page(name).unwrap()).unwrap();
            assert!(text.contains(&format!(".TH {title} {section} ")), "{text}");
            let named = format!(".SH NAME\n{} \\- ", title.replace('-', "\\-"));
            assert!(text.contains(&named), "{named}: {text}");
            assert!(text.contains(".SH \"SEE ALSO\"\n"), "{text}");
        }
    }

    #[test]
    fn the_page_of_explain_has_its_exit_code() {
        let text = String::from_utf8(page("explain").unwrap()).unwrap();
        assert!(text.contains(&format!(".SH \"EXIT STATUS\"\n{}\n", help::EXPLAIN_EXIT)), "{text}");
    }

    #[test]
    fn each_option_is_one_row_of_the_reference() {
        let reference = reference();
        let rows: Vec<&str> = reference.lines().filter(|line| line.contains("`--") && line.starts_with('|')).collect();
        assert_eq!(rows.len(), config::all().count());
        for (row, option) in rows.iter().zip(config::all()) {
            let cells = row.replace("\\|", "").matches('|').count();
            assert_eq!(cells, 6, "{row}");
            assert!(row.contains(&format!("`--{}` |", option.declaration().name)), "{row}");
        }
    }
}
