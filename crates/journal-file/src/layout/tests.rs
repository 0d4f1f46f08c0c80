use super::{EntryHead, HeaderState, JournalHeader, ObjectKind, Widths, push_offsets, u32_at, u64_at};
use crate::offset::{Offset, Units};

#[test]
fn a_header_has_what_its_length_covers() {
    let mut bytes: Vec<u8> = (0..=255).cycle().take(272).collect();
    for (size, tail_array, tail_entry) in
        [(208, false, false), (240, false, false), (264, true, false), (272, true, true)]
    {
        bytes[88..96].copy_from_slice(&u64::to_le_bytes(size));
        let header = JournalHeader::decode(&bytes);
        assert_eq!(header.header_size, size);
        assert_eq!(header.n_data.is_some(), size >= 216);
        assert_eq!(header.n_entry_arrays.is_some(), size >= 240);
        assert_eq!(header.tail_entry_array_offset.is_some(), tail_array);
        assert_eq!(header.tail_entry_array_n_entries.is_some(), tail_array);
        assert_eq!(header.tail_entry_offset.is_some(), tail_entry);
        assert_eq!(header.n_entries, 0x9f9e_9d9c_9b9a_9998);
        assert_eq!(header.file_id[0], 24);
    }
    for (byte, state) in
        [(0, HeaderState::Offline), (1, HeaderState::Online), (2, HeaderState::Archived), (3, HeaderState::Unknown(3))]
    {
        bytes[16] = byte;
        assert_eq!(JournalHeader::decode(&bytes).state, state);
    }
    assert_eq!(
        JournalHeader::decode(b"LPKSHHRH").state,
        HeaderState::Unknown(255),
        "bytes that are missing are no reason to panic"
    );
}

#[test]
fn offsets_that_no_object_can_have_are_zero() {
    assert_eq!(Offset(8).units(), Units(1));
    assert_eq!(Offset((1 << 35) - 8).units(), Units(u32::MAX));
    for offset in [0, 1, 4, 12, 1 << 35, u64::MAX, u64::MAX - 7] {
        assert_eq!(Offset(offset).units(), Units::NONE, "{offset}");
    }
    let aligned = |offset| Offset(offset).aligned();
    assert_eq!((aligned(16), aligned(17), aligned(u64::MAX)), (Some(Offset(16)), Some(Offset(24)), None));
    assert_eq!((u64_at(b"1234567", 0), u32_at(b"\x01\0\0\0", 0), u32_at(b"1234", usize::MAX)), (0, 1, 0));
}

#[test]
fn items_are_read_in_each_width() {
    let offsets = [16_u64, 24, 0, 13, 4096];
    let of_width = |width: usize| {
        let bytes: Vec<u8> = offsets.iter().flat_map(|offset| [offset.to_le_bytes(), [0xff; 8]].concat()).collect();
        let bytes: Vec<u8> = bytes.chunks(16).flat_map(|item| item[..width].to_vec()).collect();
        let mut out = vec![Units(7)];
        push_offsets(&bytes, width, &mut out);
        out
    };
    for width in [4, 8, 16] {
        assert_eq!(of_width(width), [7, 2, 3, 0, 0, 512].map(Units));
    }
}

#[test]
fn sizes_fit_their_kinds() {
    for compact in [false, true] {
        let widths = Widths::of(compact);
        let kinds = (0..=u8::MAX).filter_map(ObjectKind::of).collect::<Vec<_>>();
        assert_eq!(kinds.len(), 7);
        for kind in kinds {
            assert_eq!(ObjectKind::of(kind as u8), Some(kind));
            let smallest = widths.smallest(kind);
            assert!(widths.allow(kind, smallest));
            assert!((0..smallest).all(|size| !widths.allow(kind, size)));
            let any = matches!(kind, ObjectKind::Data | ObjectKind::Field);
            assert_eq!(widths.allow(kind, smallest + 1), any);
        }
        assert!(!widths.allow(ObjectKind::Tag, 128));
    }
    assert_eq!(Widths::of(false).smallest(ObjectKind::Entry), 80);
    assert_eq!(Widths::of(true).smallest(ObjectKind::Data), 73);
}

#[test]
fn an_entry_has_its_numbers_in_range() {
    let mut sound = [0; 64];
    for (at, value) in [(16, 1), (24, (1 << 55) - 1), (32, 0), (40, 9), (48, 0), (56, 77)] {
        sound[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
    }
    let head = EntryHead::decode(&sound).unwrap();
    assert_eq!((head.seqnum, head.realtime, head.monotonic, head.xor_hash), (1, (1 << 55) - 1, 0, 77));
    for (at, value) in [(16, 0), (24, 0), (24, 1 << 55), (32, 1 << 55)] {
        let mut broken = sound;
        broken[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        assert_eq!(EntryHead::decode(&broken), None, "{at}");
    }
    // journalctl prints entries without a boot.
    sound[40..56].fill(0);
    assert_eq!(EntryHead::decode(&sound).map(|head| head.boot_id), Some([0; 16]));
    assert_eq!(EntryHead::decode(&sound[..63]), None);
}
