//! The claims of the documents: examples are run, command lines are checked, tables are compared with the program's
//! own.
//!
//! `make update` rewrites tables and the output of examples; review the difference before you commit it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kata_records::Reference;
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
const DOCUMENTS: [&str; 12] = [
    "README.md",
    "docs/check.md",
    "docs/explain.md",
    "docs/filters.md",
    "docs/options.md",
    "docs/trust.md",
    "docs/view.md",
    "fluentd/README.md",
    "kubernetes/README.md",
    "observability/README.md",
    "recipes/README.md",
    "systemd/README.md",
];

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
            ("exits", exits()),
            ("origins", origins()),
            ("ways", ways()),
            ("options", katalog::cli::reference()),
            ("patterns", patterns()),
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
        "{name}, line {}, says\n\n{}\n\nbut the program says\n\n{}\n\n`make update` rewrites it",
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

/// Passes each invocation in a line of shell to `katalog config --check`. Returns the number of invocations.
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
        match arguments.first().and_then(|first| katalog::config::Command::of_name(first)) {
            Some(known) if known.has_options() && known.name() != "config" => command.args(["config", "--check"]),
            // These only print, so they can be run.
            Some(_) => &mut command,
            None => command.args(["config", "--check", "print"]),
        };
        // The configuration file is the reader's own.
        let is_config = |at: usize| arguments.get(at) == Some(&"--config");
        let is_value = |at: usize| at.checked_sub(1).is_some_and(is_config);
        let own = (0..arguments.len()).filter(|at| !is_config(*at) && !is_value(*at));
        let output = command.args(own.map(|at| arguments[at])).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        // Certificates and keys are the reader's own too.
        let is_missing_file = message.contains("it has to be a PEM file that this user may read");
        // Standard input is the reader's own too, and empty here.
        let has_no_input = arguments == ["explain", "-"] && output.status.code() == Some(1);
        assert!(output.status.success() || is_missing_file || has_no_input, "{place}: {line}\n{message}");
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
fn every_command_and_flag_is_documented() {
    let readme = read("README.md");
    let documents = readme.clone() + &read("docs/options.md");
    for command in katalog::config::Command::ALL {
        let name = command.name();
        assert!(readme.contains(&format!("`katalog {name}`")), "{name} is not in README.md");
        let help = katalog().args([name, "--help"]).output().unwrap().stdout;
        let help = String::from_utf8(help).unwrap();
        let flags = help.lines().filter_map(|line| {
            let (before, flag) = line.trim_start().split_once("--")?;
            let flag = flag.split(|c: char| !c.is_ascii_lowercase() && c != '-').next()?;
            (before.is_empty() || before.starts_with('-') && before.len() == 4).then_some(flag)
        });
        let flags: Vec<&str> = flags.collect();
        assert!(flags.contains(&"help"), "{name}: {flags:?}");
        for flag in flags {
            assert!(documents.contains(&format!("--{flag}")), "{name} --{flag} is not in README.md or docs/options.md");
        }
    }
}

#[test]
fn every_variable_of_the_documents_exists() {
    for name in DOCUMENTS {
        let text = read(name);
        let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
        for variable in words.filter(|word| word.starts_with("KATALOG_")) {
            let set = std::iter::once((OsString::from(variable), OsString::from("x")));
            let (_, warnings) = katalog::config::read_environment(katalog::config::Command::Config, set);
            assert!(warnings.is_empty(), "{name}: {warnings:?}");
        }
    }
}

#[test]
fn the_readme_names_what_the_program_has() {
    let text = read("README.md");
    for region in ["keys", "aliases", "components", "flaws", "drop", "schemas", "exits"] {
        assert!(text.contains(&format!("<!-- {region} -->")), "README.md has no table of {region}");
    }
    for name in Reference::levels() {
        assert!(text.contains(&format!("`{name}`")), "level {name}");
    }
    for format in Reference::payload_formats() {
        assert!(text.contains(&format!("`{format}`")), "format {format}");
    }
    let package: toml::Table = read("Cargo.toml").parse().unwrap();
    let version = package["workspace"]["package"]["rust-version"].as_str().unwrap();
    assert!(text.matches(&format!("Rust {version}")).count() >= 2, "rust-version is {version}");
}

