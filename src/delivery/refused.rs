//! Writes records that no server accepts to a file of JSON lines, each with the reason.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::sink::{Directory, Privacy};

/// The name of the file in a state directory.
const IN_STATE: &str = "refused.ndjson";

/// The place of the file for refused records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusedPlace {
    /// A file that the operator has named. It may be a link or a device.
    Named(PathBuf),
    /// A file in this state directory.
    InState(PathBuf),
}

impl RefusedPlace {
    fn path(&self) -> PathBuf {
        match self {
            RefusedPlace::Named(path) => path.clone(),
            RefusedPlace::InState(directory) => directory.join(IN_STATE),
        }
    }

    /// Opens the file for appending. A new file is for its owner alone.
    fn open(&self) -> io::Result<File> {
        match self {
            RefusedPlace::Named(path) => OpenOptions::new().create(true).append(true).mode(0o600).open(path),
            RefusedPlace::InState(directory) => Directory::open(directory)?.append(IN_STATE, Privacy::Owner),
        }
    }
}

/// The file of refused records, which is created with the first one. Clones share it.
#[derive(Clone, Debug)]
pub struct RefusedFile {
    place: Option<RefusedPlace>,
    file: Arc<Mutex<Option<File>>>,
}

impl RefusedFile {
    /// Remembers the place. No file is opened yet.
    #[must_use]
    pub fn new(place: Option<RefusedPlace>) -> RefusedFile {
        RefusedFile { place, file: Arc::default() }
    }

    /// Appends a record and waits until it is on disk. Returns the end of a message that names the file.
    pub(super) fn add(&self, tag: &[u8], event: &[u8], server: &str, reason: &str) -> io::Result<String> {
        let Some(place) = &self.place else {
            return Ok("it is dropped; --refused FILE or --state-dir DIR would keep it".to_owned());
        };
        let (time, record) = to_json(event)?;
        let mut line = serde_json::to_vec(&serde_json::json!({
            "reason": reason,
            "server": server,
            "tag": String::from_utf8_lossy(tag),
            "time": time,
            "record": record,
        }))?;
        line.push(b'\n');
        // No other delivery writes between the parts of a line.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *file {
            Some(file) => file,
            none => none.insert(place.open()?),
        };
        file.write_all(&line)?;
        file.sync_data()?;
        Ok(format!("it is in {:?}", place.path()))
    }
}

/// Converts an event `[EventTime, record]` to JSON: the time as `seconds.nanoseconds`, and the record.
fn to_json(mut event: &[u8]) -> io::Result<(String, Value)> {
    let value = rmpv::decode::read_value(&mut event).map_err(io::Error::other)?;
    let rmpv::Value::Array(parts) = value else { return Err(io::ErrorKind::InvalidData.into()) };
    let mut parts = parts.into_iter();
    let time = match parts.next() {
        Some(rmpv::Value::Ext(0, bytes)) => {
            let number = |at: usize| {
                let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
                bytes.map_or(0, u32::from_be_bytes)
            };
            format!("{}.{:09}", number(0), number(4))
        }
        Some(other) => other.to_string(),
        None => String::new(),
    };
    Ok((time, parts.next().map_or(Value::Null, json)))
}

fn json(value: rmpv::Value) -> Value {
    match value {
        rmpv::Value::Nil => Value::Null,
        rmpv::Value::Boolean(value) => Value::Bool(value),
        rmpv::Value::Integer(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => Value::Null,
        },
        rmpv::Value::F32(number) => f64::from(number).into(),
        rmpv::Value::F64(number) => number.into(),
        rmpv::Value::String(text) => String::from_utf8_lossy(text.as_bytes()).into_owned().into(),
        rmpv::Value::Binary(bytes) | rmpv::Value::Ext(_, bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
        rmpv::Value::Array(values) => values.into_iter().map(json).collect(),
        rmpv::Value::Map(members) => {
            let key = |key: rmpv::Value| key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            Value::Object(members.into_iter().map(|(name, value)| (key(name), json(value))).collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_record_is_kept_with_its_reason() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("refused.ndjson");
        let event = b"\x92\xd7\x00\x5e\x4f\xb1\x7f\x30\x53\x8b\xcf\x82\xa1a\x92\x01\xff\xa1b\xa4\xf0\x9f\x98\x80";
        let aside = RefusedFile::new(Some(RefusedPlace::Named(path.clone())));
        for _ in 0..2 {
            assert!(aside.add(b"kata.agent", event, "a:24224", "closed").unwrap().contains("refused.ndjson"));
        }
        let expected = r#"{"reason":"closed","server":"a:24224","tag":"kata.agent","time":"1582281087.810781647","record":{"a":[1,-1],"b":"😀"}}"#;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{expected}\n{expected}\n"));
        assert!(RefusedFile::new(None).add(b"t", event, "s", "r").unwrap().contains("--refused"));
    }
    #[test]
    fn the_file_is_private_and_no_planted_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(IN_STATE);
        let event = b"\x92\x00\x80";
        let add = |place: RefusedPlace| RefusedFile::new(Some(place)).add(b"t", event, "s", "r");
        let in_state = || RefusedPlace::InState(directory.path().to_owned());
        for place in [RefusedPlace::Named(path.clone()), in_state()] {
            add(place).unwrap();
            assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
            std::fs::remove_file(&path).unwrap();
        }
        let victim = directory.path().join("victim");
        std::fs::write(&victim, "").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(add(in_state()).unwrap_err().to_string().contains("symbolic link"));
        std::fs::remove_file(&path).unwrap();
        std::fs::hard_link(&victim, &path).unwrap();
        assert!(add(in_state()).unwrap_err().to_string().contains("hard links"));
        assert_eq!(std::fs::read(&victim).unwrap(), b"");
    }
}
