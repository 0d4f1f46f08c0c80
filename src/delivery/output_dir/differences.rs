//! Compares an earlier conversion with the one that is asked for. The differences are named, so that the user sees
//! what to change.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::VERSION_KEY;
use super::input_record::{self, InputRecord};
use super::state::OutputFile;
use crate::source::{FileIdentity, Group};

/// The maximum length of values in messages, in characters.
const MAX_SHOWN_VALUE: usize = 60;

/// The number of equal characters that stay in front of a difference in a long value.
const CONTEXT: usize = 20;

/// The maximum number of names in a list of a message.
const MAX_SHOWN_NAMES: usize = 5;

/// The phase of the earlier conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Inputs without identity are unread, or will be read again.
    Interrupted,
    /// Every input must be the one that was read.
    Finished,
}

/// Names each option that differs, with both values. Returns `None` if all are equal.
pub(super) fn options(was: &BTreeMap<String, String>, is: &BTreeMap<String, String>) -> Option<String> {
    let mut keys: Vec<&String> = was.keys().chain(is.keys()).filter(|key| *key != VERSION_KEY).collect();
    keys.sort_unstable();
    keys.dedup();
    let values = |key: &String| [was, is].map(|all| all.get(key).map_or("", String::as_str));
    let differing = keys.into_iter().map(|key| (key, values(key))).filter(|(_, [was, is])| was != is);
    let named: Vec<String> = differing.map(|(key, [was, is])| option(key, was, is)).collect();
    (!named.is_empty()).then(|| format!("the options differ: {}", named.join(", ")))
}

/// Returns an option as the user types it, with its earlier value.
fn option(key: &str, was: &str, is: &str) -> String {
    // A relative time, such as `2h`, is another time in each run.
    let is_moment = matches!(key, "since" | "until") && !was.is_empty() && !is.is_empty();
    let hint = if is_moment { "; give a fixed time" } else { "" };
    let equal = was.chars().zip(is.chars()).take_while(|(was, is)| was == is).count();
    let is = match is {
        "" | "false" => format!("no --{key}"),
        "true" => format!("--{key}"),
        _ => format!("--{key} {}", shown(is, equal)),
    };
    let was = match was {
        "" | "false" => "not set".to_owned(),
        "true" => "set".to_owned(),
        _ => shown(was, equal),
    };
    format!("{is} (was {was}{hint})")
}

/// Names both versions of katalog if they differ.
pub(super) fn version(was: &BTreeMap<String, String>, is: &BTreeMap<String, String>) -> Option<String> {
    let [was, is] = [was, is].map(|settings| settings.get(VERSION_KEY).map_or("of unknown version", String::as_str));
    (was != is).then(|| format!("katalog {was} began it, and this is katalog {is}"))
}

/// Returns a value for a message. Of a long value only the part around the first difference is shown.
fn shown(value: &str, equal: usize) -> String {
    let count = value.chars().count();
    if count <= MAX_SHOWN_VALUE {
        return value.to_owned();
    }
    let start = equal.saturating_sub(CONTEXT).min(count - MAX_SHOWN_VALUE);
    let part: String = value.chars().skip(start).take(MAX_SHOWN_VALUE).collect();
    let [before, after] = [start > 0, start + MAX_SHOWN_VALUE < count].map(|cut| if cut { "…" } else { "" });
    format!("{before}{part}{after}")
}

/// Names the inputs, or the files of inputs, that differ. Returns `None` if all are equal.
pub(super) fn inputs(was: &[InputRecord], groups: &[Group], output: &Path, phase: Phase) -> Option<String> {
    let known: HashMap<&str, &InputRecord> = was.iter().map(|record| (record.name.as_str(), record)).collect();
    let mut then = Found::default();
    for record in was {
        match &record.files {
            Some(files) => then.add_files(files.clone()),
            None => then.add_name(record.name.clone()),
        }
    }
    let mut now = Found::default();
    let [mut readable, mut incomparable] = [Vec::new(), Vec::new()];
    for group in groups {
        let name = group.label();
        match known.get(name.as_str()) {
            Some(InputRecord { files: Some(_), .. }) => {
                now.add_files(input_record::identity(group, output).unwrap_or_default());
            }
            Some(InputRecord { failure, .. }) => {
                if phase == Phase::Finished && failure.is_none() {
                    incomparable.push(name.clone());
                } else if phase == Phase::Finished && input_record::identity(group, output).is_some() {
                    readable.push(name.clone());
                }
                now.add_name(name);
            }
            // A file may have belonged to another input before, such as a machine.
            None if group.files().is_empty() => now.add_name(name),
            None => group.files().iter().for_each(|path| now.add_path(path)),
        }
    }
    let [new, missing, changed] = then.compared_with(&now);
    let lists = [
        ("new", new),
        ("missing", missing),
        ("changed", changed),
        ("unreadable then and readable now", readable),
        ("impossible to compare, because it is no file", incomparable),
    ];
    named("the inputs differ", &lists).or_else(|| order(was, groups))
}

