//! Prints the effective settings as a configuration file, with the place that sets each.

use std::path::{Path, PathBuf};

use super::declaration::AnyOption as _;
use super::layers::{Options, Origin};
use super::{ConfigError, delivery, file};

/// Returns the settings as a configuration file. A comment names the place of each value that is not a default.
///
/// # Errors
/// If a value cannot be used.
pub fn effective(options: &Options) -> Result<String, ConfigError> {
    let mut text = String::new();
    let mut group = "";
    for option in super::all().filter(|option| options.has(option.declaration())) {
        let declaration = option.declaration();
        if declaration.group != group {
            let space = if group.is_empty() { "" } else { "\n" };
            group = declaration.group;
            text.push_str(&format!("{space}# {group}\n"));
        }
        let implied =
            if declaration.name == delivery::STATE_DIR.declaration().name { state_dir(options)? } else { None };
        let texts = implied.map_or_else(|| options.texts(declaration), |path| vec![path.into_os_string()]);
        let value = file::written(declaration, &texts);
        let origin = match options.origin(declaration) {
            Origin::Default => String::new(),
            Origin::Flag => format!("  # --{}", declaration.name),
            Origin::Variable => format!("  # {}", declaration.variable()),
            Origin::File => format!("  # {:?}", options.path().unwrap_or(Path::new(""))),
            Origin::Host => "  # the default of --for".to_owned(),
        };
        text.push_str(&format!("{} = {value}{origin}\n", declaration.name));
    }
    Ok(text)
}

/// Returns the state directory that holds without an option; `None` if an option names it, or the command has none.
fn state_dir(options: &Options) -> Result<Option<PathBuf>, ConfigError> {
    if options.get(&delivery::STATE_DIR)?.is_some() {
        return Ok(None);
    }
    delivery::state_dir(options, super::mode(options)?)
}
