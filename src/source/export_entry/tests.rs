use crate::source::tests::{Owned, binary, entries, settings};
use crate::source::{InputFormat, Settings};
use kata_records::Framing::{Export, Line};

fn auto(data: impl AsRef<[u8]>) -> Vec<Owned> {
    entries(data, &Settings::default())
}

fn limited(data: impl AsRef<[u8]>, max_line: usize) -> Vec<Owned> {
    entries(data, &settings(InputFormat::Auto, max_line))
}

fn seen(entries: &[Owned]) -> Vec<(&str, bool, bool)> {
    entries.iter().map(|entry| (entry.text.as_str(), entry.truncated, entry.unfinished)).collect()
}

#[test]
fn entries_run_to_their_blank_line() {
    let found = auto("__CURSOR=0\n\nbefore\n__CURSOR=a\nX=1\n\n__REALTIME_TIMESTAMP=2\n\n\nafter\n");
    assert_eq!(
        seen(&found),
        [
            ("__CURSOR=0\n", false, false),
            ("before", false, false),
            ("__CURSOR=a\nX=1\n", false, false),
            ("__REALTIME_TIMESTAMP=2\n", false, false),
            ("", false, false),
            ("after", false, false)
        ]
    );
    let framing: Vec<_> = found.iter().map(|entry| (entry.framing, entry.offset)).collect();
    assert_eq!(framing, [(Export, 0), (Line, 12), (Export, 19), (Export, 35), (Line, 59), (Line, 60)]);
    // A guest may have written what looks like an entry in another input.
    let found = auto("before\n__CURSOR=a\nX=1\n\n");
    assert!(found.iter().all(|entry| entry.framing == Line) && found.len() == 4);
}

#[test]
fn binary_data_may_hold_anything() {
    let entry = [b"__CURSOR=a\n".to_vec(), binary("M", 7, b"a\n\n\0=\xff\n"), binary("EMPTY", 0, b"")].concat();
    let found = auto([&entry[..], b"\nafter"].concat());
    assert_eq!(found[0].bytes, entry);
    assert_eq!((found[0].framing, found[0].truncated, found[0].unfinished), (Export, false, false));
    assert_eq!(found[1].text, "after");
}

#[test]
fn other_starts_count_where_the_format_is_stated() {
    let found = entries("\n\r\nMESSAGE=a\nodd line\n\nB=1\n\n", &settings(InputFormat::Export, 100));
    assert_eq!(
        seen(&found),
        [("", false, false), ("", false, false), ("MESSAGE=a\nodd line\n", false, false), ("B=1\n", false, false)]
    );
    assert_eq!((found[1].framing, found[2].framing), (Line, Export));
}

#[test]
fn an_input_that_ends_inside_an_entry_gives_what_is_there() {
    assert_eq!(seen(&auto("__CURSOR=a\n")), [("__CURSOR=a\n", false, true)]);
    assert_eq!(seen(&auto("__CURSOR=a")), [("__CURSOR=a\n", false, true)]);
    assert_eq!(seen(&auto("__CURSOR=a\nM=12")), [("__CURSOR=a\nM=12\n", false, true)]);
    let whole = binary("M", 5, b"12345");
    for (kept, cut) in [(5, whole.len() - 1), (3, whole.len() - 3), (0, 10)] {
        let found = auto([b"__CURSOR=a\n", &whole[..cut]].concat());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].bytes, [b"__CURSOR=a\n".to_vec(), binary("M", kept, &b"12345"[..kept as usize])].concat());
        assert!(found[0].unfinished);
    }
    // An incomplete field may just as well be a line that follows.
    assert_eq!(
        seen(&auto("__CURSOR=a\nhello\nyou")),
        [("__CURSOR=a\n", false, true), ("hello", false, false), ("you", false, false)]
    );
    let stated = entries("A=1\nhello\nyou", &settings(InputFormat::Export, 100));
    assert_eq!(seen(&stated), [("A=1\nhello\nyou\n", false, true)]);
}

#[test]
fn text_beyond_the_limit_is_skipped() {
    let (limit, long) = ("v".repeat(40), "v".repeat(500));
    let found = limited(format!("__CURSOR={long}\nA={limit}\nB={limit}v\nC=c\n\nafter\n"), 40);
    assert_eq!(
        seen(&found),
        [(format!("__CURSOR={limit}\nA={limit}\nB={limit}\nC=c\n").as_str(), true, false), ("after", false, false)]
    );
    assert_eq!(found[1].offset, 9 + 500 + 1 + 43 + 44 + 4 + 1);
}

