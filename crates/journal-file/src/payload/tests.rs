use proptest::prelude::*;

use super::{Codec, Damage, Decoders, MAX_CONTENT, MAX_FIELD, name_end, name_len};

/// Returns a payload as a codec stores it.
pub(crate) type Pack = fn(&[u8]) -> Vec<u8>;

/// All codecs of this build.
pub(crate) fn codecs() -> Vec<(Codec, Pack)> {
    vec![
        #[cfg(feature = "xz")]
        (Codec::Xz, |payload| {
            use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
            let mut options = LzmaOptions::new_preset(1).unwrap();
            options.dict_size(1 << 20);
            let stream = Stream::new_stream_encoder(Filters::new().lzma2(&options), Check::None).unwrap();
            let mut compressed = Vec::new();
            let mut encoder = liblzma::write::XzEncoder::new_stream(&mut compressed, stream);
            std::io::Write::write_all(&mut encoder, payload).unwrap();
            encoder.finish().unwrap();
            compressed
        }),
        #[cfg(feature = "lz4")]
        (Codec::Lz4, |payload| {
            [&(payload.len() as u64).to_le_bytes()[..], &lz4_flex::block::compress(payload)].concat()
        }),
        #[cfg(feature = "zstd")]
        (Codec::Zstd, |payload| zstd::bulk::compress(payload, 1).unwrap()),
    ]
}

/// Payloads of all lengths that matter to some codec, well and badly compressible.
fn payloads() -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    for len in [0, 1, 60, 500, 5_000, 131_064, 131_065, 300_000, 1_500_000] {
        let mut noise = 1_u32;
        let noise = (0..len).map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        });
        payloads.push([b"MESSAGE=".to_vec(), noise.collect()].concat());
        payloads.push([b"MESSAGE=".to_vec(), vec![b'='; len]].concat());
        // The name itself is compressed.
        payloads.push([&[b'A'; 64][..], b"=", &vec![b'A'; len]].concat());
    }
    payloads
}

#[test]
fn names_are_those_of_journald() {
    for name in ["A", "MESSAGE", "_HOSTNAME", "__X", "A0_9", &"N".repeat(64)] {
        assert_eq!(name_len(format!("{name}=").as_bytes()), Some(name.len()));
        assert_eq!(name_len(format!("{name}=a=b\n").as_bytes()), Some(name.len()));
        assert_eq!(name_len(name.as_bytes()), None);
    }
    for none in ["", "=", "=a", "0A=", "a=", "A B=", "A\0=", "Ä=", "A-=", &format!("{}=", "N".repeat(65))] {
        assert_eq!(name_len(none.as_bytes()), None, "{none}");
    }
}

#[test]
fn what_was_compressed_is_appended_if_it_is_wanted() {
    let mut decoders = Decoders::new(MAX_FIELD);
    for payload in payloads() {
        let name = payload.split(|byte| *byte == b'=').next().unwrap();
        for (codec, compressed) in codecs() {
            let stored = compressed(&payload);
            for wanted in [true, false] {
                let mut out = b"before".to_vec();
                let mut asked = Vec::new();
                let outcome = decoders.decode(codec, &stored, &mut out, |name| {
                    asked.push(name.to_vec());
                    wanted
                });
                assert_eq!(outcome, Ok((name.len(), wanted)), "{codec:?} of {}", payload.len());
                assert_eq!(asked, [name]);
                assert!(out == if wanted { [b"before", &payload[..]].concat() } else { b"before".to_vec() });
            }
        }
    }
}

#[test]
fn damage_leaves_nothing_behind() {
    let mut decoders = Decoders::new(MAX_FIELD);
    for payload in payloads().iter().filter(|payload| (100..10_000).contains(&payload.len())) {
        for (codec, compressed) in codecs() {
            let stored = compressed(payload);
            for cut in 0..stored.len() {
                let mut out = b"before".to_vec();
                match decoders.decode(codec, &stored[..cut], &mut out, |_| true) {
                    // A checksum or a trailer is missing.
                    Ok(_) => assert!(out[6..] == *payload, "{codec:?} cut at {cut}"),
                    Err(damage) => {
                        assert!(matches!(damage, Damage::Undecodable | Damage::Name));
                        assert_eq!(out, b"before");
                    }
                }
            }
            for at in 0..stored.len().min(600) {
                for mask in [0x01, 0x80, 0xff] {
                    let mut stored = stored.clone();
                    stored[at] ^= mask;
                    let mut out = b"before".to_vec();
                    let outcome = decoders.decode(codec, &stored, &mut out, |_| true);
                    assert_eq!(outcome.is_err(), out == b"before", "{codec:?} changed at {at}");
                    assert!(out.capacity() < 4 << 20, "{codec:?} changed at {at}");
                }
            }
        }
    }
}

