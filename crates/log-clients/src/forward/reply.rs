//! Replies of servers: a stream of `MessagePack` values that arrive in arbitrary pieces.

use rmp::Marker;

/// The limits of a reply. No server sends longer or deeper values.
const MAX_LENGTH: usize = 64 * 1024;
const MAX_DEPTH: usize = 16;

/// A value, reduced to the types that replies use. Servers write text as either `str` or `bin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// `str` or `bin`.
    Bytes(Vec<u8>),
    /// `true` or `false`.
    Bool(bool),
    /// An array.
    Array(Vec<Value>),
    /// A map, in the order of the wire.
    Map(Vec<(Value, Value)>),
    /// Any other type.
    Other,
}

impl Value {
    /// Returns the bytes of a `str` or `bin`.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        if let Value::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// Returns the value of a key of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let Value::Map(pairs) = self else { return None };
        pairs.iter().find(|(name, _)| name.bytes() == Some(key.as_bytes())).map(|(_, value)| value)
    }

    /// Returns the other elements of an array that begins with a word.
    pub(super) fn message(&self, word: &str) -> Option<&[Value]> {
        match self {
            Value::Array(elements) if elements.first()?.bytes()? == word.as_bytes() => elements.get(1..),
            _ => None,
        }
    }
}

/// The reason that bytes hold no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// The value needs more bytes.
    Incomplete,
    /// The bytes are not a value, or exceed the limits.
    Malformed,
}

/// Decodes the first value and leaves it in the buffer.
pub(super) fn peek(bytes: &[u8]) -> Result<Value, DecodeError> {
    read(bytes).map(|(value, _)| value)
}

/// Decodes the first value and removes it from the buffer.
pub(super) fn take(bytes: &mut Vec<u8>) -> Result<Value, DecodeError> {
    let (value, length) = read(bytes)?;
    bytes.drain(..length);
    Ok(value)
}

fn read(bytes: &[u8]) -> Result<(Value, usize), DecodeError> {
    let mut rest = bytes;
    match value(&mut rest, MAX_DEPTH) {
        Ok(value) => Ok((value, bytes.len() - rest.len())),
        Err(DecodeError::Incomplete) if bytes.len() > MAX_LENGTH => Err(DecodeError::Malformed),
        Err(missing) => Err(missing),
    }
}

fn value(rest: &mut &[u8], depth: usize) -> Result<Value, DecodeError> {
    let depth = depth.checked_sub(1).ok_or(DecodeError::Malformed)?;
    let skipped = |rest: &mut &[u8], length: usize| bytes(rest, length).map(|_| Value::Other);
    match Marker::from_u8(number(rest, 1).map(|byte| byte as u8)?) {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null => Ok(Value::Other),
        Marker::True => Ok(Value::Bool(true)),
        Marker::False => Ok(Value::Bool(false)),
        Marker::U8 | Marker::I8 => skipped(rest, 1),
        Marker::U16 | Marker::I16 | Marker::FixExt1 => skipped(rest, 2),
        Marker::FixExt2 => skipped(rest, 3),
        Marker::U32 | Marker::I32 | Marker::F32 => skipped(rest, 4),
        Marker::FixExt4 => skipped(rest, 5),
        Marker::U64 | Marker::I64 | Marker::F64 => skipped(rest, 8),
        Marker::FixExt8 => skipped(rest, 9),
        Marker::FixExt16 => skipped(rest, 17),
        Marker::Ext8 => number(rest, 1).and_then(|length| skipped(rest, length + 1)),
        Marker::Ext16 => number(rest, 2).and_then(|length| skipped(rest, length + 1)),
        Marker::Ext32 => number(rest, 4).and_then(|length| skipped(rest, length + 1)),
        Marker::FixStr(length) => byte_value(rest, usize::from(length)),
        Marker::Str8 | Marker::Bin8 => number(rest, 1).and_then(|length| byte_value(rest, length)),
        Marker::Str16 | Marker::Bin16 => number(rest, 2).and_then(|length| byte_value(rest, length)),
        Marker::Str32 | Marker::Bin32 => number(rest, 4).and_then(|length| byte_value(rest, length)),
        Marker::FixArray(length) => array(rest, usize::from(length), depth),
        Marker::Array16 => number(rest, 2).and_then(|length| array(rest, length, depth)),
        Marker::Array32 => number(rest, 4).and_then(|length| array(rest, length, depth)),
        Marker::FixMap(length) => map(rest, usize::from(length), depth),
        Marker::Map16 => number(rest, 2).and_then(|length| map(rest, length, depth)),
        Marker::Map32 => number(rest, 4).and_then(|length| map(rest, length, depth)),
        Marker::Reserved => Err(DecodeError::Malformed),
    }
}

fn bytes<'b>(rest: &mut &'b [u8], length: usize) -> Result<&'b [u8], DecodeError> {
    // Rejected at once: waiting for the bytes could fill the memory.
    if length > MAX_LENGTH {
        return Err(DecodeError::Malformed);
    }
    let (taken, behind) = rest.split_at_checked(length).ok_or(DecodeError::Incomplete)?;
    *rest = behind;
    Ok(taken)
}

