#![allow(clippy::unwrap_used)] // a test fails by it

use std::io::{Read as _, Write};
use std::path::Path;

use super::Codec;
use crate::source::tests::{ChunkedReader, Owned, drain};
use crate::source::{Event, Fill, Filled};
use crate::source::{Input, Member, Settings, SourceError, from_reader};
use kata_records::Batch;

/// Returns text that stays large when compressed, so that damage can hit its middle.
fn text(lines: u32) -> Vec<u8> {
    (0..lines).flat_map(|line| format!("line {line} {:x}\n", line.wrapping_mul(2_654_435_761)).into_bytes()).collect()
}

fn read(data: &[u8], sizes: &[usize]) -> (Vec<Owned>, Option<SourceError>) {
    let mut source = from_reader(Box::new(ChunkedReader::new(data, sizes)), Input::Stdin, true, &Settings::default());
    drain(&mut *source)
}

/// Joins the entries to the original text; the last line may be cut.
fn rejoined(entries: &[Owned]) -> Vec<u8> {
    entries.iter().flat_map(|entry| [&entry.bytes[..], b"\n"].concat()).collect()
}

fn packed(codec: Codec, data: &[u8]) -> Option<Vec<u8>> {
    match codec {
        #[cfg(feature = "gzip")]
        Codec::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(data).unwrap();
            Some(encoder.finish().unwrap())
        }
        #[cfg(feature = "xz")]
        Codec::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 3);
            encoder.write_all(data).unwrap();
            Some(encoder.finish().unwrap())
        }
        #[cfg(feature = "zstd")]
        Codec::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
            // As the `zstd` program does.
            encoder.include_checksum(true).unwrap();
            encoder.write_all(data).unwrap();
            Some(encoder.finish().unwrap())
        }
        #[cfg(not(all(feature = "gzip", feature = "xz", feature = "zstd")))]
        _ => {
            let _ = std::io::sink().write_all(data);
            None
        }
    }
}

const CODECS: [Codec; 3] = [Codec::Gzip, Codec::Xz, Codec::Zstd];

#[test]
fn compressed_inputs_are_recognized_and_joined() {
    for codec in CODECS {
        let (first, second) = (text(20_000), text(30));
        let (Some(one), Some(two), Some(empty)) = (packed(codec, &first), packed(codec, &second), packed(codec, b""))
        else {
            continue;
        };
        let input = [&one[..], &empty, &two].concat();
        for sizes in [&[usize::MAX][..], &[1, 3], &[5000]] {
            let (entries, error) = read(&input, sizes);
            assert!(error.is_none(), "{codec}: {error:?}");
            assert_eq!(rejoined(&entries), [&first[..], &second].concat(), "{codec}");
        }
    }
}

#[test]
fn a_cut_input_gives_what_it_holds_and_then_an_error() {
    for codec in CODECS {
        let whole = text(50_000);
        let Some(input) = packed(codec, &whole) else { continue };
        for cut in [input.len() - 1, input.len() / 2, 12] {
            let (entries, error) = read(&input[..cut], &[usize::MAX]);
            let error = error.unwrap();
            assert_eq!(error.exit().code(), 65, "{error}");
            assert!(matches!(error, SourceError::Damaged { .. }), "{error}");
            let mut found = rejoined(&entries);
            if entries.last().is_some_and(|entry| entry.unfinished) {
                found.pop();
            }
            assert!(whole.starts_with(&found), "{codec}");
            assert!(cut == 12 || found.len() > whole.len() / 4, "{codec}: {} of {}", found.len(), whole.len());
            assert!(cut != input.len() - 1 || found == whole, "{codec}: only the trailer was cut");
        }
    }
}

#[cfg(all(feature = "xz", feature = "zstd"))]
#[test]
fn a_window_that_is_too_large_is_no_damage() {
    let mut lzma = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
    let mut filters = liblzma::stream::Filters::new();
    filters.lzma2(lzma.dict_size(512 << 20));
    let stream = liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32).unwrap();
    let mut xz = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    xz.write_all(&text(100)).unwrap();
    // A frame whose window has 2^28 bytes, with one block that is not compressed.
    let zstd = [&b"\x28\xb5\x2f\xfd\x00\x90"[..], b"\x11\x00\x00", b"a\n"].concat();
    for (codec, input) in [(Codec::Xz, xz.finish().unwrap()), (Codec::Zstd, zstd)] {
        let (entries, error) = read(&input, &[usize::MAX]);
        assert!(entries.is_empty(), "{codec}");
        assert!(matches!(error, Some(SourceError::TooLarge { .. })), "{codec}: {error:?}");
    }
}

