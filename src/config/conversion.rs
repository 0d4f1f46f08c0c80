//! Options of a conversion into a directory, and the fingerprint of everything that its bytes depend on.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

use super::ConfigError;
use super::command::CONVERT;
use super::declaration::{Clash, Single, is, none, options, switch, text};
use super::layers::Options;
use super::parse;
use crate::delivery::{OutputDirSettings, VERSION_KEY};
use crate::sink::Compression;
use kata_records::Format;

options! {
    "Conversion";

    /// Write into files of this directory
    ///
    /// The files appear when all inputs are read; until then, everything is below `.katalog` in the directory. Inputs are
    /// read one by one, and journals machine by machine. Existing files are kept, unless --force is given. --resume
    /// continues an interrupted conversion.
    OUTPUT_DIR "output-dir": Single<Option<PathBuf>> =
        text("DIR", none, parse::optional_path).of(CONVERT).everyday().beside_records();

    /// Split records into files by component, host, sandbox, day or input
    ///
    /// Several of these words, separated by commas, make directories, each inside the one before; `day` is that of kata_time,
    /// in UTC. Or a path with these words in braces, such as `{host}/kata-{day}`. Extensions are added. Missing values are
    /// `unknown`; entries that are not Kata's have the component `others`. Except for ASCII letters, digits, `-`, `_` and
    /// `.`, the characters of values are written as `%` and hexadecimal digits.
    SPLIT "split": Single<String> = text("WHAT", is!("component"), parse::split).of(CONVERT).everyday()
        .canonical(parse::canonical_split);

    /// Continue an interrupted conversion
    ///
    /// With the same options and inputs. Inputs that were read to their ends are not read again. The files are those of an
    /// uninterrupted conversion, byte for byte. If the conversion was finished, nothing is left to do.
    RESUME "resume": Single<bool> = switch().of(CONVERT).everyday().beside_records().clashes(&[
        Clash { with: "force", when: |options| options.get(&FORCE), why: "--force discards what --resume continues" },
    ]);

    /// Replace existing files, and discard an interrupted conversion
    FORCE "force": Single<bool> = switch().of(CONVERT).everyday().beside_records();
}

/// Returns the settings of the output directory; `None` without one.
pub(super) fn settings(
    options: &Options,
    format: Format,
    compression: Compression,
    sorted: bool,
) -> Result<Option<OutputDirSettings>, ConfigError> {
    let Some(directory) = options.get(&OUTPUT_DIR)? else { return Ok(None) };
    Ok(Some(OutputDirSettings {
        directory,
        extension: format!("{}{}", format.extension(), compression.extension()),
        header: format.header(),
        compression,
        resume: options.get(&RESUME)?,
        force: options.get(&FORCE)?,
        whole: sorted,
        fingerprint: fingerprint(options),
    }))
}

/// Returns every setting on which the bytes of the output depend, by name.
#[must_use]
pub(super) fn fingerprint(options: &Options) -> BTreeMap<String, String> {
    let shaping = super::all().map(|option| option.declaration());
    let shaping = shaping.filter(|declaration| declaration.shapes_records && options.has(declaration));
    let mut settings: BTreeMap<String, String> = shaping
        .map(|declaration| {
            let texts = options.texts(declaration);
            let texts = texts.iter().map(|text| (declaration.canonical)(&text.to_string_lossy())).collect::<Vec<_>>();
            (declaration.name.to_owned(), texts.join(","))
        })
        .collect();
    settings.insert(VERSION_KEY.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    settings
}

/// Returns the template of the files; `None` if the command writes no directory.
pub(super) fn template(options: &Options) -> Result<Option<String>, ConfigError> {
    if options.get(&OUTPUT_DIR)?.is_none() {
        return Ok(None);
    }
    // The default has to become a template too.
    let split = options.get(&SPLIT)?;
    Ok(Some(parse::split(OsStr::new(&split)).unwrap_or(split)))
}
