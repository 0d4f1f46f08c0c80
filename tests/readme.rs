//! The claims of the documents: examples are run, command lines are checked, tables are compared with the program's
//! own.
//!
//! `UPDATE=1 cargo test readme` rewrites tables and the output of examples; review the difference before you commit it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kata_records::component::{Component, IDENTIFIERS, NAMES, SOURCES};
use kata_records::dictionary::{DICTIONARY, KnownKey, ValueKind};
use kata_records::flaw::Flaw;
use kata_records::record::{Level, PayloadFormat};
use kata_records::schema::{DERIVED, ENVELOPE, FieldType, PAYLOAD};
use katalog::exit::Exit;

use crate::support::katalog;

/// The line of an example that stands for any lines.
const ANY: &str = "…";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    let path = root().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents with examples.
const DOCUMENTS: [&str; 3] = ["README.md", "fluentd/README.md", "recipes/README.md"];

#[test]
fn the_readme_is_true() {
    let jq = Command::new("jq").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(jq.is_ok_and(|status| status.success()), "the examples of README.md need jq, and it is not installed");
    for name in DOCUMENTS {
        let text = read(name);
        let mut made = text.clone();
        for (region, content) in [
            ("keys", keys()),
            ("aliases", aliases()),
            ("components", components()),
            ("flaws", flaws()),
            ("drop", dropped()),
            ("schemas", schemas()),
        ] {
            made = with_region(&made, region, &content);
        }
        made = with_examples(&made);
        if std::env::var_os("UPDATE").is_some_and(|value| !value.is_empty()) {
            fs::write(root().join(name), &made).unwrap();
        } else {
            same(name, &text, &made);
        }
    }
}

/// Fails with the lines around the first difference.
fn same(name: &str, found: &str, expected: &str) {
    if found == expected {
        return;
    }
    let number = found.lines().zip(expected.lines()).take_while(|(found, expected)| found == expected).count();
    let around = |text: &str| text.lines().skip(number).take(4).collect::<Vec<_>>().join("\n");
    panic!(
        "{name}, line {}, says\n\n{}\n\nbut the program says\n\n{}\n\n`UPDATE=1 cargo test readme` writes it anew",
        number + 1,
        around(found),
        around(expected)
    );
}

/// Returns the text with the part between `<!-- name -->` and `<!-- /name -->` replaced.
fn with_region(text: &str, name: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let Some((before, rest)) = text.split_once(&begin) else { return text.to_owned() };
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{end} is missing"));
    format!("{before}{begin}{content}{end}{after}")
}

/// Returns the text with the real output in each example whose output differs.
fn with_examples(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    let mut inside = false;
    while let Some(line) = lines.next() {
        writeln!(out, "{line}").unwrap();
        inside = if inside { line != "```" } else { line == "```console" };
        let Some(first) = line.strip_prefix("$ ").filter(|_| inside) else { continue };
        let mut command = first.to_owned();
        while unfinished(&command) {
            let next = lines.next().unwrap();
            writeln!(out, "{next}").unwrap();
            command = format!("{command}\n{next}");
        }
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ") && *line != "```") {
            expected.push(line);
        }
        let actual = run(&command);
        let actual: Vec<&str> = actual.lines().collect();
        for line in if matches(&expected, &actual) { expected } else { actual } {
            writeln!(out, "{line}").unwrap();
        }
    }
    out
}

/// Returns true if the command continues on the next line: a quote is open, or a backslash ends the line.
fn unfinished(command: &str) -> bool {
    command.ends_with('\\') || command.matches('\'').count() % 2 == 1
}

/// Compares the output with the expected one, in which a line can stand for any lines.
fn matches(expected: &[&str], actual: &[&str]) -> bool {
    match expected {
        [] => actual.is_empty(),
        [first, rest @ ..] if *first == ANY => (0..=actual.len()).any(|skipped| matches(rest, &actual[skipped..])),
        [first, rest @ ..] => actual.split_first().is_some_and(|(line, more)| line == first && matches(rest, more)),
    }
}

/// Runs a command of an example in the root of the project. Returns its output.
fn run(command: &str) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_katalog")).parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path: OsString = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&others))).unwrap();
    let mut shell = Command::new("sh");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KATALOG_") {
            shell.env_remove(name);
        }
    }
    let output = shell
        .args(["-c", command])
        .current_dir(root())
        .envs([("TZ", "UTC"), ("LC_ALL", "C.UTF-8")])
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "`{command}` ends with {}", output.status);
    assert!(output.stderr.is_empty(), "`{command}` says {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_command_line_can_be_used() {
    let mut checked = 0;
    for name in DOCUMENTS {
        let text = read(name);
        let mut inside = false;
        for line in text.lines() {
            inside = if inside { line != "```" } else { matches!(line, "```sh" | "```console") };
            if inside && !line.starts_with("```") {
                checked += check_invocations(name, line.strip_prefix("$ ").unwrap_or(line));
            }
        }
    }
    assert!(checked > 15, "only {checked} command lines were found");
}

