//! Rules of the source tree that keep its documents true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the Rust files below these folders, as paths from the root, with their text.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut sources = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Build output is not source.
                if !path.ends_with("target") {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                sources.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources.sort();
    assert!(sources.len() > 3, "{folders:?} have no sources");
    sources
}

/// Iterates over the lines that are not comments, counted from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The source folders of the packages.
const PACKAGES: &[&str] = &["src", "crates/journal-file/src", "crates/kata-records/src", "crates/log-clients/src"];

/// Returns the modules of a package in the order of its lib.rs, which is the direction of imports.
fn modules(package: &str) -> Vec<String> {
    let lib = read(&format!("{package}/lib.rs"));
    let modules: Vec<String> = code(&lib)
        .filter_map(|(_, line)| line.strip_prefix("pub mod ").or(line.strip_prefix("mod "))?.strip_suffix(';'))
        .map(str::to_owned)
        .collect();
    assert!(modules.len() > 5, "{modules:?}");
    modules
}

/// The modules of packages that are public. Each holds the few types of one subject.
const PUBLIC_MODULES: &[(&str, &str)] = &[
    ("crates/journal-file/src", "text"),
    ("crates/journal-file/src", "large_field"),
    ("crates/kata-records/src", "flaw"),
    ("crates/kata-records/src", "origin"),
    ("crates/kata-records/src", "visible"),
    ("crates/kata-records/src", "findings"),
    ("crates/kata-records/src", "filter"),
];

/// Crates for other programs stay small: they export few items, at the root or in such a module, and all of them
/// documented.
#[test]
fn a_crate_exports_at_most_thirty_items() {
    let exports = Regex::new(r"(?m)^pub use [\w:]+?::(?:\{([^}]*)\}|\w+);").unwrap();
    for package in PACKAGES.iter().filter(|package| package.starts_with("crates/")) {
        let lib = read(&format!("{package}/lib.rs"));
        let listed = exports.captures_iter(&lib);
        let items: usize = listed
            .map(|list| list.get(1).map_or(1, |list| list.as_str().trim_matches([' ', ',']).matches(',').count() + 1))
            .sum();
        assert!((10..=30).contains(&items), "{package} exports {items} items");
        assert!(!lib.contains("doc(hidden)"), "{package} has items that are public but hidden");
        let public = code(&lib).filter_map(|(_, line)| line.strip_prefix("pub mod ")?.strip_suffix(';'));
        let public: Vec<(&str, &str)> = public.map(|module| (*package, module)).collect();
        let listed = PUBLIC_MODULES.iter().filter(|(of, _)| of == package);
        assert!(listed.eq(&public), "{package} has other public modules: {public:?}");
        for (_, module) in public {
            let text = read(&format!("{package}/{module}.rs"));
            let items = code(&text).filter(|(_, line)| line.starts_with("pub ")).count();
            assert!((1..=7).contains(&items), "{package}::{module} exports {items} items");
        }
        let is_import = |line: &str| line.starts_with("pub use ") || line.starts_with("pub mod ");
        let lines = code(&lib).filter(|(_, line)| line.starts_with("pub ") && !is_import(line));
        assert_eq!(lines.count(), 0, "{package} declares public items in lib.rs");
    }
}

#[test]
fn a_module_imports_only_what_stands_above_it() {
    PACKAGES.iter().for_each(|package| imports_go_upwards(package));
}

fn imports_go_upwards(package: &str) {
    let modules = modules(package);
    let place = |name: &str| modules.iter().position(|module| module == name);
    let path = Regex::new(r"\bcrate::(\w+|\{[^;]*\})").unwrap();
    let word = Regex::new(r"^\s*(\w+)").unwrap();
    let mut against = BTreeSet::new();
    let mut seen = 0;
    for (file, text) in sources(&[package]) {
        let Some(module) = file.get(package.len() + 1..).and_then(|rest| rest.split(['/', '.']).next()) else {
            continue;
        };
        let Some(own) = place(module) else { continue };
        let text: String = code(&text).flat_map(|(_, line)| [line, "\n"]).collect();
        for found in path.captures_iter(&text) {
            let names = found[1].trim_matches(['{', '}']).split(',');
            for name in names.filter_map(|name| Some(word.captures(name)?.get(1)?.as_str())) {
                let Some(other) = place(name) else { continue };
                seen += 1;
                if other > own {
                    against.insert((module.to_owned(), name.to_owned()));
                }
            }
        }
    }
    assert!(seen > 20, "imports are not recognized");
    assert!(against.is_empty(), "imports of a module that stands below in {package}/lib.rs: {against:?}");
}

