//! Reads the environment variables of options.

use std::ffi::{OsStr, OsString};

use super::command::Command;
use super::layers::Values;
use super::words::closest;

/// Variables that are not options: the configuration file, and secrets, which have no flag.
const OTHERS: [&str; 3] = ["KATALOG_CONFIG", super::delivery::SHARED_KEY, super::delivery::PASSWORD];

/// Returns the values of the variables, each list split at commas, and a warning for each unknown variable. An empty
/// variable counts as not set, so that a unit file or a container can unset an inherited one. Variables of other commands
/// are ignored.
#[must_use]
pub fn read(command: Command, variables: impl Iterator<Item = (OsString, OsString)>) -> (Values, Vec<String>) {
    let (mut values, mut warnings) = (Values::new(), Vec::new());
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with("KATALOG_")) else { continue };
        if value.is_empty() || OTHERS.contains(&name) {
            continue;
        }
        match super::all().find(|option| option.declaration().variable() == name) {
            Some(option) => {
                let declaration = option.declaration();
                if command == Command::Config || declaration.commands.contains(&command) {
                    values.insert(declaration.name, declaration.split(&value));
                }
            }
            None if !is_of_kubernetes(name) => warnings.push(warning(name)),
            None => {}
        }
    }
    warnings.sort();
    (values, warnings)
}

/// Returns whether Kubernetes sets the variable for a Service whose name begins with `katalog`
/// (kubernetes: `pkg/kubelet/envvars/envvars.go`).
fn is_of_kubernetes(name: &str) -> bool {
    let ends = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];
    ends.iter().any(|end| name.ends_with(end)) || name.contains("_SERVICE_PORT_") || name.contains("_PORT_")
}

fn warning(name: &str) -> String {
    // Without the prefix, which makes all variables similar.
    let own = name.trim_start_matches("KATALOG_");
    let known = closest(own, super::all().map(|option| option.declaration().name)).and_then(super::named);
    let name = name.escape_debug();
    match known.map(|option| option.declaration().variable()) {
        Some(known) => format!("{name}: there is no such variable, so it is ignored; did you mean {known}?"),
        None => format!("{name}: there is no such variable, so it is ignored"),
    }
}

/// Returns a variable that is set and not empty.
#[must_use]
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value: &OsString| value != OsStr::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(command: Command, variables: &[(&str, &str)]) -> (Values, Vec<String>) {
        read(command, variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
    }

    #[test]
    fn lists_are_split_and_empty_variables_ignored() {
        let (values, warnings) = read_all(
            Command::Print,
            &[("KATALOG_DROP", "A,B"), ("KATALOG_IDENTIFIER", "a,b|c"), ("KATALOG_TAG_KEY", "")],
        );
        assert_eq!(values["drop"], ["A", "B"]);
        assert_eq!(values["identifier"], ["a,b|c"]);
        assert!(!values.contains_key("tag-key") && warnings.is_empty());
    }

    #[test]
    fn only_misspelled_variables_are_reported() {
        let kubernetes =
            ["KATALOG_PORT", "KATALOG_SERVICE_HOST", "KATALOG_UI_PORT_80_TCP_ADDR", "KATALOG_X_SERVICE_PORT_H"];
        let others = ["KATALOG_CONFIG", "KATALOG_PASSWORD", "KATALOG_TO", "PATH"];
        for name in kubernetes.iter().chain(&others) {
            let (values, warnings) = read_all(Command::Print, &[(name, "x")]);
            assert!(values.is_empty() && warnings.is_empty(), "{name}: {warnings:?}");
        }
        let (_, warnings) = read_all(Command::Print, &[("KATALOG_FROMAT", "text")]);
        assert!(warnings[0].contains("KATALOG_FROMAT") && warnings[0].ends_with("did you mean KATALOG_FORMAT?"));
        let (_, warnings) = read_all(Command::Print, &[("KATALOG_ZEBRA", "error")]);
        assert!(warnings[0].ends_with("ignored"), "the prefix alone makes no suggestion: {warnings:?}");
    }
}