#[test]
fn every_command_of_fluentd_can_be_used() {
    let mut checked = 0;
    for entry in fs::read_dir(root().join("fluentd")).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            let text = fs::read_to_string(&path).unwrap();
            let commands = text.lines().filter_map(|line| line.trim_start().split_once(char::is_whitespace));
            for (_, command) in commands.filter(|(key, _)| key.eq_ignore_ascii_case("command")) {
                let command = command.trim_start();
                let found = check_invocations(&path.display().to_string(), command);
                assert_eq!(found, 1, "{}: {command}", path.display());
                checked += found;
            }
        }
    }
    assert!(checked >= 6, "only {checked} commands were found");
}

/// Passes the flags of each invocation in a line of shell to the program for checking. Returns the number of
/// invocations.
fn check_invocations(place: &str, line: &str) -> usize {
    let mut found = 0;
    for words in commands(line) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let arguments = match words.as_slice() {
            ["katalog", arguments @ ..]
            | ["exec", "katalog", arguments @ ..]
            | ["cargo", "run", "--release", "--", arguments @ ..] => arguments,
            _ => continue,
        };
        found += 1;
        let mut command = katalog();
        command.arg("--check-config");
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match *argument {
                "--check-config" => {}
                // The configuration file is the reader's own.
                "--config" => _ = arguments.next().unwrap(),
                argument => _ = command.arg(argument),
            }
        }
        let output = command.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{place}: {line}\n{message}");
    }
    found
}

/// Splits a line of shell into commands of words: resolves quotes and backslashes, omits redirections and comments.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut redirected = false;
    let mut quote = None;
    let mut chars = line.chars();
    loop {
        let next = chars.next();
        match (quote, next) {
            (Some(open), Some(c)) if c == open => quote = None,
            (Some(_), Some(c)) => word.get_or_insert_default().push(c),
            (None, Some(c @ ('\'' | '"'))) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, Some('\\')) => word.get_or_insert_default().extend(chars.next()),
            (None, Some('#')) if word.is_none() => break,
            (None, Some(c)) if !matches!(c, ' ' | '|' | ';' | '&' | '>' | '<') => word.get_or_insert_default().push(c),
            (_, end) => {
                // A number before a redirection belongs to it.
                let number = matches!(end, Some('>' | '<'))
                    && word.as_deref().is_some_and(|word| word.chars().all(|c| c.is_ascii_digit()));
                if let Some(word) = word.take().filter(|_| !number && !std::mem::take(&mut redirected)) {
                    commands.last_mut().unwrap().push(word);
                }
                match end {
                    Some('>' | '<') => redirected = true,
                    // `>&1` does not end a command.
                    Some('&') if redirected => {}
                    Some('|' | ';' | '&') => commands.push(Vec::new()),
                    Some(_) => {}
                    None => break,
                }
            }
        }
    }
    commands
}

#[test]
fn lines_of_shell_are_cut_into_commands() {
    let cut = commands("a 'b c' 2>&1 >/dev/null | katalog --drop '_*' \"x\"\\ y > out; d # e | f");
    assert_eq!(cut, [vec!["a", "b c"], vec!["katalog", "--drop", "_*", "x y"], vec!["d"]]);
}

