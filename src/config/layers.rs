//! The layers of the settings: flags override variables, which override the file, which overrides the defaults. The
//! defaults of `--for` are right below the layer that names the host.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::ConfigError;
use super::command::Command;
use super::declaration::{AnyOption, Declaration, Kind, Typed};
use super::{StandardOutput, check, file, output};
use crate::source::Input;

/// The texts of options, by name.
pub type Values = BTreeMap<&'static str, Vec<OsString>>;

/// The place that sets an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The command line.
    Flag,
    /// The environment.
    Variable,
    /// The configuration file.
    File,
    /// The defaults of `--for`.
    Host,
    /// The default of the option.
    Default,
}

/// The options of a command, in layers.
#[derive(Debug, Default)]
pub struct Layers {
    /// The flags.
    pub flags: Values,
    /// The variables.
    pub variables: Values,
    /// The keys of the file.
    pub file: Values,
    /// The path of the file.
    pub path: Option<PathBuf>,
}

/// The settings of a command: its options, and the inputs that it reads.
#[derive(Debug)]
pub struct Options {
    /// The command. Options of other commands have their defaults.
    pub command: Command,
    /// The inputs that the user names.
    pub inputs: Vec<Input>,
    path: Option<PathBuf>,
    /// The layers, the strongest first.
    layers: Vec<(Origin, Values)>,
    /// Records are text unless the user names a format.
    prefers_text: bool,
}

impl Options {
    /// Combines the layers.
    ///
    /// # Errors
    /// If a value cannot be used.
    pub fn new(command: Command, inputs: Vec<Input>, layers: Layers) -> Result<Options, ConfigError> {
        let path = layers.path;
        let layers =
            vec![(Origin::Flag, layers.flags), (Origin::Variable, layers.variables), (Origin::File, layers.file)];
        let mut options = Options { command, inputs, path, layers, prefers_text: false };
        for option in super::all() {
            options.check_values(option)?;
        }
        options.insert_host()?;
        Ok(options)
    }

    /// Returns the options for this kind of standard output: `print` shows text on a terminal, unless an option that the
    /// user set needs another format.
    ///
    /// # Errors
    /// If a value cannot be used.
    pub fn for_output(mut self, output: StandardOutput) -> Result<Options, ConfigError> {
        let on_terminal = output == StandardOutput::Terminal && !output::has_output(&self)?;
        self.prefers_text = on_terminal && self.command == Command::Print;
        self.prefers_text = self.prefers_text && check(&self).is_ok();
        Ok(self)
    }

    /// Returns whether records are text unless the user names a format.
    #[must_use]
    pub(super) fn prefers_text(&self) -> bool {
        self.prefers_text
    }

    /// Inserts the defaults of `--for` below the layer that names the host.
    fn insert_host(&mut self) -> Result<(), ConfigError> {
        let implied = output::host_defaults(self.get(&output::FOR)?);
        if implied.is_empty() {
            return Ok(());
        }
        let by_file = self.origin(output::FOR.declaration()) == Origin::File;
        // An empty text counts as not set, so that the printed defaults do not hide those of the host.
        for (_, values) in &mut self.layers {
            values.retain(|name, texts| !implied.contains_key(name) || texts.iter().any(|text| !text.is_empty()));
        }
        let place = self.layers.len() - usize::from(!by_file);
        self.layers.insert(place, (Origin::Host, implied));
        Ok(())
    }

    /// Checks the values of an option in every layer, so that a message names the layer.
    fn check_values(&self, option: &'static dyn AnyOption) -> Result<(), ConfigError> {
        for (origin, values) in &self.layers {
            let Some(texts) = values.get(option.declaration().name) else { continue };
            for text in texts {
                let refused = |message: String| self.error(*origin, option.declaration(), text, &message);
                if *origin == Origin::Flag && text.is_empty() && option.declaration().needs_entries() {
                    return Err(refused("the value is empty, so nothing would be selected".to_owned()));
                }
                // A script with an unset variable would write to another place, or redact less, than it means.
                let needs_value = matches!(option.declaration().value, "FILE" | "DIR" | "URL" | "REGEX");
                if *origin == Origin::Flag && needs_value && text.is_empty() {
                    return Err(refused("the value is empty; leave the flag out for the default".to_owned()));
                }
                option.check(text).map_err(refused)?;
            }
        }
        Ok(())
    }

    /// Returns the value of an option.
    ///
    /// # Errors
    /// If the value cannot be used.
    pub fn get<O: Typed>(&self, option: &O) -> Result<O::Value, ConfigError> {
        let declaration = option.declaration();
        let texts = self.texts(declaration);
        option
            .parse(&texts)
            .map_err(|(text, message)| self.error(self.origin(declaration), declaration, &text, &message))
    }

