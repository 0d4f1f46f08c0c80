//! Ranges of levels, in the words of journalctl's `--priority` or in katalog's own.

use std::str::FromStr;

use crate::error::SettingsError;
use crate::record::Level;

/// The levels from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelRange {
    least: Level,
    most: Level,
}

/// The words of a level: the eight names and numbers of syslog (syslog(3)), and the names in `kata_level`. Syslog has two
/// levels above `crit` and one between `info` and `warning` that katalog does not tell apart.
const WORDS: [(&str, Level); 20] = [
    ("trace", Level::Trace),
    ("debug", Level::Debug),
    ("7", Level::Debug),
    ("info", Level::Info),
    ("6", Level::Info),
    ("notice", Level::Info),
    ("5", Level::Info),
    ("warning", Level::Warning),
    ("warn", Level::Warning),
    ("4", Level::Warning),
    ("error", Level::Error),
    ("err", Level::Error),
    ("3", Level::Error),
    ("critical", Level::Critical),
    ("crit", Level::Critical),
    ("2", Level::Critical),
    ("alert", Level::Critical),
    ("1", Level::Critical),
    ("emerg", Level::Critical),
    ("0", Level::Critical),
];

impl LevelRange {
    /// Returns the words that `kata_level` and syslog have for levels, least severe first.
    pub fn words() -> impl Iterator<Item = &'static str> + Clone {
        WORDS.iter().map(|(word, _)| *word).filter(|word| word.len() > 1 && *word != "warn")
    }

    /// Returns whether some records do not pass: those without a level belong to the lowest.
    pub(crate) fn is_limited(self) -> bool {
        self.least > Level::Trace || self.most < Level::Critical
    }

    pub(crate) fn contains(self, level: Level) -> bool {
        (self.least..=self.most).contains(&level)
    }
}

impl FromStr for LevelRange {
    type Err = SettingsError;

    /// Parses `LEVEL` for this level and all above it, or `LEVEL..LEVEL` in any order.
    fn from_str(text: &str) -> Result<LevelRange, SettingsError> {
        let level = |word: &str| {
            let known = WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, level)| *level);
            known.ok_or_else(|| SettingsError::UnknownWord {
                word: word.to_owned(),
                expected: LevelRange::words().collect::<Vec<_>>().join(", "),
            })
        };
        let Some((one, other)) = text.split_once("..") else {
            return Ok(LevelRange { least: level(text)?, most: Level::Critical });
        };
        let (one, other) = (level(one)?, level(other)?);
        Ok(LevelRange { least: one.min(other), most: one.max(other) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journalctls_words_and_our_own_are_levels() {
        let range = |text: &str| text.parse::<LevelRange>().map(|range| (range.least, range.most));
        assert_eq!(range("err").unwrap(), (Level::Error, Level::Critical));
        assert_eq!(range("3").unwrap(), range("error").unwrap());
        assert_eq!(range("emerg..warning").unwrap(), (Level::Warning, Level::Critical));
        assert_eq!(range("debug..Notice").unwrap(), (Level::Debug, Level::Info));
        assert_eq!(range("warning..warning").unwrap(), (Level::Warning, Level::Warning));
        for bad in ["", "8", "loud", "err..", "..err", "err...info", "err..info..debug"] {
            let error = range(bad).unwrap_err().to_string();
            assert!(error.contains("expected one of trace, debug, info, notice"), "{bad}: {error}");
        }
    }
}
