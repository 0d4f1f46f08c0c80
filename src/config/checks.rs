//! Checks the rules of the declarations: a flag without an effect is refused, and so are contradicting settings.

use super::ConfigError;
use super::declaration::{Clash, Declaration};
use super::layers::{Options, Origin};

/// Checks every option that the command has and the user set.
///
/// Only flags are checked for an effect: one file and one environment serve all commands.
///
/// # Errors
/// Returns the first option that cannot be used, the reason, and what to do.
pub fn check(options: &Options) -> Result<(), ConfigError> {
    let all = super::all().map(|option| option.declaration());
    for declaration in all.filter(|declaration| options.is_set(declaration)) {
        let origin = options.origin(declaration);
        let refused = |why: &str, from_file: bool| ConfigError::Setting {
            message: format!("{}{why}", options.shown(declaration)),
            from_file,
        };
        for idle in declaration.idle.iter().filter(|_| origin == Origin::Flag) {
            if (idle.when)(options)? {
                return Err(refused(&format!(" has no effect with {}: {}", other(options, idle), idle.why), false));
            }
        }
        for need in declaration.needs.iter().filter(|_| origin == Origin::Flag) {
            if !(need.met)(options)? {
                return Err(refused(&format!(" has no effect without {}", need.what), false));
            }
        }
        for clash in declaration.clashes {
            if (clash.when)(options)? {
                // A flag against the file is a mistake of the command line.
                let other = super::named(clash.with).map(|other| options.origin(other.declaration()));
                let from_file = origin == Origin::File && other.is_none_or(|other| other >= Origin::File);
                return Err(refused(&contradiction(options, declaration, clash), from_file));
            }
        }
    }
    Ok(())
}

fn contradiction(options: &Options, declaration: &Declaration, clash: &Clash) -> String {
    if clash.with == declaration.name {
        return format!(": {}", clash.why);
    }
    format!(" does not go with {}: {}", other(options, clash), clash.why)
}

/// Returns the other setting of a clash as the user gave it.
fn other(options: &Options, clash: &Clash) -> String {
    let option = super::named(clash.with);
    option.map_or_else(|| format!("the input {}", clash.with), |option| options.shown(option.declaration()))
}
