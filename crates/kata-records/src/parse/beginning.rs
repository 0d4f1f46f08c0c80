//! The beginnings that only whole lines of the host's programs have.

/// Returns whether a message begins as only a whole line can: `time="<time>" level=` of logrus, which always quotes its
/// time, or a JSON object with its first key, such as `{"msg":` of slog.
///
/// Both hold quotes, and every writer escapes the quotes of a text that it carries. The quote that closes such a text may
/// follow a brace of the text, but no key follows it.
#[must_use]
pub(crate) fn begins_line(message: &[u8]) -> bool {
    let Some(time) = message.strip_prefix(b"time=\"") else { return begins_object(message) };
    let end = memchr::memchr(b'"', time.get(..48).unwrap_or(time)).unwrap_or_default();
    is_date(time)
        && end > 0
        && time.get(end - 1) != Some(&b'\\')
        && time.get(end..).is_some_and(|rest| rest.starts_with(b"\" level="))
}

/// Returns whether a message begins as a whole line of a logger can, as [`begins_line`] does. An object must begin with a key
/// that loggers write first, because the print of a map can follow a cut.
#[must_use]
pub(crate) fn begins_record(message: &[u8]) -> bool {
    const KEYS: [&[u8]; 6] = [b"msg", b"level", b"time", b"ts", b"arch", b"error"];
    match message.strip_prefix(b"{\"") {
        Some(key) => KEYS.iter().any(|name| key.strip_prefix(*name).is_some_and(|rest| rest.starts_with(b"\":\""))),
        None => begins_line(message),
    }
}

/// Returns whether a text begins with a date and a time: `2024-05-06T07:08:14`, or with a space for the `T`.
#[inline(always)]
pub(crate) fn is_date(text: &[u8]) -> bool {
    let (Some(head), Some(mark)) = (text.first_chunk::<16>(), text.get(16)) else { return false };
    // The writer escapes quotes, so a few bytes tell a time from other text.
    const MARKS: u128 = u128::from_le_bytes(*b"\0\0\0\0-\0\0-\0\0\0\0\0:\0\0");
    const MASK: u128 = u128::from_le_bytes(*b"\0\0\0\0\xff\0\0\xff\0\0\0\0\0\xff\0\0");
    text.len() >= 19
        && u128::from_le_bytes(*head) & MASK == MARKS
        && head[0].is_ascii_digit()
        && matches!(head[10], b'T' | b' ')
        && *mark == b':'
}

/// Returns whether a message begins with `{"key":`.
fn begins_object(message: &[u8]) -> bool {
    // The first keys of slog and of kata-runtime need no search.
    if message.starts_with(b"{\"msg\":\"") || message.starts_with(b"{\"arch\":\"") {
        return true;
    }
    let Some(key) = message.strip_prefix(b"{\"") else { return false };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let length = memchr::memchr(b'"', key.get(..65).unwrap_or(key)).unwrap_or_default();
    length > 0 && key.get(length + 1) == Some(&b':') && key.iter().take(length).all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_begin_with_an_unescaped_quote() {
        for (text, begins) in [
            ("time=\"2024-05-06T07:08:14.2Z\" level=info msg=x", true),
            ("time=\"2018-02-16T18:01:17+08:00\" level=info", true),
            ("time=\"2024-05-06 07:08:14\" level=info", true),
            ("{\"msg\":\"x\"", true),
            ("{\"arch\":\"amd64\",", true),
            ("{\",\"level\":\"INFO\"}", false),
            ("{\" sandbox=s1", false),
            ("{\"", false),
            ("time=2024-05-06T07:08:14.2Z level=info msg=x", false),
            ("time=\\\"2024-05-06T07:08:14.2Z\\\" level=info", false),
            ("time=\"2024-05-06T07:08:14.2Z\\\" level=info", false),
            ("time=\"x\" level=info", false),
            ("time=\"2024-05-06T07:08:14.2Z\" msg=x", false),
            ("time=\"2024-05-06T07:08:14", false),
            (" time=\"2024-05-06T07:08:14.2Z\" level=info", false),
            ("{\\\"msg\\\":\\\"x", false),
            ("source=virtcontainers", false),
            ("ERRO[0000] x", false),
            ("", false),
        ] {
            assert_eq!(begins_line(text.as_bytes()), begins, "{text}");
        }
    }
}
