//! Requests in each mode of the forward protocol. Encoding is deterministic, so a chunk sent again has the same bytes.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmp::encode::{write_array_len, write_bin_len, write_map_len, write_uint};
use sha2::{Digest as _, Sha256};

use crate::chunk::{Chunk, done, length, string};
use crate::server_options::ForwardMode;

/// Encodes the requests for one chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestEncoder<'c> {
    /// The chunk to encode.
    pub(super) chunk: &'c Chunk,
    /// The id of the chunk, computed once per delivery.
    pub(super) id: [u8; 16],
    /// The mode of the protocol.
    pub(super) mode: ForwardMode,
    /// True if times are whole seconds.
    pub(super) time_as_integer: bool,
}

impl<'c> RequestEncoder<'c> {
    /// Appends the request for a range of entries, and returns the id that the server must acknowledge.
    pub(super) fn encode(&self, entries: &Range<usize>, out: &mut Vec<u8>) -> String {
        let id = self.id(entries);
        let bytes = self.entries(entries);
        // An entry is an array of time and record. The message adds an element at either end, so only the array's head
        // changes.
        let message = self.mode == ForwardMode::Message && entries.len() == 1;
        done(write_array_len(out, if message { 4 } else { 3 }));
        string(self.chunk.tag(), out);
        match self.mode {
            ForwardMode::Message if message => out.extend_from_slice(bytes.get(1..).unwrap_or_default()),
            ForwardMode::Forward => {
                done(write_array_len(out, length(entries.len())));
                out.extend_from_slice(&bytes);
            }
            ForwardMode::Packed | ForwardMode::Message | ForwardMode::Gzip | ForwardMode::Zstd => {
                // If compression fails, the entries go out uncompressed: every receiver accepts that form.
                if let Some((algorithm, packed)) = compressed(self.mode, &bytes) {
                    binary(&packed, out);
                    options(entries.len(), &id, Some(algorithm), out);
                    return id;
                }
                binary(&bytes, out);
            }
        }
        options(entries.len(), &id, None, out);
        id
    }

    /// Appends a request without entries, and returns its id. A healthy server acknowledges the request.
    pub(super) fn probe(&self, out: &mut Vec<u8>) -> String {
        let id = self.id(&(self.chunk.len()..self.chunk.len()));
        done(write_array_len(out, 3));
        string(self.chunk.tag(), out);
        binary(&[], out);
        options(0, &id, None, out);
        id
    }

    /// Returns the base64 id of a range: the id of the chunk for all entries, else a hash of the content. A part that
    /// is sent again has its previous id.
    fn id(&self, entries: &Range<usize>) -> String {
        if *entries == (0..self.chunk.len()) {
            return STANDARD.encode(self.id);
        }
        let mut hash = Sha256::new();
        hash.update(self.id);
        hash.update((entries.start as u64).to_be_bytes());
        hash.update((entries.end as u64).to_be_bytes());
        hash.update(self.chunk.bytes(entries));
        STANDARD.encode(hash.finalize().get(..16).unwrap_or_default())
    }

    fn entries(&self, entries: &Range<usize>) -> Cow<'c, [u8]> {
        let chunk = self.chunk;
        if !self.time_as_integer {
            return chunk.bytes(entries).into();
        }
        let mut rewritten = Vec::with_capacity(chunk.bytes(entries).len());
        for entry in entries.clone() {
            match chunk.bytes(&(entry..entry + 1)) {
                [0x92, 0xd7, 0x00, a, b, c, d, _, _, _, _, record @ ..] => {
                    rewritten.push(0x92);
                    done(write_uint(&mut rewritten, u64::from(u32::from_be_bytes([*a, *b, *c, *d]))));
                    rewritten.extend_from_slice(record);
                }
                other => rewritten.extend_from_slice(other),
            }
        }
        rewritten.into()
    }
}

/// Appends the options of a request, in a fixed order.
fn options(size: usize, id: &str, compressed: Option<&str>, out: &mut Vec<u8>) {
    done(write_map_len(out, 2 + u32::from(compressed.is_some())));
    string(b"size", out);
    done(write_uint(out, size as u64));
    string(b"chunk", out);
    string(id.as_bytes(), out);
    if let Some(compressed) = compressed {
        string(b"compressed", out);
        string(compressed.as_bytes(), out);
    }
}

/// Compresses the entries and returns the protocol's name of the algorithm; `None` in other modes. A mode whose codec
/// this build leaves out cannot occur: `ForwardServer::all` refuses it.
#[cfg_attr(not(any(feature = "gzip", feature = "zstd")), expect(unused_variables, reason = "there is no codec"))]
fn compressed(mode: ForwardMode, bytes: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    match mode {
        #[cfg(feature = "gzip")]
        ForwardMode::Gzip => {
            use std::io::Write as _;
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).ok()?;
            Some(("gzip", encoder.finish().ok()?))
        }
        #[cfg(feature = "zstd")]
        ForwardMode::Zstd => Some(("zstd", zstd::bulk::compress(bytes, zstd::DEFAULT_COMPRESSION_LEVEL).ok()?)),
        _ => None,
    }
}