    /// Returns the path of the configuration file.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns a flag as the user typed it; `None` if it was not typed, or its value is empty.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<String> {
        let declaration = super::named(name)?.declaration();
        let typed = self.origin(declaration) == Origin::Flag && self.is_set(declaration);
        typed.then(|| self.shown(declaration))
    }

    /// Returns whether the command has the option.
    #[must_use]
    pub fn has(&self, declaration: &Declaration) -> bool {
        self.command == Command::Config || declaration.commands.contains(&self.command)
    }

    /// Returns the place that sets an option.
    #[must_use]
    pub fn origin(&self, declaration: &Declaration) -> Origin {
        self.strongest(declaration).map_or(Origin::Default, |(origin, _)| origin)
    }

    /// Returns whether the option has another value than its default. A default that somebody writes down changes nothing,
    /// so it needs nothing and contradicts nothing.
    #[must_use]
    pub fn is_set(&self, declaration: &Declaration) -> bool {
        let Some((_, texts)) = self.strongest(declaration) else { return false };
        let canonical = |text: &str| (declaration.canonical)(text);
        let texts: Vec<String> = texts.iter().map(|text| canonical(&text.to_string_lossy())).collect();
        let default = (declaration.default)();
        texts.iter().any(|text| !text.is_empty())
            && texts != default.iter().map(|text| canonical(text)).collect::<Vec<_>>()
    }

    fn strongest(&self, declaration: &Declaration) -> Option<(Origin, &[OsString])> {
        let layers = self.layers.iter().filter(|_| self.has(declaration));
        let mut set = layers.filter_map(|(origin, values)| Some((*origin, values.get(declaration.name)?.as_slice())));
        set.next()
    }

    /// Returns the texts of the effective value.
    #[must_use]
    pub fn texts(&self, declaration: &Declaration) -> Vec<OsString> {
        let default = || (declaration.default)().into_iter().map(OsString::from).collect();
        match self.strongest(declaration) {
            None => default(),
            Some((origin, texts)) if declaration.kind == Kind::AddedList && origin < Origin::File => {
                let file = self.layers.iter().find(|(origin, _)| *origin == Origin::File);
                let base = file.and_then(|(_, values)| values.get(declaration.name).cloned());
                base.unwrap_or_else(default).into_iter().chain(texts.iter().cloned()).collect()
            }
            Some((_, texts)) => texts.to_vec(),
        }
    }

    /// Returns an option and its value as the user gave them, for messages.
    #[must_use]
    pub fn shown(&self, declaration: &Declaration) -> String {
        let (origin, texts) = match self.strongest(declaration) {
            Some((origin, texts)) => (origin, texts.to_vec()),
            None => (Origin::Default, self.texts(declaration)),
        };
        self.shown_as(origin, declaration, &texts)
    }

    /// Returns an option and a value as a layer writes them.
    fn shown_as(&self, origin: Origin, declaration: &Declaration, texts: &[OsString]) -> String {
        let name = declaration.name;
        let text = &texts.join(OsStr::new(","));
        let is_bare = declaration.kind == Kind::Switch && text == "true";
        match origin {
            Origin::Flag if is_bare => format!("--{name}"),
            Origin::Flag => format!("--{name} {}", shell_word(text)),
            Origin::Variable => format!("{}={}", declaration.variable(), shell_word(text)),
            Origin::File => {
                let path = self.path.as_deref().unwrap_or(Path::new(""));
                format!("{name} = {} in {path:?}", file::written(declaration, texts))
            }
            Origin::Host => format!("--{name} {} (the default of --for)", shell_word(text)),
            Origin::Default => format!("--{name} {} (the default)", shell_word(text)),
        }
    }

    fn error(&self, origin: Origin, declaration: &Declaration, text: &OsStr, message: &str) -> ConfigError {
        let name = declaration.name;
        if origin == Origin::File {
            let path = self.path.clone().unwrap_or_default();
            let message = match declaration.quotes_itself {
                true => message.to_owned(),
                false => format!("{} cannot be used: {message}", file::written_text(declaration, text)),
            };
            return ConfigError::File { path, place: format!("key \"{name}\""), message };
        }
        let shown = match (declaration.quotes_itself, origin) {
            (true, Origin::Variable) => declaration.variable(),
            (true, _) => format!("--{name}"),
            (false, _) => self.shown_as(origin, declaration, &[text.to_owned()]),
        };
        ConfigError::Setting { message: format!("{shown}: {message}"), from_file: false }
    }
}

/// Returns a text as a word of a shell, with control characters escaped.
#[must_use]
pub(crate) fn shell_word(text: &OsStr) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+^".contains(&byte);
    let shown = text.to_string_lossy();
    if shown.is_empty() || shown.chars().any(char::is_control) {
        return format!("{shown:?}");
    }
    if shown.bytes().all(|byte| plain(byte) || !byte.is_ascii()) {
        return shown.into_owned();
    }
    format!("'{}'", shown.replace('\'', "'\\''"))
}
