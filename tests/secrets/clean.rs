//! Texts without secrets stay as they are.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::support::pipeline::{Cuts, Setup};

/// The cases with text that is hidden although it is no secret, each with the reason.
const HIDDEN: &[(&str, &str)] = &[
    ("journal-export-long-length", "the text of an entry is lost, so nobody knows how it ends"),
    ("kata-edited", "somebody wrote a secret into a record"),
];

#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    flags: Vec<String>,
}

/// Returns the inputs of the fixtures: name, flags and content.
fn inputs() -> Vec<(String, Vec<String>, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut inputs = Vec::new();
    let files = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    for path in files(&root.join("inputs")) {
        inputs.push((path.file_name().unwrap().to_str().unwrap().to_owned(), Vec::new(), fs::read(path).unwrap()));
    }
    for folder in files(&root.join("cases")) {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let case: Case = toml::from_str(&fs::read_to_string(folder.join("case.toml")).unwrap()).unwrap();
        // These cases show secrets that are hidden.
        if name.starts_with("redact-") {
            continue;
        }
        for path in files(&folder) {
            if path.file_name().unwrap().to_str().unwrap().starts_with("input") {
                inputs.push((name.clone(), case.flags.clone(), fs::read(path).unwrap()));
            }
        }
    }
    inputs.sort();
    assert!(inputs.len() > 180, "{} inputs", inputs.len());
    inputs
}

#[test]
fn texts_without_secrets_stay() {
    let mut differing = Vec::new();
    for (name, flags, content) in inputs() {
        let run = |more: &[&str]| {
            let mut flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
            if !flags.iter().any(|flag| flag.starts_with("--others")) {
                flags.push("--others=pass");
            }
            Setup::new(&flags).run(&content, &Cuts::whole()).bytes
        };
        let (redacted, shown) = (run(&[]), run(&["--no-redact"]));
        let lines = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
        let (redacted, shown) = (lines(&redacted), lines(&shown));
        assert_eq!(redacted.len(), shown.len(), "{name}");
        for (redacted, shown) in redacted.iter().zip(&shown).filter(|(redacted, shown)| redacted != shown) {
            differing.push((
                name.clone(),
                String::from_utf8_lossy(redacted).into_owned(),
                String::from_utf8_lossy(shown).into_owned(),
            ));
        }
    }
    differing.retain(|(name, ..)| !HIDDEN.iter().any(|(known, _)| known == name));
    let report: Vec<String> =
        differing.iter().map(|(name, redacted, shown)| format!("{name}\n- {shown}\n+ {redacted}")).collect();
    assert!(report.is_empty(), "{} records differ:\n{}", report.len(), report.join("\n"));
}
