//! Delivers the values that are too large for a batch. They are read here, in pieces, so none is in memory as a whole.

use journal_file::Damage;
use journal_file::large_field::LargeField;
use kata_records::Encoded;

use crate::delivery::{Delivery, DeliveryEnd};
use crate::source::position::Position;

/// The number of bytes of pieces that are delivered at once.
const PIECES: usize = 256 << 10;

/// The result of reading large values for their delivery.
#[derive(Debug, Default)]
pub(super) struct LargeValues {
    /// The number of bytes that were written.
    pub(super) bytes: u64,
    /// The damage of values that could be read before, and no longer.
    pub(super) damages: Vec<Damage>,
}

/// Delivers records, and their large values in pieces. `position` belongs to the last piece.
///
/// # Errors
/// If the delivery takes no more records.
pub(super) fn deliver(
    delivery: &mut dyn Delivery,
    out: &mut Encoded,
    position: Option<Position>,
) -> Result<LargeValues, DeliveryEnd> {
    let mut read = LargeValues::default();
    let large = std::mem::take(&mut out.large);
    if large.is_empty() {
        delivery.deliver(out, position)?;
        return Ok(read);
    }
    let (mut piece, mut start) = (Encoded::default(), 0);
    for value in &large {
        piece.bytes.extend_from_slice(out.bytes.get(start..value.at).unwrap_or_default());
        start = value.at;
        let encode = |bytes: &[u8], is_first, out: &mut Vec<u8>| value.encode(bytes, is_first, out);
        read.deliver(&value.field, encode, &mut piece, delivery)?;
    }
    piece.bytes.extend_from_slice(out.bytes.get(start..).unwrap_or_default());
    delivery.deliver(&mut piece, position)?;
    out.bytes.clear();
    Ok(read)
}

impl LargeValues {
    /// Appends a value to `piece`, which is delivered whenever it is full.
    fn deliver(
        &mut self,
        field: &LargeField,
        encode: impl Fn(&[u8], bool, &mut Vec<u8>),
        piece: &mut Encoded,
        delivery: &mut dyn Delivery,
    ) -> Result<(), DeliveryEnd> {
        let mut left = field.length();
        let mut put = |bytes: &[u8], left: &mut u64| {
            let bytes = bytes.get(..usize::try_from(*left).unwrap_or(usize::MAX)).unwrap_or(bytes);
            let before = piece.bytes.len();
            encode(bytes, *left == field.length(), &mut piece.bytes);
            self.bytes += (piece.bytes.len() - before) as u64;
            *left -= bytes.len() as u64;
            if piece.bytes.len() >= PIECES { delivery.deliver(piece, None) } else { Ok(()) }
        };
        let mut pieces = field.pieces();
        let mut damage = None;
        while left > 0 && damage.is_none() {
            match pieces.as_mut().map_err(|damage| *damage).and_then(|pieces| pieces.next_piece()) {
                Ok(Some(bytes)) => put(bytes, &mut left)?,
                Ok(None) => damage = Some(Damage::Unreadable),
                Err(found) => damage = Some(found),
            }
        }
        // The length of the value precedes it, so blanks take the place of bytes that are gone.
        while left > 0 {
            put(&[b' '; 4096], &mut left)?;
        }
        self.damages.extend(damage);
        Ok(())
    }
}