/// Decodes a big-endian number of `width` bytes.
fn number(rest: &mut &[u8], width: usize) -> Result<usize, DecodeError> {
    let taken = bytes(rest, width)?;
    Ok(taken.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

fn byte_value(rest: &mut &[u8], length: usize) -> Result<Value, DecodeError> {
    bytes(rest, length).map(|bytes| Value::Bytes(bytes.to_vec()))
}

// Neither function allocates by the announced length: each element needs at least one byte of input.
fn array(rest: &mut &[u8], length: usize, depth: usize) -> Result<Value, DecodeError> {
    if length > MAX_LENGTH {
        return Err(DecodeError::Malformed);
    }
    (0..length).map(|_| value(rest, depth)).collect::<Result<_, _>>().map(Value::Array)
}

fn map(rest: &mut &[u8], length: usize, depth: usize) -> Result<Value, DecodeError> {
    if length > MAX_LENGTH {
        return Err(DecodeError::Malformed);
    }
    (0..length).map(|_| Ok((value(rest, depth)?, value(rest, depth)?))).collect::<Result<_, _>>().map(Value::Map)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn ack(id: &str) -> Value {
        Value::Map(vec![(Value::Bytes(b"ack".to_vec()), Value::Bytes(id.into()))])
    }

    #[test]
    fn replies_come_in_any_pieces() {
        let mut wire = b"\x81\xa3ack\xb8p8n9gmxTQVC8/nh2wlKKeQ==".to_vec();
        wire.extend_from_slice(b"\x81\xa3ack\xc4\x02id\x80");
        let expected = [ack("p8n9gmxTQVC8/nh2wlKKeQ=="), ack("id"), Value::Map(Vec::new())];
        for size in 1..wire.len() {
            let (mut replies, mut values) = (Vec::new(), Vec::new());
            for piece in wire.chunks(size) {
                replies.extend_from_slice(piece);
                while let Ok(value) = take(&mut replies) {
                    values.push(value);
                }
                assert!(replies.is_empty() || peek(&replies) == Err(DecodeError::Incomplete));
            }
            assert_eq!(values, expected);
            assert!(replies.is_empty());
        }
    }

    #[test]
    fn every_type_of_value_is_skipped() {
        use rmpv::Value as V;
        let all = V::Array(vec![
            V::from(1),
            V::from(-1),
            V::from(200),
            V::from(-200),
            V::from(70_000),
            V::from(-70_000),
            V::from(u64::MAX),
            V::from(i64::MIN),
            V::Nil,
            V::from(true),
            V::F32(1.5),
            V::F64(1.5),
            V::from("x".repeat(300)),
            V::Binary(vec![7; 300]),
            V::Binary(vec![7; 60_000]),
            V::Ext(0, vec![1]),
            V::Ext(0, vec![1; 2]),
            V::Ext(0, vec![1; 3]),
            V::Ext(0, vec![1; 4]),
            V::Ext(0, vec![1; 8]),
            V::Ext(0, vec![1; 16]),
            V::Ext(0, vec![1; 400]),
            V::Array(vec![V::Nil; 300]),
            V::Map(vec![(V::Nil, V::from(false)); 20]),
        ]);
        let mut wire = Vec::new();
        rmpv::encode::write_value(&mut wire, &all).unwrap();
        let mut replies = Vec::new();
        replies.extend_from_slice(&wire);
        replies.extend_from_slice(b"\xc3");
        assert!(matches!(take(&mut replies), Ok(Value::Array(elements)) if elements.len() == 24));
        assert_eq!(take(&mut replies), Ok(Value::Bool(true)));
        assert_eq!(take(&mut replies), Err(DecodeError::Incomplete));
    }

    #[test]
    fn oversized_replies_are_rejected_at_once() {
        for wire in
            [&b"\xc1"[..], b"\xdb\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", &[0x91; 100]]
        {
            let mut replies = Vec::new();
            replies.extend_from_slice(wire);
            assert_eq!(take(&mut replies), Err(DecodeError::Malformed));
        }
        let mut replies = Vec::new();
        replies.extend_from_slice(b"\xdd\x00\x00\xff\xff");
        replies.extend_from_slice(&[0x91, 0xc0].repeat(MAX_LENGTH / 4));
        assert_eq!(take(&mut replies), Err(DecodeError::Incomplete));
        replies.extend_from_slice(&[0xa0].repeat(10));
        replies.extend_from_slice(&[0x91; 3]);
        replies.extend_from_slice(&[0xda, 0xff, 0xff]);
        replies.extend_from_slice(&[0; MAX_LENGTH / 2]);
        assert_eq!(take(&mut replies), Err(DecodeError::Malformed));
    }

    proptest! {
        #[test]
        fn decoding_does_not_depend_on_the_pieces(
            wire in vec(prop_oneof![any::<u8>(), select(b"\x80\x81\x82\x91\xa0\xa3\xc0\xc4\xd9\x01ack".to_vec())], 0..200),
            size in 1_usize..40,
        ) {
            let read = |size: usize| {
                let (mut replies, mut values) = (Vec::new(), Vec::new());
                for piece in wire.chunks(size) {
                    replies.extend_from_slice(piece);
                    while let Ok(value) = take(&mut replies) {
                        values.push(value);
                    }
                }
                (values, replies)
            };
            prop_assert_eq!(read(size), read(wire.len().max(1)));
        }
    }
}
