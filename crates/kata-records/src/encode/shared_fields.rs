//! Encoded fields that entries of a batch share. Each is encoded once and then copied.

use std::ops::Range;

/// A field that is not encoded yet. Its start differs from its end, unlike that of an empty field.
const UNWRITTEN: (u32, u32) = (1, 0);

/// The encoded fields of a batch.
#[derive(Debug, Default)]
pub(super) struct SharedFields {
    /// The concatenated fields.
    text: Vec<u8>,
    /// The start and end of each field in `text`, by its number.
    places: Vec<(u32, u32)>,
}

/// A pending copy. Adjacent fields are copied together.
#[derive(Debug, Default)]
pub(super) struct PendingCopy(Range<usize>);

impl SharedFields {
    /// Drops the fields of the previous batch.
    pub(super) fn begin(&mut self) {
        self.text.clear();
        self.places.clear();
    }

    /// Adds a field to the pending copy, and encodes it first if no entry had it. [`SharedFields::end`] completes the
    /// copy.
    #[inline]
    pub(super) fn copy(
        &mut self,
        number: u32,
        run: &mut PendingCopy,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let number = number as usize;
        if number >= self.places.len() {
            self.places.resize(number + 1, UNWRITTEN);
        }
        let Some(place) = self.places.get_mut(number) else { return };
        if *place == UNWRITTEN {
            let start = self.text.len() as u32;
            write(&mut self.text);
            *place = (start, self.text.len() as u32);
        }
        let (start, end) = (place.0 as usize, place.1 as usize);
        if start == run.0.end {
            run.0.end = end;
        } else {
            out.extend_from_slice(self.text.get(std::mem::replace(&mut run.0, start..end)).unwrap_or_default());
        }
    }

    /// Completes the pending copy.
    #[inline]
    pub(super) fn end(&self, run: &mut PendingCopy, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text.get(std::mem::take(&mut run.0)).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copies these fields. Each text contains the number of fields that were encoded before it.
    fn copied(shared: &mut SharedFields, numbers: &[u32], written: &mut u32) -> String {
        let (mut run, mut out) = (PendingCopy::default(), Vec::new());
        for number in numbers {
            shared.copy(*number, &mut run, &mut out, |text| {
                text.extend_from_slice(format!("{number}:{written} ").as_bytes());
                *written += 1;
            });
        }
        shared.end(&mut run, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_is_written_once_in_a_batch() {
        let (mut shared, mut written) = (SharedFields::default(), 0);
        assert_eq!(copied(&mut shared, &[5, 0, 7], &mut written), "5:0 0:1 7:2 ");
        assert_eq!(copied(&mut shared, &[0, 7, 5, 5, 9, 0], &mut written), "0:1 7:2 5:0 5:0 9:3 0:1 ");
        assert_eq!(copied(&mut shared, &[], &mut written), "");
        shared.begin();
        assert_eq!(copied(&mut shared, &[7, 5], &mut written), "7:4 5:5 ");
    }

    #[test]
    fn what_has_no_bytes_is_written_once_too() {
        let mut shared = SharedFields::default();
        let mut written = 0;
        for _ in 0..3 {
            let (mut run, mut out) = (PendingCopy::default(), Vec::new());
            for (number, text) in [(1, &b"a"[..]), (0, b""), (2, b"b"), (0, b"")] {
                shared.copy(number, &mut run, &mut out, |all| {
                    all.extend_from_slice(text);
                    written += 1;
                });
            }
            shared.end(&mut run, &mut out);
            assert_eq!(out, b"ab");
        }
        assert_eq!(written, 3);
    }
}
