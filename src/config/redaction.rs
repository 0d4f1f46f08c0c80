//! Options that decide which secrets are left out of records.

use super::command::{Command, WRITERS};
use super::declaration::{AnyOption as _, Clash, List, Single, list, none, options, switch};
use super::layers::{Options, Origin};
use super::{ConfigError, output, parse};

options! {
    "Redaction";

    /// Leave out what matches this expression too; repeatable
    ///
    /// A regular expression for bytes, such as `tok_[0-9a-f]{16}`. The flag adds to the patterns of the configuration file;
    /// what katalog redacts by itself stays redacted. Write a pattern, not a secret, because others can read command lines and
    /// settings. The variable holds one expression.
    REDACT "redact": List<String> = list("REGEX", none, parse::redaction).adds().split(|text| vec![text.to_owned()])
        .of(WRITERS).idle(&[output::ENTRIES]);

    /// Leave secrets in the records
    ///
    /// Without it, katalog leaves out the values of environments, annotations, passwords, keys and tokens wherever Kata logs
    /// them; the field kata_redacted names the fields. The formats `export` and `journal-json` are never redacted: `print`
    /// writes them anyway, `ship` only with --no-redact.
    NO_REDACT "no-redact": Single<bool> = switch().of(WRITERS).idle(&[Clash {
        with: "format",
        when: |options| Ok(options.command != Command::Ship && (output::ENTRIES.when)(options)?),
        why: "it is never redacted",
    }]).clashes(&[Clash {
        with: "redact",
        // A flag may turn off what the file adds.
        when: |options| Ok(options.get(&NO_REDACT)? && patterns_origin(options) <= options.origin(NO_REDACT.declaration())),
        why: "nothing is redacted",
    }]);
}

fn patterns_origin(options: &Options) -> Origin {
    let patterns = REDACT.declaration();
    if options.is_set(patterns) { options.origin(patterns) } else { Origin::Default }
}

/// Returns the further patterns of secrets; `None` redacts nothing.
pub(super) fn patterns(options: &Options) -> Result<Option<Vec<String>>, ConfigError> {
    if options.get(&NO_REDACT)? { Ok(None) } else { options.get(&REDACT).map(Some) }
}
