use super::*;

#[test]
fn integers_are_those_of_json_and_of_i64() {
    assert_eq!(int(b"0"), Some(0));
    assert_eq!(int(b"-9223372036854775808"), Some(i64::MIN));
    assert_eq!(int(b"9223372036854775807"), Some(i64::MAX));
    for text in ["", "-", "9223372036854775808", "007", "+1", "1.0", "1e3", "-0", "1 ", "99999999999999999999"] {
        assert_eq!(int(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn durations_are_those_of_go() {
    for (text, nanos) in [
        ("0s", 0),
        ("7.917µs", 7_917),
        ("197.547423ms", 197_547_423),
        ("3.496199113s", 3_496_199_113),
        ("1m2.5s", 62_500_000_000),
        ("-1h0m0.5s", -3_600_500_000_000),
        ("12ns", 12),
    ] {
        assert_eq!(duration(text.as_bytes()), Some(nanos), "{text}");
    }
    for text in ["", "-", "5", "s", "1.5", "1x", "1..5s", "99999999999h"] {
        assert_eq!(duration(text.as_bytes()), None, "{text}");
    }
}