#[test]
fn every_flag_is_documented() {
    let help = katalog().arg("--help").output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let documents = read("README.md") + &read("src/config/default.toml");
    let flags = help.lines().filter_map(|line| {
        let (before, flag) = line.trim_start().split_once("--")?;
        let flag = flag.split(|c: char| !c.is_ascii_lowercase() && c != '-').next()?;
        (before.is_empty() || before.starts_with('-') && before.len() == 4).then_some(flag)
    });
    let flags: Vec<&str> = flags.filter(|flag| *flag != "help").collect();
    assert!(flags.len() > 25, "{flags:?}");
    for flag in flags {
        let documented = documents.contains(&format!("--{flag}"))
            || documents.lines().any(|line| line.starts_with(&format!("{flag} = ")));
        assert!(documented, "--{flag} is neither in README.md nor in default.toml");
    }
}

#[test]
fn the_readme_names_what_the_program_has() {
    let text = read("README.md");
    let help = String::from_utf8(katalog().arg("--help").output().unwrap().stdout).unwrap();
    for exit in Exit::ALL {
        assert!(text.contains(&format!("\n| {} | ", exit.code())), "exit code {}", exit.code());
    }
    for name in Level::ALL.iter().map(|level| level.name()) {
        assert!(text.contains(&format!("`{name}`")), "level {name}");
    }
    for format in
        [PayloadFormat::Logfmt, PayloadFormat::Json, PayloadFormat::Slog, PayloadFormat::Native, PayloadFormat::Text]
    {
        assert!(text.contains(&format!("`{}`", format.name())), "format {}", format.name());
    }
    for variable in
        text.split(|c: char| !c.is_ascii_uppercase() && c != '_').filter(|word| word.starts_with("KATALOG_"))
    {
        assert!(help.contains(variable), "there is no {variable}");
    }
    let package: toml::Table = read("Cargo.toml").parse().unwrap();
    let version = package["workspace"]["package"]["rust-version"].as_str().unwrap();
    assert!(text.matches(&format!("Rust {version}")).count() >= 2, "rust-version is {version}");
}

#[test]
fn what_the_documents_point_to_exists() {
    for (name, folder) in [
        ("README.md", ""),
        ("fluentd/README.md", "fluentd"),
        ("kubernetes/README.md", "kubernetes"),
        ("recipes/README.md", "recipes"),
        ("systemd/README.md", "systemd"),
        ("observability/README.md", "observability"),
        ("CHANGELOG.md", ""),
    ] {
        let text = read(name);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !target.is_empty() && !target.contains("://") {
                assert!(root().join(folder).join(target).exists(), "{name} points to {target}");
            }
        }
        let mut inside = false;
        for line in text.lines() {
            inside = if inside { line != "```" } else { line == "```text" };
            if let Some((path, _)) =
                line.split_once("  ").filter(|(path, _)| inside && path.contains('/') && !path.contains(' '))
            {
                assert!(root().join(path).exists(), "{name} shows {path}");
            }
        }
    }
}

/// Returns the table of types.
fn keys() -> String {
    let mut table = "\n| type | fields |\n|---|---|\n".to_owned();
    for (kind, meaning) in [
        (ValueKind::Time, "time, see above; a second one is kept in `kata_time_text`"),
        (ValueKind::Level, "level, see above; what is none is kept in `kata_level_text`"),
        (ValueKind::Count, "integer from 0"),
        (ValueKind::Int, "integer"),
        (ValueKind::Bool, "boolean"),
        (
            ValueKind::Duration,
            "string as Go writes it, such as `1m2.5s`, and integer nanoseconds under the name with `_ns` behind",
        ),
    ] {
        let mut names: Vec<&str> = Vec::new();
        for known in DICTIONARY.iter().filter(|known| known.kind == kind) {
            if !names.contains(&known.name) {
                names.push(known.name);
            }
        }
        let names: Vec<String> = names.iter().map(|name| code(&format!("kata_{name}"))).collect();
        writeln!(table, "| {meaning} | {} |", names.join(", ")).unwrap();
    }
    table
}