#[test]
fn bad_names_are_told_from_bad_bytes() {
    let mut decoders = Decoders::new(MAX_FIELD);
    for (codec, compressed) in codecs() {
        for payload in [&b"no name"[..], b"lower=1", &[b'A'; 300], &[b'A'; 200_000], b""] {
            let outcome = decoders.decode(codec, &compressed(payload), &mut Vec::new(), |_| panic!("it has no name"));
            assert_eq!(outcome, Err(Damage::Name), "{codec:?}");
        }
        for stored in [&b""[..], b"1", b"not compressed at all"] {
            let outcome = decoders.decode(codec, stored, &mut Vec::new(), |_| true);
            assert!(outcome.is_err(), "{codec:?}");
        }
    }
}

#[test]
fn a_bomb_does_not_go_off() {
    const LIMIT: usize = 400_000;
    let mut decoders = Decoders::new(LIMIT);
    let payload = |len: usize| [b"A=", &vec![b'x'; len - 2][..]].concat();
    for (codec, compressed) in codecs() {
        let mut out = Vec::new();
        assert_eq!(
            decoders.decode(codec, &compressed(&payload(LIMIT)), &mut out, |_| true),
            Ok((1, true)),
            "{codec:?}"
        );
        assert_eq!(out.len(), LIMIT);
        for len in [LIMIT + 1, LIMIT + 100, 4 * LIMIT] {
            let mut out = Vec::new();
            let outcome = decoders.decode(codec, &compressed(&payload(len)), &mut out, |_| true);
            assert_eq!(outcome, Ok((1, true)), "{codec:?}");
            assert!(out == payload(len.min(decoders.most())), "{codec:?}");
            assert!(out.capacity() <= 2 * LIMIT, "{codec:?}");
        }
    }
}

#[cfg(feature = "lz4")]
#[test]
fn a_length_before_a_block_is_not_trusted() {
    let mut decoders = Decoders::new(MAX_FIELD);
    let larger = MAX_CONTENT as u64 + 1;
    let lengths = [(1 << 63, Damage::Oversized), (larger, Damage::Oversized), (60 << 20, Damage::Undecodable)];
    for (length, damage) in lengths.into_iter().chain([6, 8].map(|length| (length, Damage::Undecodable))) {
        let stored = [&u64::to_le_bytes(length)[..], b"\x70A=12345"].concat();
        let mut out = Vec::new();
        assert_eq!(decoders.decode(Codec::Lz4, &stored, &mut out, |_| true), Err(damage), "{length}");
        assert!(out.capacity() < 1 << 10);
    }
}

#[cfg(feature = "zstd")]
#[test]
fn the_size_of_a_frame_is_not_trusted() {
    let frame = |size: u64| [&b"\x28\xb5\x2f\xfd\xe0"[..], &size.to_le_bytes(), b"\x39\0\0A=12345"].concat();
    let mut decoders = Decoders::new(MAX_FIELD);
    let mut out = Vec::new();
    assert_eq!(decoders.decode(Codec::Zstd, &frame(7), &mut out, |_| true), Ok((1, true)));
    assert_eq!(out, b"A=12345");
    let larger = MAX_CONTENT as u64 + 1;
    let sizes = [(1 << 63, Damage::Oversized), (larger, Damage::Oversized), (60 << 20, Damage::Undecodable)];
    for (size, damage) in sizes.into_iter().chain([6, 8].map(|size| (size, Damage::Undecodable))) {
        let mut out = Vec::new();
        assert_eq!(decoders.decode(Codec::Zstd, &frame(size), &mut out, |_| true), Err(damage), "{size}");
        assert!(out.capacity() <= 2 << 20);
    }
}

#[cfg(not(all(feature = "xz", feature = "lz4", feature = "zstd")))]
#[test]
fn a_codec_that_was_left_out_decodes_nothing() {
    for codec in [Codec::Xz, Codec::Lz4, Codec::Zstd] {
        if codecs().iter().all(|(built, _)| *built != codec) {
            let outcome = Decoders::new(MAX_FIELD).decode(codec, b"anything", &mut Vec::new(), |_| true);
            assert_eq!(outcome, Err(Damage::Undecodable));
        }
    }
}

proptest! {
    #[test]
    fn the_beginning_is_the_same_at_any_limit(
        parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..40), 1..60_usize), 1..20),
        limit in 0..3000_usize,
    ) {
        let text: Vec<u8> = parts.iter().flat_map(|(part, times)| part.repeat(*times)).collect();
        let payload = [b"A=", &text[..]].concat();
        let mut decoders = Decoders::new(limit);
        for (codec, compressed) in codecs() {
            let mut out = b"before".to_vec();
            prop_assert_eq!(decoders.decode(codec, &compressed(&payload), &mut out, |_| true), Ok((1, true)));
            prop_assert_eq!(&out[6..], &payload[..payload.len().min(decoders.most())], "{:?}", codec);
        }
    }

    #[test]
    fn a_name_ends_where_one_byte_at_a_time_says(text in "[A-Z0-9_]{0,70}[ -~\\x00é]{0,20}[A-Z]{0,20}") {
        let is_name = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
        let naive = text.bytes().position(|byte| !is_name(&byte)).unwrap_or(text.len());
        prop_assert_eq!(name_end(text.as_bytes()), naive);
    }
}