#[test]
fn what_the_documents_point_to_exists() {
    for (name, folder) in [
        ("README.md", ""),
        ("docs/check.md", "docs"),
        ("docs/options.md", "docs"),
        ("docs/explain.md", "docs"),
        ("docs/trust.md", "docs"),
        ("docs/view.md", "docs"),
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

/// Returns the table of known failures.
fn patterns() -> String {
    let explainer = katalog::explain::Explainer::new().unwrap();
    katalog::explain::reference(explainer.patterns())
}

/// Returns the table of types.
fn keys() -> String {
    let mut table = "\n| type | fields |\n|---|---|\n".to_owned();
    for (kind, meaning) in [
        ("time", "time, see above; a second one is kept in `kata_time_text`"),
        ("level", "level, see above; what is none is kept in `kata_level_text`"),
        ("count", "integer from 0"),
        ("int", "integer"),
        ("bool", "boolean"),
        (
            "duration",
            "string as Go writes it, such as `1m2.5s`, and integer nanoseconds under the name with `_ns` behind",
        ),
    ] {
        let mut names: Vec<&str> = Vec::new();
        for [_, name, _] in Reference::keys().filter(|[_, _, known]| *known == kind) {
            if !names.contains(&name) {
                names.push(name);
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
    for [from, ecs, otel, kind] in Reference::schemas() {
        let from = if from.starts_with("made of ") { from } else { code(&from) };
        let [ecs, otel] = [ecs, otel].map(|name| if name.is_empty() { name } else { code(&name) });
        writeln!(table, "| {from} | {ecs} | {otel} | {kind} |").unwrap();
    }
    table
}

/// Returns the table of keys that have another name.
fn aliases() -> String {
    // A name that only replaces characters not allowed in names is no alias.
    let aliases = || {
        Reference::keys()
            .filter(|[key, name, _]| key != name && key.replace(' ', "_") != *name && !name.starts_with("fields_"))
    };
    let mut table = "\n| field | also written as |\n|---|---|\n".to_owned();
    let mut names: Vec<&str> = Vec::new();
    for [_, name, _] in aliases() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let keys: Vec<String> = aliases().filter(|[_, known, _]| *known == name).map(|[key, ..]| code(key)).collect();
        writeln!(table, "| {} | {} |", code(&format!("kata_{name}")), keys.join(", ")).unwrap();
    }
    table
}

/// Returns the table of components: the meaning of each, and the marks that identify it.
fn components() -> String {
    let mut table = "\n| component | who | identifier | `name` | `source` |\n|---|---|---|---|---|\n".to_owned();
    for [component, who, identifiers, names, sources] in Reference::components() {
        let [identifiers, names, sources] = [identifiers, names, sources].map(|marks| {
            let marks = marks.split(", ").filter(|mark| !mark.is_empty());
            marks.map(code).collect::<Vec<_>>().join(", ")
        });
        writeln!(table, "| {} | {who} | {identifiers} | {names} | {sources} |", code(&component)).unwrap();
    }
    table
}

/// Returns the table of flaws.
fn flaws() -> String {
    let mut table = "\n| flaw | severity | meaning |\n|---|---|---|\n".to_owned();
    for [flaw, severity, meaning] in Reference::flaws() {
        writeln!(table, "| {} | {severity} | {meaning} |", code(flaw)).unwrap();
    }
    table
}

/// Returns the table of origins.
fn origins() -> String {
    let mut table = "\n| `kata_origin` | meaning |\n|---|---|\n".to_owned();
    for [origin, meaning] in Reference::origins() {
        writeln!(table, "| {} | {meaning} |", code(origin)).unwrap();
    }
    table
}

/// Returns the table of the ways of entries to katalog.
fn ways() -> String {
    let mut table = "\n| route | who can write its bytes | what it proves |\n|---|---|---|\n".to_owned();
    for [route, writers, proof] in Reference::ways() {
        writeln!(table, "| {route} | {writers} | {proof} |").unwrap();
    }
    table
}

/// Returns the table of exit codes. Flags are plain in the help and code here.
fn exits() -> String {
    let mut table = "\n| exit | meaning |\n|---|---|\n".to_owned();
    for exit in Exit::ALL {
        let words = exit.meaning().split(' ').map(|word| match word.strip_suffix(',') {
            Some(flag) if flag.starts_with("--") => code(flag) + ",",
            None if word.starts_with("--") => code(word),
            _ => word.to_owned(),
        });
        writeln!(table, "| {} | {} |", exit.code(), words.collect::<Vec<_>>().join(" ")).unwrap();
    }
    table
}

/// Returns the default list of `drop`.
fn dropped() -> String {
    let table: toml::Table = katalog::config::DEFAULT.parse().unwrap();
    let names = table["drop"].as_array().unwrap().iter();
    names.map(|name| code(name.as_str().unwrap())).collect::<Vec<_>>().join(", ")
}

/// Returns text as code in a Markdown table.
fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}
