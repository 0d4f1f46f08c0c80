use super::*;
use proptest::prelude::*;

fn naive_nested_end(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn naive(bytes: &[u8], at: usize, class: impl Fn(u8) -> bool) -> usize {
    (at..bytes.len()).find(|&i| class(bytes[i])).unwrap_or(bytes.len())
}

proptest! {
    #[test]
    fn scanners_agree_with_one_byte_at_a_time(
        bytes in prop::collection::vec(prop_oneof![8 => b'a'..=b'z', 1 => prop::sample::select(b"\"\\=% \n\x00\x7f\x80\xff\x1f!09_@[/:".as_slice())], 0..200),
        at in 0_usize..200,
    ) {
        let at = at.min(bytes.len());
        prop_assert_eq!(token_end(&bytes, at), naive(&bytes, at, |b| b <= b' ' || b >= 0x80 || b"\"=\\".contains(&b)));
        prop_assert_eq!(quoted_stop(&bytes, at), naive(&bytes, at, |b| !(b' '..0x80).contains(&b) || b"\"%\\".contains(&b)));
        prop_assert_eq!(unclean(&bytes, at), naive(&bytes, at, |b| !(b' '..0x80).contains(&b) || b"\"\\".contains(&b)));
        prop_assert_eq!(json_special(&bytes, at), naive(&bytes, at, |b| b < b' ' || b"\"\\".contains(&b)));
        prop_assert_eq!(semicolon_or_control(&bytes, at), naive(&bytes, at, |b| b < b' ' || b == b';'));
        prop_assert_eq!(unprinted(&bytes, at), naive(&bytes, at, |b| !(b' '..0x7f).contains(&b) || b"\"\\".contains(&b)));
        prop_assert_eq!(ascii(&bytes, at), naive(&bytes, at, |b| b < 0x80));
        let mut out = b"before".to_vec();
        let end = copy_escaped(&bytes, at, &mut out);
        let is_quoted = |b| b"\"\\".contains(&b);
        prop_assert_eq!(end, naive(&bytes, at, |b| !(b' '..0x7f).contains(&b) && !is_quoted(b)));
        let escaped = bytes[at..end].iter().flat_map(|b| if is_quoted(*b) { vec![b'\\', *b] } else { vec![*b] });
        prop_assert_eq!(out, b"before".iter().copied().chain(escaped).collect::<Vec<u8>>());
    }

    #[test]
    fn nested_end_agrees_with_one_byte_at_a_time(inside in "[\\[\\]{}\"\\\\a-z ,:é]{0,300}") {
        let text = format!("{{{inside}");
        prop_assert_eq!(nested_end(text.as_bytes(), 0), naive_nested_end(text.as_bytes()));
    }
}