/// Returns the table of names in other schemas.
fn schemas() -> String {
    let mut table = "\n| `kata` | `ecs` | `otel` | type |\n|---|---|---|---|\n".to_owned();
    let rows = PAYLOAD.iter().map(|row| (code(&format!("kata_{}", row.from)), row));
    let rows = rows.chain(ENVELOPE.iter().map(|row| (code(row.from), row)));
    for (from, row) in rows.chain(DERIVED.iter().map(|row| (format!("made of {}", row.from), row))) {
        let kind = match row.kind {
            FieldType::Moment => "time",
            FieldType::Count => "integer from 0",
            FieldType::Int => "integer",
            FieldType::Bool => "boolean",
            _ => "string",
        };
        let [ecs, otel] = [row.ecs, row.otel].map(|name| if name.is_empty() { String::new() } else { code(name) });
        writeln!(table, "| {from} | {ecs} | {otel} | {kind} |").unwrap();
    }
    table
}

/// Returns the table of keys that have another name.
fn aliases() -> String {
    let own = |name: &str| name.starts_with("fields_");
    // A name that only replaces characters not allowed in names is no alias.
    let alias =
        |known: &&KnownKey| known.key != known.name && known.key.replace(' ', "_") != known.name && !own(known.name);
    let mut table = "\n| field | also written as |\n|---|---|\n".to_owned();
    let mut names: Vec<&str> = Vec::new();
    for known in DICTIONARY.iter().filter(alias) {
        if !names.contains(&known.name) {
            names.push(known.name);
        }
    }
    for name in names {
        let keys: Vec<String> =
            DICTIONARY.iter().filter(alias).filter(|known| known.name == name).map(|known| code(known.key)).collect();
        writeln!(table, "| {} | {} |", code(&format!("kata_{name}")), keys.join(", ")).unwrap();
    }
    table
}

/// Returns the table of components: the description in the source, and the marks that identify each.
fn components() -> String {
    let mut table = "\n| component | who | identifier | `name` | `source` |\n|---|---|---|---|---|\n".to_owned();
    let documented = documented("crates/kata-records/src/component.rs", "components! {");
    for component in Component::ALL {
        let who = &documented.iter().find(|(name, _)| name == component.name()).unwrap().1;
        let of = |rows: &[(&str, Component)]| {
            rows.iter().filter(|row| row.1 == *component).map(|row| code(row.0)).collect::<Vec<_>>().join(", ")
        };
        let both = matches!(component, Component::Shimv2 | Component::RuntimeRs);
        let identifiers = IDENTIFIERS.iter().filter(|row| row.1.map_or(both, |known| known == *component));
        let identifiers: Vec<String> = identifiers.map(|row| code(row.0)).collect();
        let (names, sources) = (of(NAMES), of(SOURCES));
        writeln!(table, "| {} | {who} | {} | {names} | {sources} |", code(component.name()), identifiers.join(", "))
            .unwrap();
    }
    table
}

/// Returns the table of flaws, with their descriptions in the source.
fn flaws() -> String {
    let documented = documented("crates/kata-records/src/flaw.rs", "flaws! {");
    let mut table = "\n| flaw | meaning |\n|---|---|\n".to_owned();
    for flaw in Flaw::ALL {
        let meaning = &documented.iter().find(|(name, _)| name == flaw.name()).unwrap().1;
        writeln!(table, "| {} | {meaning} |", code(flaw.name())).unwrap();
    }
    table
}

/// Returns the default list of `drop`.
fn dropped() -> String {
    let table: toml::Table = katalog::config::DEFAULT.parse().unwrap();
    let names = table["drop"].as_array().unwrap().iter();
    names.map(|name| code(name.as_str().unwrap())).collect::<Vec<_>>().join(", ")
}

/// Returns the entries of a list in a source file, each with its documentation: `/// text` and then `Name = "name",`.
fn documented(file: &str, start: &str) -> Vec<(String, String)> {
    let source = read(file);
    let mut documented = Vec::new();
    let mut text = String::new();
    for line in source.lines().skip_while(|line| *line != start).skip(1).take_while(|line| *line != "}") {
        let line = line.trim();
        if let Some(part) = line.strip_prefix("/// ") {
            text = format!("{text} {part}").trim_start().to_owned();
        } else if let Some((_, name)) = line.split_once(" = \"") {
            let name = name.trim_end_matches("\",").to_owned();
            documented.push((name, std::mem::take(&mut text).trim_end_matches('.').to_owned()));
        }
    }
    documented
}

/// Returns text as code in a Markdown table.
fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}
