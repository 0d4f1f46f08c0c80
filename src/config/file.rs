//! Reads the configuration file. Its keys are the names of the flags, for all commands.
//!
//! Only the file that `--config` or `KATALOG_CONFIG` names is read, so a command does the same on every host.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use toml::Value;

use super::ConfigError;
use super::command::Command;
use super::declaration::{AnyOption, Declaration, Kind};
use super::layers::Values;
use super::words::closest;

/// Reads a configuration file, and checks all of its keys, whatever the command.
///
/// # Errors
/// If the file cannot be read, is not TOML, or has an unknown key or an unusable value.
pub fn read(path: &Path) -> Result<Values, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(&text, path)
}

/// Parses the text of a configuration file. The path is for messages.
pub(super) fn parse(text: &str, path: &Path) -> Result<Values, ConfigError> {
    let refused = |place: String, message: String| ConfigError::File { path: path.to_owned(), place, message };
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let written = text.lines().nth(line - 1).unwrap_or_default();
        refused(format!("line {line}"), syntax_message(error.message(), written))
    })?;
    let mut values = Values::new();
    for (key, value) in &table {
        let place = || format!("key \"{}\"", key.escape_debug());
        let option = super::named(key);
        if let Some(table) = table_of(value)
            && option.is_none_or(|option| option.declaration().kind != Kind::Table)
        {
            return Err(refused(format!("section [{}]", key.escape_debug()), section(table)));
        }
        let option = option.ok_or_else(|| refused(place(), unknown_key(key)))?;
        let texts = texts(option, value).map_err(|message| refused(place(), message))?;
        values.insert(option.declaration().name, texts);
    }
    Ok(values)
}

/// Returns the table of a section, `[name]` or `[[name]]`.
fn table_of(value: &Value) -> Option<&toml::Table> {
    match value {
        Value::Array(array) => array.first()?.as_table(),
        value => value.as_table(),
    }
}

/// Returns what is wrong with a line that is not TOML, and the line as it should be if that is clear.
fn syntax_message(message: &str, line: &str) -> String {
    if message.starts_with("duplicate key") {
        return format!("the key is there twice: {}", line.split('=').next().unwrap_or_default().trim());
    }
    let message = message.replace('\n', ", ");
    let message = format!("this is not TOML: {message}; expected KEY = VALUE, such as format = \"text\"");
    let option_of = |key: &str| super::named(key.trim().trim_matches('"')).map(|option| option.declaration());
    let Some((key, value)) = line.split_once('=') else {
        let pair =
            line.split_once(':').and_then(|(key, value)| Some((option_of(key)?, value.trim().trim_matches('"'))));
        return pair.map_or(message, |(option, value)| format!("expected `=`, found `:`: {}", example(option, value)));
    };
    let Some(option) = option_of(key) else { return message };
    let value = value.split(" #").next().unwrap_or_default();
    let value = value.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    let value = value.as_str();
    let quotes = value.bytes().filter(|byte| *byte == b'"').count();
    if value.is_empty() {
        return format!("the value is missing; the default is {}", example(option, &(option.default)().join(",")));
    }
    if quotes == 1 {
        return format!("a quote is missing: {}", example(option, value.trim_matches('"')));
    }
    if value.contains(['"', '\'', '[', '{', '=']) {
        return message;
    }
    let wrong = match option.kind {
        Kind::Switch if super::parse::boolean(OsStr::new(value)).is_err() => {
            return "expected true or false".to_owned();
        }
        Kind::Switch => "expected true or false",
        Kind::Number | Kind::Text => "texts need quotes",
        Kind::List | Kind::AddedList | Kind::CommaList | Kind::Table => "texts need quotes, and lists need brackets",
    };
    format!("{wrong}: {}", example(option, value))
}

/// Returns a line of the file with this value. Shows no value that may hold a secret.
fn example(option: &Declaration, value: &str) -> String {
    let value = if option.quotes_itself { option.value } else { value };
    format!("{} = {}", option.name, written(option, &option.split(OsStr::new(value))))
}

/// Returns the message for a section.
fn section(table: &toml::Table) -> String {
    let known = table.iter().find_map(|(key, value)| Some((super::named(key)?.declaration(), value)));
    let example = known.map_or(String::new(), |(option, value)| match value {
        Value::String(text) => format!(": {}", example(option, text)),
        _ if option.quotes_itself => format!(": {}", example(option, "")),
        value => format!(": {} = {value}", option.name),
    });
    format!("keys have no sections; write its keys at the top of the file{example}")
}

