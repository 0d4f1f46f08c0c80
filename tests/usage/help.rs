//! The help as golden text, and the agreement of the help, the manual and the documents with the declarations of the
//! options.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use katalog::cli::{self, Request};
use katalog::config::declaration::{AnyOption, Declaration, Kind};
use katalog::config::{self, Command as Name};
use regex::Regex;

use crate::support::{expect_exit, katalog, write_file};

/// Returns what the program prints on a terminal of 80 columns.
#[track_caller]
fn shown(arguments: &[&str]) -> String {
    let output = expect_exit(katalog().args(arguments).env("COLUMNS", "80"), 0);
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the commands that have options of the configuration file as flags.
pub(super) fn commands() -> impl Iterator<Item = Name> {
    Name::ALL.iter().copied().filter(|command| command.has_options() && *command != Name::Config)
}

/// Returns the declarations of all options.
pub(super) fn declarations() -> impl Iterator<Item = &'static Declaration> {
    config::all().map(AnyOption::declaration)
}

/// Returns a text on one line, without the escapes of roff.
fn one_line(text: &str) -> String {
    let text = Regex::new(r"\\f[BIR]").unwrap().replace_all(text, "");
    let text = text.replace("\\-", "-").replace("\\*(Aq", "'").replace("\\\\", "\\");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_short_help_is_what_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/usage/help");
    let update = std::env::var_os("UPDATE").is_some();
    let commands = Name::ALL.iter().map(|command| command.name());
    for (name, arguments) in
        std::iter::once(("katalog", vec!["-h"])).chain(commands.map(|name| (name, vec![name, "-h"])))
    {
        let help = shown(&arguments);
        let path: PathBuf = folder.join(format!("{name}.txt"));
        if update {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &help).unwrap();
        }
        assert_eq!(help, fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
        // Without a command, the help fits on a screen.
        assert!(name != "katalog" || help.lines().count() <= 40, "{} lines", help.lines().count());
    }
}

/// Returns a value that the option takes.
fn sample(option: &dyn AnyOption) -> String {
    let declaration = option.declaration();
    if let Some(words) = declaration.words {
        return words().last().unwrap()[0].to_owned();
    }
    let samples = [
        "true",
        "7",
        "64K",
        "64M",
        "A=b",
        "today",
        "1s",
        "127.0.0.1:9745",
        "forward://h",
        "day",
        "s=1;i=2",
        "x",
        "a/b",
        "off",
    ];
    let cursor = "s=9ef187f32a794a6ba5d5a7e2f1ca1f7d;i=1cd;b=4737ffc504774b3ba67020bc947f1bc0;m=42f2dd;t=4d905e4cd5a92;x=25b3f86ff2774ac4";
    let mut samples = samples.into_iter().chain([cursor]);
    let found = samples.find(|text| option.check(text.as_ref()).is_ok());
    found.unwrap_or_else(|| panic!("no value for --{}", declaration.name)).to_owned()
}

#[test]
fn every_option_is_a_flag_a_variable_and_a_key_of_its_commands() {
    let folder = tempfile::tempdir().unwrap();
    for option in config::all() {
        let declaration = option.declaration();
        let (name, value) = (declaration.name, sample(option));
        let texts = vec![OsString::from(&value)];
        for command in commands() {
            let has = declaration.commands.contains(&command);
            let (variables, warnings) = config::read_environment(
                command,
                [(OsString::from(declaration.variable()), OsString::from(&value))].into_iter(),
            );
            assert_eq!((variables.get(name), warnings.len()), (has.then_some(&texts), 0), "{} {name}", command.name());
            if !has {
                let output = expect_exit(katalog().args([command.name(), &format!("--{name}={value}")]), 64);
                let message = String::from_utf8(output.stderr).unwrap();
                let names = message.contains(&format!("--{name}")) && message.contains("katalog");
                assert!(names, "{} --{name}: {message}", command.name());
                continue;
            }
            let line = ["katalog", command.name(), &format!("--{name}={value}")].map(OsString::from);
            match cli::read(&line) {
                Ok(Request::Run(invocation)) => {
                    assert_eq!((invocation.command, invocation.flags.get(name)), (command, Some(&texts)));
                }
                other => panic!("{} --{name}: {other:?}", command.name()),
            }
        }
        let written = match declaration.kind {
            Kind::Switch => value.clone(),
            Kind::Number | Kind::Text => format!("{value:?}"),
            Kind::List | Kind::AddedList | Kind::CommaList => format!("[{value:?}]"),
            Kind::Table => "{ A = \"b\" }".to_owned(),
        };
        let file = write_file(folder.path(), "k.toml", format!("{name} = {written}\n"));
        assert_eq!(config::read_file(&file).unwrap().get(name), Some(&texts), "{name} = {written}");
    }
}