#[test]
fn no_unsafe_code() {
    let word = Regex::new(r"\bunsafe\b").unwrap();
    for (file, text) in sources(&["src", "crates", "fixtures/generate"]) {
        for (number, line) in code(&text) {
            assert!(!word.is_match(line), "{file}:{number}: {line}");
        }
    }
    assert!(read("Cargo.toml").contains("\nunsafe_code = \"forbid\""), "the compiler has to refuse it");
}

#[test]
fn every_file_says_what_it_is_for() {
    for (file, text) in sources(&["src", "crates", "fixtures/generate", "tests"]) {
        // Unit tests are about the module that they belong to.
        let unit_tests = file.contains("src/") && file.ends_with("/tests.rs");
        assert!(unit_tests || text.starts_with("//! "), "{file} does not start with a //! line");
    }
}

#[test]
fn every_file_belongs_to_a_module() {
    PACKAGES.iter().for_each(|package| files_belong_to_modules(package));
}

fn files_belong_to_modules(package: &str) {
    let sources = sources(&[package]);
    for (file, _) in &sources {
        let path = file.strip_suffix("/mod.rs").or(file.strip_suffix(".rs")).unwrap();
        let Some((folder, name)) =
            path.rsplit_once('/').filter(|(folder, name)| *folder != package || !["lib", "main"].contains(name))
        else {
            continue;
        };
        let parents = match folder {
            _ if folder == package => [format!("{package}/lib.rs"), String::new()],
            _ => [format!("{folder}.rs"), format!("{folder}/mod.rs")],
        };
        let named = Regex::new(&format!(r#"(?m)^\s*(pub |pub\(.*\) )?mod {name};"#)).unwrap();
        let elsewhere = Regex::new(&format!(r#"#\[path = ".*\b{name}\.rs"\]"#)).unwrap();
        let mut texts = sources.iter();
        let found =
            texts.any(|(parent, text)| parents.contains(parent) && named.is_match(text) || elsewhere.is_match(text));
        assert!(found, "{file} is no module of the library");
    }
}

#[test]
fn files_stay_short() {
    for (file, text) in sources(&["src", "crates"]) {
        let lines = text.lines().count();
        assert!(lines < 600, "{file} has {lines} lines");
    }
}

#[test]
fn nothing_is_left_for_later() {
    // Joined here, so that this file does not contain the marks.
    let marks = [["TO", "DO"], ["FIX", "ME"], ["to", "do!("], ["dbg", "!("], ["#[ig", "nore"], ["unimplemen", "ted!("]];
    for (file, text) in sources(&["src", "crates", "fixtures/generate", "tests"]) {
        for mark in marks.map(|parts| parts.concat()) {
            assert!(!text.contains(&mark), "{file} has {mark}");
        }
    }
}

/// Returns the first line of each doc comment, with its line number.
fn doc_comments(text: &str) -> Vec<(usize, &str)> {
    let mut comments = Vec::new();
    let mut inside = None;
    for (at, line) in text.lines().enumerate() {
        let found = ["///", "//!"].into_iter().find_map(|mark| Some((mark, line.trim_start().strip_prefix(mark)?)));
        if let Some((mark, text)) = found
            && inside != Some(mark)
        {
            comments.push((at + 1, text.trim_start()));
        }
        inside = found.map(|(mark, _)| mark);
    }
    comments
}

#[test]
fn doc_comments_begin_with_a_verb_or_a_noun() {
    let clause = Regex::new(r"^(What|Whether|How|Where|Which|That|All that|The same)\b").unwrap();
    let mut all = 0;
    let mut found = Vec::new();
    for (file, text) in sources(&["src", "crates", "fixtures/generate", "tests"]) {
        for (number, line) in doc_comments(&text) {
            all += 1;
            if clause.is_match(line) {
                found.push(format!("{file}:{number}: {line}"));
            }
        }
    }
    assert!(all > 3000, "only {all} doc comments are recognized");
    let (count, first) = (found.len(), found.iter().take(30).map(String::as_str).collect::<Vec<_>>().join("\n"));
    assert!(count * 50 < all, "{count} of {all} doc comments (2 % or more) begin with a clause:\n{first}");
}

#[test]
fn every_dependency_has_its_reason() {
    for manifest in [
        "Cargo.toml",
        "crates/journal-file/Cargo.toml",
        "crates/kata-records/Cargo.toml",
        "crates/log-clients/Cargo.toml",
        "tests/bench/journal-readers/Cargo.toml",
        "tests/fuzz/Cargo.toml",
    ] {
        let mut dependencies = 0;
        let mut inside = false;
        for line in read(manifest).lines() {
            if line.starts_with('[') {
                inside = line.contains("dependencies");
            } else if inside && line.contains(" = ") && !line.ends_with(".workspace = true") {
                dependencies += 1;
                let reason = line.split_once(" # ").map_or("", |(_, reason)| reason.trim());
                assert!(!reason.is_empty(), "{manifest}: no reason beside `{line}`");
            }
        }
        assert!(dependencies > 2, "{manifest} has {dependencies} dependencies");
    }
}

#[test]
fn the_readme_names_what_exists() {
    let readme = read("README.md");
    let version = env!("CARGO_PKG_RUST_VERSION");
    assert!(readme.contains(&format!("Rust {version}")), "README.md does not say that it takes Rust {version}");

    let makefile = read("Makefile");
    let goals = Regex::new(r"(?m)(?:^|`|\$ )make ([a-z]+)").unwrap();
    let mut named: BTreeSet<&str> = goals.captures_iter(&readme).map(|goal| goal.get(1).unwrap().as_str()).collect();
    assert!(named.contains("test"), "README.md does not say how to run the tests");
    named.extend(makefile.lines().find_map(|line| line.strip_prefix(".PHONY: ")).unwrap().split(' '));
    for goal in named {
        assert!(makefile.contains(&format!("\n{goal}:")), "the Makefile has no goal {goal}");
    }

    let paths =
        Regex::new(r"(?m)(?:^|[`(])((?:src|tests|fixtures|fluentd|systemd|observability|\.ci)/[\w./-]*)").unwrap();
    for path in paths.captures_iter(&readme) {
        assert!(root().join(&path[1]).exists(), "README.md names {}, which does not exist", &path[1]);
    }
}

#[test]
fn each_goal_of_the_makefile_has_a_line_of_help() {
    let makefile = read("Makefile");
    let lines: Vec<&str> = makefile.lines().collect();
    for pair in lines.windows(2) {
        if let Some((goal, _)) = pair[1].split_once(':')
            && goal.chars().all(|letter| letter.is_ascii_lowercase())
        {
            assert!(pair[0].starts_with("# "), "the goal {goal} has no comment above it");
        }
    }
}

/// Nothing from a registry may run in CI unless its hash is known, and no crate may come with a license or from a place
/// that nobody decided on.
#[test]
fn ci_runs_only_what_is_known() {
    let run = read(".ci/run");
    for (number, line) in run.lines().enumerate() {
        let installs = line.contains("/pip install");
        assert!(!installs || line.contains("--require-hashes"), ".ci/run:{}: {line}", number + 1);
    }
    assert!(run.contains("pip install") && run.contains("check --hide-inclusion-graph bans licenses sources"));
    let pinned = Regex::new(r"^[A-Za-z0-9_.-]+==[\w.]+( ; [^\\]+)? \\$").unwrap();
    let hash = Regex::new(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$").unwrap();
    for list in [".ci/requirements.txt", "tests/support/requirements.txt"] {
        let text = read(list);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(pinned.is_match(lines[0]), "{list}: {}", lines[0]);
        for pair in lines.windows(2) {
            let is_last = hash.is_match(pair[0]) && !pair[0].ends_with('\\');
            let next = if is_last { &pinned } else { &hash };
            assert!(next.is_match(pair[1]), "{list}: {}", pair[1]);
        }
        assert!(lines.last().is_some_and(|line| hash.is_match(line) && !line.ends_with('\\')), "{list} ends early");
    }
}