/// Returns the message for a key that does not exist.
fn unknown_key(key: &str) -> String {
    // Version 0.1 had the key.
    if key == Command::Check.name() {
        return "there is no such key; `katalog check` is a command".to_owned();
    }
    match closest(key, super::all().map(|option| option.declaration().name)) {
        Some(known) => format!("there is no such key; did you mean \"{known}\"?"),
        None => "there is no such key; `katalog config --default` lists all keys".to_owned(),
    }
}

/// Returns the texts of a value.
fn texts(option: &dyn AnyOption, value: &Value) -> Result<Vec<OsString>, String> {
    let declaration = option.declaration();
    let one = |text: &str| Ok(vec![OsString::from(text)]);
    match (declaration.kind, value) {
        (Kind::Switch, Value::Boolean(value)) => one(&value.to_string()),
        (Kind::Number, Value::Integer(number)) => one(&number.to_string()),
        (Kind::Number | Kind::Text, Value::String(text)) => one(text),
        (Kind::List | Kind::AddedList | Kind::CommaList, Value::Array(array)) => {
            let text = |value: &Value| match value {
                Value::String(text) => Ok(OsString::from(text)),
                other => Err(wrong_type(option, other)),
            };
            let texts = array.iter().map(text).collect::<Result<Vec<_>, _>>()?;
            // An empty list is a value, not a missing one.
            Ok(if texts.is_empty() { vec![OsString::new()] } else { texts })
        }
        (Kind::Table, Value::Table(table)) => {
            let pair = |(old, new): (&String, &Value)| match new {
                Value::String(new) => Ok(OsString::from(format!("{old}={new}"))),
                other => Err(wrong_type(option, other)),
            };
            table.iter().map(pair).collect()
        }
        (_, other) => Err(wrong_type(option, other)),
    }
}

/// Returns the message for a value of a wrong type, with the line as it should be if that is clear.
fn wrong_type(option: &dyn AnyOption, found: &Value) -> String {
    let declaration = option.declaration();
    let what = match declaration.kind {
        Kind::Switch => "true or false, without quotes",
        Kind::Number => "a number, or a text such as \"64K\"",
        Kind::Text => "a text in quotes",
        Kind::List | Kind::AddedList | Kind::CommaList => "a list of texts in quotes",
        Kind::Table => "a table such as { OLD = \"new\" }",
    };
    let text = match found {
        Value::String(text) => text.clone(),
        Value::Array(array) if array.len() == 1 => array.iter().filter_map(Value::as_str).collect(),
        Value::Array(_) | Value::Table(_) => String::new(),
        plain => plain.to_string(),
    };
    let means = declaration.split(OsStr::new(&text)).iter().all(|text| option.check(text).is_ok());
    match means && !text.is_empty() {
        true => format!("expected {what}: {}", example(declaration, &text)),
        false if declaration.quotes_itself => format!("expected {what}: {}", example(declaration, "")),
        false => format!("expected {what}, found {}: {found}", found.type_str()),
    }
}

/// Returns a value as the file writes it.
pub(super) fn written(option: &Declaration, texts: &[OsString]) -> String {
    let texts = || texts.iter().filter(|text| !text.is_empty()).map(OsString::as_os_str);
    let last = || texts().next_back().unwrap_or_default();
    match option.kind {
        Kind::Switch => super::parse::canonical_boolean(&last().to_string_lossy()),
        Kind::Number | Kind::Text => written_text(option, last()),
        Kind::List | Kind::AddedList | Kind::CommaList => {
            format!("[{}]", texts().map(quoted).collect::<Vec<_>>().join(", "))
        }
        Kind::Table => {
            let pair = |pair: &OsStr| {
                let pair = pair.to_string_lossy();
                let (old, new) = pair.split_once('=').unwrap_or_default();
                format!("{} = {}", quoted(OsStr::new(old)), quoted(OsStr::new(new)))
            };
            format!("{{ {} }}", texts().map(pair).collect::<Vec<_>>().join(", ")).replace("{  }", "{}")
        }
    }
}

/// Returns one text of a value as the file writes it.
pub(super) fn written_text(option: &Declaration, text: &OsStr) -> String {
    match (option.kind, text.to_str()) {
        (Kind::Switch, Some(text)) => text.to_owned(),
        (Kind::Number, Some(number)) if number.parse::<u64>().is_ok() => number.to_owned(),
        _ => quoted(text),
    }
}

fn quoted(text: &OsStr) -> String {
    Value::String(text.to_string_lossy().into_owned()).to_string()
}