#[test]
fn data_beyond_the_limit_is_skipped_and_its_length_restated() {
    for excess in [1, 2, 30, 400] {
        let data = vec![b'\n'; 40 + excess];
        let fields =
            [b"__CURSOR=a\n".to_vec(), binary("M", data.len() as u64, &data), b"C=c\n".to_vec(), binary("D", 1, b"d")];
        let found = limited([&fields.concat()[..], b"\nafter"].concat(), 40);
        let kept =
            [b"__CURSOR=a\n".to_vec(), binary("M", 40, &data[..40]), b"C=c\n".to_vec(), binary("D", 1, b"d")].concat();
        assert_eq!((&found[0].bytes, found[0].truncated, found[0].unfinished), (&kept, true, false));
        assert_eq!(found[1].text, "after");
        // A missing line end after the data ends the entry.
        let broken = [b"__CURSOR=a\n", &binary("M", data.len() as u64, &data)[..], b"x"].concat();
        let place = broken.len() - 2;
        let broken = [&broken[..place], b"lost\nafter\n"].concat();
        let found = limited(broken, 40);
        assert_eq!(found[0].bytes, [b"__CURSOR=a\n".to_vec(), binary("M", 40, &data[..40])].concat());
        assert_eq!(seen(&found)[1..], [("lost", false, false), ("after", false, false)]);
        assert!(found[0].truncated);
    }
}

#[test]
fn an_entry_has_room_for_four_fields_of_the_limit() {
    let long = "v".repeat(40);
    let field = format!("A={long}\n");
    let data = binary("M", 40, &[b'x'; 40]);
    let input =
        [format!("__CURSOR=a\n{field}{field}{field}").as_bytes(), &data, b"SMALL=but later\n", &data, b"\nafter\n"]
            .concat();
    let found = limited(input, 40);
    assert_eq!(
        seen(&found),
        [(format!("__CURSOR=a\n{field}{field}{field}").as_str(), true, false), ("after", false, false)]
    );
}

#[test]
fn impossible_lengths_end_the_entry() {
    for length in [u64::MAX, 1 << 63, (768 << 20) + 1] {
        let input = [b"__CURSOR=a\n".to_vec(), binary("M", length, b"x\ny"), b"__CURSOR=b\n\n".to_vec()].concat();
        let found = auto(&input);
        assert_eq!((found[0].text.as_str(), found[0].truncated), ("__CURSOR=a\n", true));
        // Nothing is lost: the field comes out as lines.
        assert_eq!(found[1].text, "M");
        assert_eq!(found[found.len() - 2].text, "y");
        assert_eq!((found[found.len() - 1].text.as_str(), found[found.len() - 1].framing), ("__CURSOR=b\n", Export));
        let stated = entries(&input, &settings(InputFormat::Export, 100));
        let bytes: Vec<_> = stated.iter().flat_map(|entry| entry.bytes.clone()).collect();
        assert_eq!(bytes, input[..input.len() - 1], "nothing is lost but the blank line");
        assert_eq!(stated[0].text, "__CURSOR=a\n");
    }
    // The largest valid length is accepted, although its data never arrives.
    let found = limited([b"__CURSOR=a\n", &binary("M", 768 << 20, &[b'x'; 100])[..]].concat(), 40);
    assert_eq!(found[0].bytes, [b"__CURSOR=a\n".to_vec(), binary("M", 40, &[b'x'; 40])].concat());
    assert_eq!((found.len(), found[0].truncated, found[0].unfinished), (1, true, true));
}

#[test]
fn what_cannot_be_a_field_ends_the_entry_in_a_mixed_stream() {
    let found = auto("__CURSOR=a\nM=1\nnot a field\nN=2\n\n__CURSOR=b\n\n");
    assert_eq!(
        seen(&found),
        [
            ("__CURSOR=a\nM=1\n", true, false),
            ("not a field", false, false),
            ("N=2", false, false),
            ("", false, false),
            ("__CURSOR=b\n", false, false)
        ]
    );
    let long = "N".repeat(65);
    assert_eq!(auto(format!("__CURSOR=a\n{long}=1\n\n"))[1].text, format!("{long}=1"));
    let longest = "N".repeat(64);
    assert_eq!(auto(format!("__CURSOR=a\n{longest}=1\n\n")).len(), 1);
    assert_eq!(auto("__CURSOR=a\n=1\n\n")[1].text, "=1");
}

#[test]
fn data_without_its_line_end_is_framed_anew() {
    let found = auto([b"__CURSOR=a\n".to_vec(), binary("M", 2, b"xyz")].concat());
    assert_eq!(
        seen(&found),
        [("__CURSOR=a\n", true, false), ("M", false, false), ("\u{2}\0\0\0\0\0\0\0xyz", false, false)]
    );
    let stated = entries([b"A=1\n".to_vec(), binary("M", 2, b"xyz=1")].concat(), &settings(InputFormat::Export, 100));
    assert_eq!(seen(&stated), [("A=1\n", true, false), ("M\n\u{2}\0\0\0\0\0\0\0xyz=1\n", true, true)]);
}