/// Names the first input that stands in another place.
fn order(was: &[InputRecord], groups: &[Group]) -> Option<String> {
    let is: Vec<String> = groups.iter().map(Group::label).collect();
    let was: Vec<&str> = was.iter().map(|record| record.name.as_str()).collect();
    let at = is.iter().zip(&was).take_while(|(is, was)| is == *was).count();
    let name = |name: Option<&str>| name.map_or("none".to_owned(), |name| format!("{name:?}"));
    let [was, is] = [name(was.get(at).copied()), name(is.get(at).map(String::as_str))];
    (was != is).then(|| format!("the inputs differ: they come in another order, input {} was {was}, is {is}", at + 1))
}

/// Names the files of a finished conversion that are no longer as they were written. Returns `None` if all are.
pub(super) fn files(directory: &Path, files: &[OutputFile]) -> Option<String> {
    let [mut missing, mut changed] = [Vec::new(), Vec::new()];
    for OutputFile { path, length } in files {
        match directory.join(path).metadata() {
            Ok(found) if found.is_file() && found.len() == *length => {}
            Ok(_) => changed.push(path.clone()),
            Err(_) => missing.push(path.clone()),
        }
    }
    named("its files are not as they were written", &[("missing", missing), ("changed", changed)])
}

/// Returns names for a message: the first ones, and the number of the others.
pub(super) fn list(names: &[String]) -> String {
    let mut text = names.iter().take(MAX_SHOWN_NAMES).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    if let Some(more) = names.len().checked_sub(MAX_SHOWN_NAMES).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// Returns a description of lists that are not empty.
fn named(what: &str, lists: &[(&str, Vec<String>)]) -> Option<String> {
    let lists = lists.iter().filter(|(_, names)| !names.is_empty());
    let text: Vec<String> = lists.map(|(kind, names)| format!("{kind}: {}", list(names))).collect();
    (!text.is_empty()).then(|| format!("{what}: {}", text.join("; ")))
}

/// Files and other inputs by name, with the identity of each file.
#[derive(Debug, Default)]
struct Found(BTreeMap<String, Option<FileIdentity>>);

impl Found {
    fn add_files(&mut self, files: Vec<FileIdentity>) {
        self.0.extend(files.into_iter().map(|file| (file.path.clone(), Some(file))));
    }

    fn add_name(&mut self, name: String) {
        self.0.insert(name, None);
    }

    fn add_path(&mut self, path: &Path) {
        let file = Group::Files(vec![path.to_owned()]);
        match file.identity() {
            Some(files) => self.add_files(files),
            None => self.add_name(file.label()),
        }
    }

    /// Returns the names that are new, missing and changed in `now`.
    fn compared_with(&self, now: &Found) -> [Vec<String>; 3] {
        let [mut new, mut missing, mut changed] = [Vec::new(), Vec::new(), Vec::new()];
        for (name, was) in &self.0 {
            match now.0.get(name) {
                Some(is) if is == was => {}
                Some(Some(_)) => changed.push(name.clone()),
                Some(None) | None => missing.push(name.clone()),
            }
        }
        new.extend(now.0.keys().filter(|name| !self.0.contains_key(*name)).cloned());
        [new, missing, changed]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_where_they_differ() {
        let of = |value: &str| BTreeMap::from([("identifier".to_owned(), value.to_owned())]);
        let both = |was: &str, is: &str| options(&of(was), &of(is));
        assert_eq!(both("a", "a"), None);
        for (was, is, shown) in [
            ("a", "b", "--identifier b (was a)"),
            ("a", "", "no --identifier (was a)"),
            ("", "a b", "--identifier a b (was not set)"),
            ("true", "false", "no --identifier (was set)"),
            ("false", "true", "--identifier (was not set)"),
        ] {
            assert_eq!(both(was, is).unwrap(), format!("the options differ: {shown}"));
        }
        let text = "the options differ: --format csv (was not set), --identifier a (was not set)";
        let several =
            BTreeMap::from([("format".to_owned(), "csv".to_owned()), ("identifier".to_owned(), "a".to_owned())]);
        assert_eq!(options(&BTreeMap::new(), &several).unwrap(), text);
        let long = "ü".repeat(500);
        let text = both(&format!("{long}1{long}"), &format!("{long}2{long}")).unwrap();
        let (before, after) = ("ü".repeat(CONTEXT), "ü".repeat(MAX_SHOWN_VALUE - CONTEXT - 1));
        assert_eq!(text, format!("the options differ: --identifier …{before}2{after}… (was …{before}1{after}…)"));
        let text = both(&long, &format!("{long}x")).unwrap();
        assert!(text.contains("--identifier …ü") && text.contains("üx (was …ü"), "{text}");
    }

    #[test]
    fn a_version_is_no_option() {
        let of = |version: &str| BTreeMap::from([(VERSION_KEY.to_owned(), version.to_owned())]);
        assert_eq!(options(&of("1"), &of("2")), None);
        assert_eq!(version(&of("1"), &of("1")), None);
        assert_eq!(version(&of("1"), &of("2")).unwrap(), "katalog 1 began it, and this is katalog 2");
    }

    #[test]
    fn lists_are_short() {
        let names: Vec<String> = (0..7).map(|number| number.to_string()).collect();
        assert_eq!(list(&names[..1]), "\"0\"");
        assert_eq!(list(&names[..5]), "\"0\", \"1\", \"2\", \"3\", \"4\"");
        assert_eq!(list(&names), "\"0\", \"1\", \"2\", \"3\", \"4\" and 2 more");
    }
}
