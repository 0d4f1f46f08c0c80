use proptest::prelude::*;

use super::*;

/// Cursors printed by journalctl 252 for a file of 2013 and for a file of systemd-journal-remote 252. Numbers have no
/// leading zeros, and `i` and `m` have one digit.
const PRINTED: &[(&str, Place)] = &[
    (
        "s=add4782f78ca4b6e84aa88d34e5b4a9d;i=1cd;b=4737ffc504774b3ba67020bc947f1bc0;m=42f2dd;t=4d905e4cd5a92;\
         x=25b3f86ff2774ac4",
        Place {
            seqnum_id: 0xadd4_782f_78ca_4b6e_84aa_88d3_4e5b_4a9d_u128.to_be_bytes(),
            seqnum: 461,
            boot_id: 0x4737_ffc5_0477_4b3b_a670_20bc_947f_1bc0_u128.to_be_bytes(),
            monotonic: 4_387_549,
            realtime: 1_364_519_243_569_810,
            xor_hash: 0x25b3_f86f_f277_4ac4,
        },
    ),
    (
        "s=19539108535c47ef978a73f67d6ed7b3;i=2;b=b0000000000000000000000000000001;m=5;t=60a24181e4005;\
         x=a02e292359cecf9",
        Place {
            seqnum_id: 0x1953_9108_535c_47ef_978a_73f6_7d6e_d7b3_u128.to_be_bytes(),
            seqnum: 2,
            boot_id: 0xb000_0000_0000_0000_0000_0000_0000_0001_u128.to_be_bytes(),
            monotonic: 5,
            realtime: 1_700_000_000_000_005,
            xor_hash: 0x0a02_e292_359c_ecf9,
        },
    ),
];

fn text(place: &Place) -> String {
    let mut text = Vec::new();
    place.write_to(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn both_ways_as_journalctl_writes_it() {
    for (printed, place) in PRINTED {
        assert_eq!(text(place), *printed);
        let cursor: Cursor = printed.parse().unwrap();
        assert_eq!(cursor.place(), Some(*place));
        assert_eq!(cursor.to_string(), *printed);
    }
}

#[test]
fn each_of_a_real_export_comes_back_as_it_was() {
    let printed = include_str!("../merge/journalctl-252.txt");
    let cursors: Vec<_> = printed.lines().filter(|line| line.starts_with("s=")).collect();
    assert_eq!(cursors.len(), 70);
    for cursor in cursors {
        assert_eq!(text(&cursor.parse::<Cursor>().unwrap().place().unwrap()), cursor);
    }
}

#[test]
fn zero_has_a_digit() {
    let place = Place { seqnum_id: [0; 16], seqnum: 0, boot_id: [0; 16], monotonic: 0, realtime: 0, xor_hash: 0 };
    let zeros = "0".repeat(32);
    assert_eq!(text(&place), format!("s={zeros};i=0;b={zeros};m=0;t=0;x=0"));
}

#[test]
fn the_longest_is_as_long_as_said() {
    let place = Place {
        seqnum_id: [255; 16],
        seqnum: u64::MAX,
        boot_id: [255; 16],
        monotonic: u64::MAX,
        realtime: u64::MAX,
        xor_hash: u64::MAX,
    };
    assert_eq!(text(&place).len(), Cursor::MAX_LENGTH);
}

#[test]
fn parts_in_any_order_case_and_number() {
    let cursor: Cursor = " t=4D905E4CD5A92;p=system.journal;i=00001\n".parse().unwrap();
    assert_eq!(
        cursor,
        Cursor { seqnum: Some(1), realtime: Some(1_364_519_243_569_810), ..Cursor::default() },
        "p is of no version of today, and without s the i says nothing"
    );
    assert_eq!(cursor.place(), None);
    assert_eq!(cursor.to_string(), "i=1;t=4d905e4cd5a92");
    let uptime = "b=4737ffc504774b3ba67020bc947f1bc0;m=0";
    assert_eq!(uptime.parse::<Cursor>().unwrap().to_string(), uptime);
    let sequence = "s=add4782f78ca4b6e84aa88d34e5b4a9d;i=ffffffffffffffff";
    assert_eq!(sequence.parse::<Cursor>().unwrap().to_string(), sequence);
}

#[test]
fn an_error_names_the_part_and_what_was_expected() {
    let message = |text: &str| text.parse::<Cursor>().unwrap_err().to_string();
    assert!(message("").starts_with("invalid part \"\" in the cursor \"\": expected a letter, `=` and a value;"));
    assert!(message("t=1;").contains("invalid part \"\""));
    assert!(message("t=1;hello").contains("invalid part \"hello\" in the cursor \"t=1;hello\""));
    assert!(message("2024-01-01").contains("a cursor looks like `s=9ef187f32a794a6ba5d5a7e2f1ca1f7d;i=1cd;"));
    assert_eq!(
        message("s=4737ffc5;i=1"),
        "invalid sequence number id \"4737ffc5\" in the part `s` of the cursor \"s=4737ffc5;i=1\": expected 32 \
         hexadecimal digits"
    );
    for (bad, what) in [
        ("t=", "wall-clock time \"\" in the part `t`"),
        ("t=-1", "wall-clock time \"-1\""),
        ("t=+1", "wall-clock time \"+1\""),
        ("t=0x1", "wall-clock time \"0x1\""),
        ("t=12345678901234567", "expected 1 to 16 hexadecimal digits"),
        ("m=g", "monotonic time \"g\" in the part `m`"),
        ("i= 1", "sequence number \" 1\" in the part `i`"),
        ("x=\u{e9}", "hash \"\u{e9}\" in the part `x`"),
        ("b=4737ffc5-0477-4b3b-a670-20bc947f1bc0", "boot id"),
        ("b=4737ffc504774b3ba67020bc947f1b+0", "boot id"),
    ] {
        assert!(message(bad).contains(what), "{}", message(bad));
    }
    assert_eq!(message("t=1;t=2"), "the part `t` is there twice in the cursor \"t=1;t=2\": expected one cursor");
    let half = message("s=add4782f78ca4b6e84aa88d34e5b4a9d;m=1;x=5");
    assert!(half.contains("expected at least the parts `s` and `i`, or `b` and `m`, or `t`"), "{half}");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        seqnum_id: [u8; 16], seqnum: u64, boot_id: [u8; 16], monotonic: u64, realtime: u64, xor_hash: u64,
    ) {
        let place = Place { seqnum_id, seqnum, boot_id, monotonic, realtime, xor_hash };
        let written = text(&place);
        prop_assert_eq!(written.parse::<Cursor>().unwrap(), Cursor::from(place));
        let id = |bytes| format!("{:032x}", u128::from_be_bytes(bytes));
        let (s, b) = (id(seqnum_id), id(boot_id));
        prop_assert_eq!(written, format!("s={s};i={seqnum:x};b={b};m={monotonic:x};t={realtime:x};x={xor_hash:x}"));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "([sibmtxp]=[0-9a-f]{0,33};?|.){0,8}") {
        if let Ok(cursor) = text.parse::<Cursor>() {
            prop_assert_eq!(cursor.to_string().parse::<Cursor>(), Ok(cursor));
        }
    }
}