fn binary(bytes: &[u8], out: &mut Vec<u8>) {
    done(write_bin_len(out, length(bytes.len())));
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{chunk, hex};
    use super::*;

    const TAG: &str = "ac6b6174612e72756e74696d65";
    const E1: &str = "92d7005e4fb17f30538bcf82aa6b6174615f6c6576656ca4696e666fa86b6174615f6d7367af72\
                      656c656173652073616e\
                      64626f78";
    const E2: &str = "92d7005e4fb1800000000582aa6b6174615f6c6576656ca47761726ea86b6174615f706964cd37ea";
    const ID: &str = "a56368756e6bb870386e39676d7854515643382f6e6832776c4b4b65513d3d";

    /// An encoder with the id of the test vectors.
    fn encoder(chunk: &Chunk, mode: ForwardMode) -> RequestEncoder<'_> {
        let id = hex("a7c9fd826c534150bcfe7876c2528a79").try_into().unwrap();
        RequestEncoder { chunk, id, mode, time_as_integer: false }
    }

    fn encoded(mode: ForwardMode, time_as_integer: bool, entries: &[&str]) -> Vec<u8> {
        let chunk = chunk(entries);
        let mut out = Vec::new();
        let encoder = RequestEncoder { time_as_integer, ..encoder(&chunk, mode) };
        let id = encoder.encode(&(0..entries.len()), &mut out);
        assert_eq!(id, "p8n9gmxTQVC8/nh2wlKKeQ==");
        out
    }

    #[test]
    fn requests_match_the_vectors() {
        let packed = hex(&format!("93{TAG}c45d{E1}{E2}82a473697a6502{ID}"));
        assert_eq!(packed.len(), 147);
        assert_eq!(encoded(ForwardMode::Packed, false, &[E1, E2]), packed);
        let forward = hex(&format!("93{TAG}92{E1}{E2}82a473697a6502{ID}"));
        assert_eq!(forward.len(), 146);
        assert_eq!(encoded(ForwardMode::Forward, false, &[E1, E2]), forward);
        let message = hex(&format!("94{TAG}{}82a473697a6501{ID}", E1.get(2..).unwrap()));
        assert_eq!(encoded(ForwardMode::Message, false, &[E1]), message);
    }

    #[test]
    fn times_can_be_whole_seconds() {
        let expected = hex(&format!("94{TAG}ce5e4fb17f{}82a473697a6501{ID}", E1.get(22..).unwrap()));
        assert_eq!(encoded(ForwardMode::Message, true, &[E1]), expected);
        let expected = hex(&format!(
            "93{TAG}9292ce5e4fb17f{}92ce5e4fb180{}82a473697a6502{ID}",
            E1.get(22..).unwrap(),
            E2.get(22..).unwrap()
        ));
        assert_eq!(encoded(ForwardMode::Forward, true, &[E1, E2]), expected);
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn gzip_is_named_and_holds_the_entries() {
        use std::io::Read as _;
        let bytes = encoded(ForwardMode::Gzip, false, &[E1, E2]);
        let value = rmpv::decode::read_value(&mut bytes.as_slice()).unwrap();
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(value[1].as_slice().unwrap()).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, hex(&format!("{E1}{E2}")));
        assert!(bytes.ends_with(&hex(&format!("83a473697a6502{ID}aa636f6d70726573736564a4677a6970"))));
        assert_eq!(bytes, encoded(ForwardMode::Gzip, false, &[E1, E2]));
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn zstd_is_named_and_holds_the_entries() {
        let bytes = encoded(ForwardMode::Zstd, false, &[E1, E2]);
        let value = rmpv::decode::read_value(&mut bytes.as_slice()).unwrap();
        let plain = zstd::decode_all(value[1].as_slice().unwrap()).unwrap();
        assert_eq!(plain, hex(&format!("{E1}{E2}")));
        assert!(bytes.ends_with(&hex(&format!("83a473697a6502{ID}aa636f6d70726573736564a47a737464"))));
    }

    #[test]
    fn parts_have_stable_ids_of_their_own() {
        let chunk = chunk(&[E1, E2, E2]);
        let id = |range: Range<usize>| encoder(&chunk, ForwardMode::Packed).id(&range);
        let all = [id(0..3), id(0..1), id(1..2), id(2..3), id(1..3), id(3..3)];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 24);
            assert!(!all[..at].contains(one), "{all:?}");
        }
        assert_eq!(id(1..2), encoder(&chunk.clone(), ForwardMode::Packed).id(&(1..2)));
        assert_eq!(chunk.bytes(&(1..2)), hex(E2));
        assert_eq!(chunk.bytes(&(0..3)), chunk.encoded());
    }

    #[test]
    fn a_probe_has_no_entries() {
        let mut out = Vec::new();
        let id = encoder(&chunk(&[E1]), ForwardMode::Packed).probe(&mut out);
        let value = rmpv::decode::read_value(&mut out.as_slice()).unwrap();
        assert_eq!(value[1].as_slice(), Some(&[][..]));
        assert_eq!(value[2]["size"].as_u64(), Some(0));
        assert_eq!(value[2]["chunk"].as_str(), Some(id.as_str()));
    }

    #[test]
    fn lengths_change_their_width_at_the_edges() {
        let head = |length: usize| {
            let (entries, ends) = chunk(&[E1]).into_buffers();
            let chunk = Chunk::from_encoded(vec![b'x'; length], entries, ends);
            let mut out = Vec::new();
            encoder(&chunk, ForwardMode::Packed).encode(&(0..1), &mut out);
            out[1..4].to_vec()
        };
        assert_eq!(head(31)[0], 0xbf);
        assert_eq!(head(32)[..2], [0xd9, 0x20]);
        assert_eq!(head(256), [0xda, 0x01, 0x00]);
    }
}
