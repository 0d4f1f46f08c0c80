use super::JournalHash;

#[test]
fn jenkins_is_that_of_journald() {
    let vectors: [(&[u8], u64); 7] = [
        (b"MESSAGE=hello", 0x87dd_eff2_fd1b_d06d),
        (b"PRIORITY=6", 0x80f0_9f19_808d_26a3),
        (b"_BOOT_ID=00112233445566778899aabbccddeeff", 0xc9f8_9a4d_ca03_99e3),
        (b"MESSAGE", 0x8845_60c2_37b1_05c0),
        (&[b'x'; 12], 0x2e4f_fe2b_0131_ff67),
        (&[b'x'; 24], 0x4f26_558e_878b_fa2d),
        (&[b'x'; 25], 0x1829_8975_9da4_1fbe),
    ];
    for (bytes, hash) in vectors {
        assert_eq!(JournalHash::Jenkins.of(bytes), hash, "{}", bytes.escape_ascii());
    }
    assert_eq!(vectors[..3].iter().fold(0, |xor, (_, hash)| xor ^ hash), 0xced5_eaa6_b795_6f2d);
    assert_eq!(JournalHash::Jenkins.of(b""), 0xdead_beef_dead_beef);
}

#[test]
fn the_keyed_hash_takes_the_id_as_it_is_stored() {
    let key = 0x505f_31f7_47a1_4cd5_a029_4ce4_8e50_5548_u128.to_be_bytes();
    assert_eq!(JournalHash::Sip(key).of(b"MESSAGE=hello"), 0x2a8e_3200_88af_6e5a);
}