/// Returns the long flags that begin a line of a help.
fn flags(help: &str) -> Vec<String> {
    let flag = Regex::new(r"(?m)^(?:  -\w, |      )--([a-z-]+)").unwrap();
    let own = ["help", "version", "config"];
    flag.captures_iter(help).map(|found| found[1].to_owned()).filter(|name| !own.contains(&name.as_str())).collect()
}

#[test]
fn help_and_manual_of_a_command_have_its_options_and_no_other() {
    let listed = Regex::new(r"(?m)^(?:\\fB\\-\w\\fR, )?\\fB\\-\\-([a-z\\-]+)\\fR").unwrap();
    for command in commands() {
        let name = command.name();
        let mut own: Vec<String> = declarations()
            .filter(|option| option.commands.contains(&command))
            .map(|option| option.name.to_owned())
            .collect();
        own.sort();
        for flag in ["-h", "--help"] {
            let help = shown(&[name, flag]);
            let mut listed = flags(&help);
            listed.sort();
            assert_eq!(listed, own, "katalog {name} {flag}");
            agrees(&format!("katalog {name} {flag}"), &help, command);
        }
        let page = shown(&["man", name]);
        agrees(&format!("katalog man {name}"), &page, command);
        let names = listed.captures_iter(&page).map(|found| found[1].replace("\\-", "-"));
        let mut names: Vec<String> =
            names.filter(|name| !["help", "version", "config"].contains(&name.as_str())).collect();
        names.sort();
        assert_eq!(names, own, "katalog man {name}");
    }
}

/// Checks that a text has the summary and the default of each option of the command.
fn agrees(place: &str, text: &str, command: Name) {
    let text = one_line(text);
    for option in declarations().filter(|option| option.commands.contains(&command)) {
        let (summary, _) = option.help();
        assert!(text.contains(&summary), "{place}, --{}: {summary}", option.name);
        if let Some(default) = option.shown_default() {
            assert!(text.contains(&format!("[default: {default}]")), "{place}, --{}: {default}", option.name);
        }
    }
}

#[test]
fn the_documents_have_every_option_with_its_values() {
    let page = one_line(&shown(&["man", "katalog.toml"]));
    let reference = cli::reference();
    for option in declarations() {
        let name = option.name;
        let (summary, details) = option.help();
        let head = format!("{name} = ");
        assert!(page.contains(&head) && page.contains(&format!("{summary}.")), "katalog.toml(5): {name}");
        for paragraph in details {
            assert!(page.contains(&one_line(&paragraph)), "katalog.toml(5), {name}: {paragraph}");
        }
        let row = reference.lines().find(|row| row.contains(&format!("`--{name}`"))).unwrap();
        assert!(row.contains(&format!("{summary}.").replace('|', "\\|")), "reference: {row}");
        let comment = comment(name);
        for [word, _] in option.words.map(|words| words()).unwrap_or_default() {
            assert!(row.contains(&format!("`{word}`")), "reference, --{name}: {word}");
            let quoted = comment.contains(&format!("\"{word}\"")) || name == "component" && comment.contains(word);
            let is_facility = name == "syslog-facility";
            assert!(quoted || is_facility, "default.toml, {name}: {word}\n{comment}");
        }
    }
}

/// Returns the comment above a key of the default configuration file. One comment may stand above several keys.
fn comment(name: &str) -> String {
    let block =
        config::DEFAULT.split("\n\n").find(|block| block.lines().any(|line| line.starts_with(&format!("{name} = "))));
    let lines = block.unwrap().lines().filter_map(|line| line.strip_prefix("# "));
    lines.collect::<Vec<_>>().join(" ")
}
