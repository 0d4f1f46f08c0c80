//! Conversions of text to the types of keys: integers, booleans, durations.

use crate::digits;

/// Parses an integer that fits a receiver's `long`, as JSON writes it. `+1` and `007` are none.
#[inline]
#[must_use]
pub(crate) fn int(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || digits.len() > 19 || (digits.len() > 1 && digits[0] == b'0') || text == b"-0" {
        return None;
    }
    let value = digits::number(digits)?;
    if text.len() == digits.len() { i64::try_from(value).ok() } else { 0_i64.checked_sub_unsigned(value) }
}

/// Parses `true` or `false`.
#[must_use]
pub(crate) fn bool(text: &[u8]) -> Option<bool> {
    match text {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// Parses a duration as Go prints it (`time.Duration.String`), in nanoseconds: `1m2.5s`, `7.917µs`, `0s`.
#[must_use]
pub(crate) fn duration(text: &[u8]) -> Option<i64> {
    let (negative, mut rest) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_i128;
    while !rest.is_empty() {
        let number = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        let (number, behind) = rest.split_at_checked(number).filter(|(number, _)| (1..=30).contains(&number.len()))?;
        let unit = behind.iter().take_while(|byte| !byte.is_ascii_digit()).count();
        let (unit, behind) = behind.split_at_checked(unit)?;
        let nanos: i128 = match std::str::from_utf8(unit).ok()? {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" | "µs" | "μs" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        let number = std::str::from_utf8(number).ok()?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        total += whole.parse::<i64>().ok().map(i128::from)? * nanos;
        if !fraction.is_empty() {
            let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
            total += fraction.parse::<i128>().ok()?.checked_mul(nanos)? / scale;
        }
        rest = behind;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// Returns whether text is a nested value as Go's `%v` prints it: a struct, a slice, a map, or a pointer, whose address
/// means nothing.
#[must_use]
pub(crate) fn is_go_blob(text: &[u8]) -> bool {
    matches!(text, [b'{' | b'[', ..] | [b'&', b'{' | b'[' | b'm', ..] | [b'm', b'a', b'p', b'[', ..])
        || text.strip_prefix(b"0xc").is_some_and(|address| address.iter().all(u8::is_ascii_hexdigit))
        || text.strip_prefix(b"(*").is_some()
}

#[cfg(test)]
mod tests;
