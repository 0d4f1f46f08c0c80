use proptest::prelude::*;

use super::*;
use crate::record::Value;

/// Compares the pairs of a line and the names of its flaws.
fn check(line: &[u8], pairs: &[(&str, &[u8])], flaws: &[&str]) {
    let bump = Bump::new();
    let mut found = Vec::new();
    let got = scan(line, &bump, &mut found);
    let found: Vec<(String, Vec<u8>)> = found
        .iter()
        .map(|pair| {
            assert_eq!(pair.id, dictionary::find(pair.key), "{}", String::from_utf8_lossy(line));
            let Value::Text(text) = pair.value else { panic!("logfmt has only text") };
            (String::from_utf8_lossy(pair.key).into_owned(), text.decode(&bump).to_vec())
        })
        .collect();
    let wanted: Vec<(String, Vec<u8>)> = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect();
    assert_eq!(found, wanted, "{}", String::from_utf8_lossy(line));
    assert_eq!(got.flaws.iter().map(Flaw::name).collect::<Vec<_>>(), flaws, "{}", String::from_utf8_lossy(line));
}

#[test]
fn values_bare_empty_and_quoted() {
    check(
        b"level=info a= msg=\"two words\" b=",
        &[("level", b"info"), ("a", b""), ("msg", b"two words"), ("b", b"")],
        &[],
    );
    check(b"msg=\"\" a=1", &[("msg", b""), ("a", b"1")], &[]);
}

#[test]
fn what_comes_next_need_not_be_what_mostly_does() {
    let rest = "sandbox=1 source=2 subsystem=3";
    let after = [("sandbox", &b"1"[..]), ("source", b"2"), ("subsystem", b"3")];
    // Keys in another order, with a common beginning, without a value, and at the end of the line.
    for (line, first) in [
        ("time=x level=y msg=z", &[("time", &b"x"[..]), ("level", b"y"), ("msg", b"z")][..]),
        ("level=y time=x msg=z", &[("level", b"y"), ("time", b"x"), ("msg", b"z")]),
        ("times=x time=y levels=z", &[("times", b"x"), ("time", b"y"), ("levels", b"z")]),
        ("time= level=\"\" msg=", &[("time", b""), ("level", b""), ("msg", b"")]),
        ("name=x pid=1", &[("name", b"x"), ("pid", b"1")]),
        ("name=x pi=1", &[("name", b"x"), ("pi", b"1")]),
    ] {
        check(line.as_bytes(), first, &[]);
        check(format!("{line}  {rest}").as_bytes(), &[first, &after].concat(), &[]);
    }
    check(b"time==x", &[("time", b"=x")], &["bare-value"]);
    check(
        b"name=x a pid=1 and the rest",
        &[("name", b"x"), ("a pid", b"1"), ("words", b"and the rest")],
        &["bare-words"],
    );
}

#[test]
fn escapes_are_kept_until_decoded() {
    check(br#"msg="a \"b\" \\ \x00\xff \u200b""#, &[("msg", b"a \"b\" \\ \x00\xff \xe2\x80\x8b")], &[]);
    check(br#"msg="C:\dir""#, &[("msg", br"C:\dir")], &["bad-escape"]);
}

#[test]
fn words_belong_to_the_next_key() {
    check(b"StratoVirt Pid=4242 fcInit failed:=\"x\"", &[("StratoVirt Pid", b"4242"), ("fcInit failed:", b"x")], &[]);
    check(b"msg=hello world foo bar", &[("msg", b"hello"), ("words", b"world foo bar")], &["bare-words"]);
}

#[test]
fn a_quote_closes_before_a_space_or_a_key() {
    check(
        br#"time="2019-04-25T06:03:43Z"level=info msg="x""#,
        &[("time", b"2019-04-25T06:03:43Z"), ("level", b"info"), ("msg", b"x")],
        &["missing-space"],
    );
    check(
        br#"msg="created pod sandbox "ff7e5dd7"" name=x"#,
        &[("msg", br#"created pod sandbox "ff7e5dd7""#), ("name", b"x")],
        &["stray-quote"],
    );
}

#[test]
fn a_line_may_end_anywhere() {
    let line = br#"time="2021-10-07T22:40:26.3Z" level=debug msg="a \"b\" \x1b" key="#;
    for end in 0..line.len() {
        let bump = Bump::new();
        let mut pairs = Vec::new();
        scan(&line[..end], &bump, &mut pairs);
        assert!(pairs.len() <= 4);
    }
    check(br#"msg="open \"#, &[("msg", br"open \")], &["unterminated-quote", "bad-escape"]);
}

#[test]
fn go_reports_its_own_errors() {
    check(b"msg=\"add %!s(MISSING) 100%\"", &[("msg", b"add %!s(MISSING) 100%")], &["go-format-error"]);
    check(b"msg=\"50% of %!\"", &[("msg", b"50% of %!")], &[]);
}

#[test]
fn two_entries_run_together_are_flagged() {
    check(
        br#"source=katautilstime="2022Z" level=info"#,
        &[("source", br#"katautilstime="2022Z""#), ("level", b"info")],
        &["bare-value"],
    );
}

#[test]
fn a_hostile_line_has_an_end() {
    let line = b"a=1 ".repeat(MAX_PAIRS + 2);
    let bump = Bump::new();
    let mut pairs = Vec::new();
    let flaws = scan(&line, &bump, &mut pairs);
    assert!(flaws.flaws.has(Flaw::TooManyPairs));
    assert_eq!(pairs.len(), MAX_PAIRS + 1);
}

proptest! {
    /// Crate `logfmt` loses escapes, so values have none.
    #[test]
    fn plain_pairs_read_as_crate_logfmt_reads_them(
        pairs in prop::collection::vec(("(time|level|msg|name|pid|sandbox|source|subsystem|[a-z][a-z_-]{0,8})", "[a-z0-9./+-]{1,10}|\"[a-z0-9 =,:é]{1,20}\""), 1..12),
    ) {
        let line = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ");
        let bump = Bump::new();
        let mut found = Vec::new();
        prop_assert!(scan(line.as_bytes(), &bump, &mut found).flaws.is_empty());
        let found: Vec<_> = found
            .iter()
            .map(|pair| match pair.value {
                Value::Text(text) => (pair.key, text.bytes),
                _ => (pair.key, b"".as_slice()),
            })
            .collect();
        let wanted = ::logfmt::parse(&line);
        let wanted: Vec<_> =
            wanted.iter().map(|pair| (pair.key.as_bytes(), pair.val.as_deref().unwrap_or("").as_bytes())).collect();
        prop_assert_eq!(found, wanted);
    }
}