#[test]
fn everything_before_damage_is_delivered() {
    for codec in CODECS {
        let (first, second) = (text(40_000), text(20));
        let (Some(one), Some(mut two)) = (packed(codec, &first), packed(codec, &second)) else { continue };
        two[1] ^= 0xff;
        for sizes in [&[usize::MAX][..], &[1000]] {
            let (entries, error) = read(&[&one[..], &two].concat(), sizes);
            assert_eq!(rejoined(&entries), first, "{codec}: nothing of the first part is lost");
            let error = error.unwrap();
            assert!(error.to_string().contains(&format!("its {codec} data is damaged")), "{error}");
            assert!(error.to_string().contains(&format!("{} bytes", first.len())), "{error}");
        }
    }
}

#[test]
fn a_codec_that_was_left_out_is_named() {
    for (codec, magic) in
        [(Codec::Gzip, &b"\x1f\x8b\x08"[..]), (Codec::Xz, b"\xfd7zXZ\0"), (Codec::Zstd, b"\x28\xb5\x2f\xfd")]
    {
        let (entries, error) = read(magic, &[1]);
        assert!(entries.is_empty());
        let error = error.unwrap();
        assert_eq!(error.exit().code(), 65);
        match packed(codec, b"") {
            Some(_) => assert!(matches!(error, SourceError::Damaged { .. }), "{error}"),
            None => assert!(error.to_string().contains(&format!("cargo feature `{codec}`")), "{error}"),
        }
    }
}

#[test]
fn beginnings_of_a_magic_are_text() {
    for input in [&b"\x1f"[..], b"\xfd7zXY\n", b"LPKSHHR", b"\x28\xb5\x2f", b"L\n"] {
        let (entries, error) = read(input, &[1]);
        assert!(error.is_none());
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].bytes, input.strip_suffix(b"\n").unwrap_or(input));
    }
}

#[test]
fn a_journal_is_unpacked_however_the_reads_cut_it() {
    let journal = [b"LPKSHHRH".as_slice(), &[0; 300]].concat();
    for codec in CODECS {
        let Some(data) = packed(codec, &journal) else { continue };
        for sizes in [&[usize::MAX][..], &[1]] {
            let reader = Box::new(ChunkedReader::new(data.as_slice(), sizes));
            let mut source = from_reader(reader, Input::Stdin, false, &Settings::default());
            let mut batch = Batch::default();
            let Filled { fill, failure, events, .. } = source.fill(&mut batch);
            assert!(batch.is_empty() && failure.is_none() && fill == Fill::End, "{codec}: {failure:?}");
            let [Event::Journal(Member { path, extent })] = &events[..] else { panic!("{codec}: {events:?}") };
            let mut unpacked = Vec::new();
            extent.reader().read_to_end(&mut unpacked).unwrap();
            assert!(unpacked == journal && path == Path::new("-"), "{codec}");
            assert!(source.fill(&mut batch).events.is_empty(), "{codec}");
        }
    }
}

#[test]
fn what_fills_the_room_to_the_last_byte_is_whole() {
    // Block sizes that divide the text, so that the decoder's output ends exactly at the buffer's end.
    let data = text(4_096);
    for codec in CODECS {
        for block in [64, 128, 4_096, data.len()] {
            let Some(packed) = packed(codec, &data) else { continue };
            let settings = Settings { block, ..Settings::default() };
            let reader = Box::new(ChunkedReader::new(packed.as_slice(), &[usize::MAX]));
            let mut source = from_reader(reader, Input::Stdin, false, &settings);
            let (entries, error) = drain(&mut *source);
            assert!(error.is_none(), "{codec}, {block}: {error:?}");
            assert!(rejoined(&entries) == data, "{codec}, {block}");
        }
    }
}
