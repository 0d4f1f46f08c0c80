//! Events as a receiver decodes them.

use rmpv::Value;

use super::decompress::decompressed;
use super::wire::{EntryIter, Frame, Kind, WireError, kind, split};

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) tag: String,
    pub(crate) seconds: u32,
    pub(crate) nanos: u32,
    /// Metadata beside the time; nil if there is none.
    pub(crate) metadata: Value,
    pub(crate) record: Value,
}

impl Event {
    /// Returns the value under a key of the record.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        let pairs = self.record.as_map()?;
        pairs.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// Returns the text under a key of the record.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }
}

/// Decodes the events of a request, in order.
pub(crate) fn events(frame: &Frame<'_>) -> Result<Vec<Event>, WireError> {
    let tag = String::from_utf8(frame.tag.to_vec()).map_err(|_| WireError::new("the tag is not UTF-8"))?;
    let entries = decompressed(frame)?;
    let mut events = Vec::new();
    for entry in EntryIter::new(&entries) {
        let entry = entry?;
        let (time, metadata) = match kind(entry.time)? {
            Kind::Array(2, inside) => {
                let (time, metadata) = split(inside)?;
                (time, value(metadata)?)
            }
            _ => (entry.time, Value::Nil),
        };
        let (seconds, nanos) = stamp(time)?;
        let record = value(entry.record)?;
        if !record.is_map() {
            return Err(WireError::new(format!("a record is no map: {record}")));
        }
        events.push(Event { tag: tag.clone(), seconds, nanos, metadata, record });
    }
    Ok(events)
}

/// Returns seconds and nanoseconds of a time in either form.
fn stamp(time: &[u8]) -> Result<(u32, u32), WireError> {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    match kind(time)? {
        Kind::Extension(0, data) if data.len() == 8 => Ok((number(&data[..4]), number(&data[4..]))),
        Kind::Unsigned(seconds) => {
            Ok((u32::try_from(seconds).map_err(|_| WireError::new("a time beyond 32 bits of seconds"))?, 0))
        }
        other => Err(WireError::new(format!("{other:?} as a time"))),
    }
}

fn value(mut bytes: &[u8]) -> Result<Value, WireError> {
    rmpv::decode::read_value(&mut bytes).map_err(|error| WireError::new(error.to_string()))
}
