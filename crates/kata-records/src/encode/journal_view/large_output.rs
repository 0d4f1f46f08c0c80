//! Values of journal fields that are written in pieces.

use journal_file::large_field::LargeField;

use super::{json_bytes, json_text};

/// A value that belongs between two encoded bytes. Its field is still in the journal file.
#[derive(Clone, Debug)]
pub struct LargeOutput {
    /// The field with the value.
    pub field: LargeField,
    /// The number of encoded bytes before the value.
    pub at: usize,
    form: Form,
}

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The bytes as they are.
    Raw,
    /// The inside of a string of JSON.
    JsonText,
    /// The inside of an array of numbers in JSON.
    JsonBytes,
}

impl LargeOutput {
    pub(super) fn raw(field: &LargeField, at: usize) -> LargeOutput {
        LargeOutput { field: field.clone(), at, form: Form::Raw }
    }

    pub(super) fn json(field: &LargeField, at: usize) -> LargeOutput {
        let form = if field.is_printable() { Form::JsonText } else { Form::JsonBytes };
        LargeOutput { field: field.clone(), at, form }
    }

    /// Returns the value for a copy of the encoded bytes that begins at `to` instead of `from`.
    #[must_use]
    pub fn moved(self, from: usize, to: usize) -> LargeOutput {
        LargeOutput { at: self.at - from + to, ..self }
    }

    /// Appends a piece of the value. A piece of text consists of whole characters.
    pub fn encode(&self, piece: &[u8], is_first: bool, out: &mut Vec<u8>) {
        let before = out.len();
        match self.form {
            Form::Raw => out.extend_from_slice(piece),
            Form::JsonBytes => json_bytes(piece, is_first, out),
            Form::JsonText => {
                if !json_text(piece, out) {
                    // The file has changed since it was text.
                    out.truncate(before);
                    out.resize(before + piece.len(), b' ');
                }
            }
        }
    }
}
