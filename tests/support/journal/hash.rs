//! The two hashes of journal files, implemented independently of the program.

#![allow(deprecated, reason = "the standard library's SipHash-2-4 is deprecated, and still the reference here")]

use std::hash::{Hasher as _, SipHasher};

/// Computes SipHash-2-4 with the file's id as its key, for files with `KEYED_HASH`.
pub(crate) fn keyed(file_id: u128, bytes: &[u8]) -> u64 {
    let id = file_id.to_be_bytes();
    let half = |at: usize| u64::from_le_bytes(id[at..at + 8].try_into().unwrap());
    let mut hasher = SipHasher::new_with_keys(half(0), half(8));
    hasher.write(bytes);
    hasher.finish()
}

/// Computes `hashlittle2` of Bob Jenkins's lookup3 with both seeds 0. Its first result becomes the high half.
pub(crate) fn jenkins(bytes: &[u8]) -> u64 {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let mut state = [start; 3];
    let mut rest = bytes;
    while rest.len() > 12 {
        add(&mut state, &rest[..12]);
        rest = &rest[12..];
        for (at, turn) in [4, 6, 8, 16, 19, 4].into_iter().enumerate() {
            let (a, b, c) = (at % 3, (at + 1) % 3, (at + 2) % 3);
            state[a] = state[a].wrapping_sub(state[c]) ^ state[c].rotate_left(turn);
            state[c] = state[c].wrapping_add(state[b]);
        }
    }
    if !rest.is_empty() {
        add(&mut state, rest);
        for (at, turn) in [14, 11, 25, 16, 4, 14, 24].into_iter().enumerate() {
            let (into, from) = ((at + 2) % 3, (at + 1) % 3);
            state[into] = (state[into] ^ state[from]).wrapping_sub(state[from].rotate_left(turn));
        }
    }
    u64::from(state[2]) << 32 | u64::from(state[1])
}

/// Adds up to twelve bytes to the state, as three little-endian numbers.
fn add(state: &mut [u32; 3], bytes: &[u8]) {
    for (at, byte) in bytes.iter().enumerate() {
        state[at / 4] = state[at / 4].wrapping_add(u32::from(*byte) << (8 * (at % 4)));
    }
}

#[test]
fn hashes_are_those_of_systemd() {
    for (text, hash) in [
        ("MESSAGE=hello", 0x87dd_eff2_fd1b_d06d),
        ("PRIORITY=6", 0x80f0_9f19_808d_26a3),
        ("_BOOT_ID=00112233445566778899aabbccddeeff", 0xc9f8_9a4d_ca03_99e3),
        ("MESSAGE", 0x8845_60c2_37b1_05c0),
        ("xxxxxxxxxxxx", 0x2e4f_fe2b_0131_ff67),
        ("xxxxxxxxxxxxxxxxxxxxxxxx", 0x4f26_558e_878b_fa2d),
        ("xxxxxxxxxxxxxxxxxxxxxxxxx", 0x1829_8975_9da4_1fbe),
    ] {
        assert_eq!(jenkins(text.as_bytes()), hash, "{text}");
    }
    let key = 0x505f_31f7_47a1_4cd5_a029_4ce4_8e50_5548;
    assert_eq!(keyed(key, b"MESSAGE=hello"), 0x2a8e_3200_88af_6e5a);
}
