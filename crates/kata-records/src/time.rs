//! Timestamps. Every layout of Kata's writers becomes RFC 3339 in UTC with nine digits.

use std::cmp::Ordering;

use crate::named_enum::named_enum;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use wide::i8x16;

/// A timestamp as text: `2021-10-07T22:40:26.389357700Z`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UtcTimestamp([u8; 30]);

impl Ord for UtcTimestamp {
    fn cmp(&self, other: &UtcTimestamp) -> Ordering {
        self.words().cmp(&other.words())
    }
}

impl PartialOrd for UtcTimestamp {
    fn partial_cmp(&self, other: &UtcTimestamp) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Debug for UtcTimestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// A time in seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime {
    /// The seconds since 1970; negative before it.
    pub seconds: i64,
    /// The nanoseconds after that second.
    pub nanos: u32,
}

impl UnixTime {
    /// Returns the seconds as receivers store them.
    #[must_use]
    pub(crate) fn seconds_u32(self) -> u32 {
        u32::try_from(self.seconds).unwrap_or(u32::MAX)
    }

    /// Returns the nanoseconds since 1970, or `None` if they exceed the type.
    #[must_use]
    pub(crate) fn total_nanos(self) -> Option<i64> {
        self.seconds.checked_mul(1_000_000_000)?.checked_add(i64::from(self.nanos))
    }
}

/// The format of the time in its own field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// The form of `kata_time`: `2021-10-07T22:40:26.389357700Z`.
    #[default]
    Rfc3339,
    /// Seconds since 1970 with nine fraction digits, as a text, because no JSON number holds them.
    Unix,
    /// Whole seconds since 1970.
    UnixSeconds,
    /// Nanoseconds since 1970.
    UnixNanoseconds,
}

named_enum!(TimeFormat {
    Rfc3339 => "rfc3339", "As `kata_time`: `2021-10-07T22:40:26.389357700Z`";
    Unix => "unix", "Seconds since 1970 with nine digits behind the point, as a text: a number would not hold them";
    UnixSeconds => "unix-seconds", "Whole seconds since 1970";
    UnixNanoseconds => "unix-nanoseconds", "Nanoseconds since 1970";
});

/// Parses two ASCII digits.
#[inline]
fn two([a, b]: [u8; 2]) -> Option<u8> {
    let (a, b) = (a.wrapping_sub(b'0'), b.wrapping_sub(b'0'));
    (a < 10 && b < 10).then(|| a * 10 + b)
}

/// Sixteen bytes of a timestamp: digits where the pattern has zeros, and the other bytes of the pattern.
struct Form {
    digits: i8x16,
    others: i8x16,
}

impl Form {
    const fn new(pattern: &[u8; 16]) -> Form {
        let (mut digits, mut others) = ([0; 16], [0; 16]);
        let mut index = 0;
        while index < 16 {
            if pattern[index] == b'0' {
                digits[index] = -1;
            } else {
                others[index] = pattern[index] as i8;
            }
            index += 1;
        }
        Form { digits: i8x16::new(digits), others: i8x16::new(others) }
    }

    #[inline]
    fn fits(&self, bytes: [u8; 16]) -> bool {
        let bytes: i8x16 = bytemuck::cast(bytes);
        ((are_digits(bytes) & self.digits) | (bytes.simd_eq(self.others) & !self.digits)).all()
    }
}

/// Selects digits.
#[inline]
fn are_digits(bytes: i8x16) -> i8x16 {
    bytes.simd_gt(i8x16::splat(b'0' as i8 - 1)) & bytes.simd_lt(i8x16::splat(b'9' as i8 + 1))
}

/// Formats a number below 100 as two digits.
#[inline]
fn digits(value: u8) -> [u8; 2] {
    static DIGITS: [[u8; 2]; 256] = {
        let mut digits = [[b'0'; 2]; 256];
        let mut value = 0;
        while value < 100 {
            digits[value as usize] = [b'0' + value / 10, b'0' + value % 10];
            value += 1;
        }
        digits
    };
    DIGITS[usize::from(value)]
}

/// Formats a number in as many digits as `out` holds.
fn decimal(mut value: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// A date and time down to the second, which may be a leap second.
struct CivilTime {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl CivilTime {
    #[inline]
    fn parse(text: &[u8; 19]) -> Option<CivilTime> {
        let &[mut head @ .., b':', s0, s1] = text else { return None };
        if !matches!(head[10], b'T' | b't' | b' ') {
            return None;
        }
        head[10] = b'T';
        let second = two([s0, s1])?;
        let moment = CivilTime::of(&head, second)?;
        (second <= 60).then_some(moment)
    }

    /// Reads a date with hour and minute.
    #[inline(always)]
    fn of(head: &[u8; 16], second: u8) -> Option<CivilTime> {
        static FORM: Form = Form::new(b"0000-00-00T00:00");
        if !FORM.fits(*head) {
            return None;
        }
        let number = |at: usize| (head[at] - b'0') * 10 + (head[at + 1] - b'0');
        let year = u16::from(number(0)) * 100 + u16::from(number(2));
        let (month, day, hour, minute) = (number(5), number(8), number(11), number(14));
        let is_date = (1..=12).contains(&month) && day > 0 && (day <= 28 || day <= days_in_month(year, month));
        (is_date && hour <= 23 && minute <= 59).then_some(CivilTime { year, month, day, hour, minute, second })
    }
}

/// Returns whether a text has exactly the form of a timestamp.
#[inline(always)]
fn is_stamp(text: &[u8; 30]) -> bool {
    static TAIL: Form = Form::new(b"00:00.000000000Z");
    let (Some(head), Some(tail)) = (text.first_chunk(), text.last_chunk()) else { return false };
    TAIL.fits(*tail) && text[17] < b'6' && CivilTime::of(head, 0).is_some()
}

impl UtcTimestamp {
    /// Returns two numbers with the order of the text. Every record's time is compared, and numbers compare faster than
    /// bytes.
    #[inline]
    fn words(&self) -> [u128; 2] {
        let word = |from: usize| self.0.get(from..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
        // The numbers overlap in two bytes.
        [word(0), word(14)].map(u128::from_be_bytes)
    }

    /// Returns the timestamp if the text has exactly its form, as nine of ten texts of containerd and the Go shim do.
    #[inline]
    #[must_use]
    pub fn of(text: &[u8]) -> Option<UtcTimestamp> {
        let whole = <&[u8; 30]>::try_from(text).ok()?;
        is_stamp(whole).then_some(UtcTimestamp(*whole))
    }

    /// Parses the layouts T1 to T6: a date, `T` or a space, a time, and a zone `Z`, `±hh:mm` or `±hhmm`. Fractions may
    /// have any length; digits after the ninth are dropped. Returns `None` for any other text, such as one without a
    /// zone.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<UtcTimestamp> {
        if let Some(stamp) = UtcTimestamp::of(text) {
            return Some(stamp);
        }
        let (head, rest) = text.split_first_chunk()?;
        let CivilTime { year, month, day, hour, minute, second } = CivilTime::parse(head)?;
        let mut stamp = *b"0000-00-00T00:00:00.000000000Z";
        stamp[..19].copy_from_slice(head);
        stamp[10] = b'T';
        let zone = match rest {
            [b'.', digits @ ..] => {
                let count = match (text.last_chunk(), 16_usize.checked_sub(digits.len())) {
                    // Most fractions end among the last bytes.
                    (Some(end), Some(before)) => (are_digits(bytemuck::cast::<[u8; 16], _>(*end)).to_bitmask()
                        >> before)
                        .trailing_ones() as usize,
                    _ => digits.iter().take_while(|byte| byte.is_ascii_digit()).count(),
                };
                if count == 0 {
                    return None;
                }
                let kept = count.min(9);
                stamp[20..20 + kept].copy_from_slice(&digits[..kept]);
                &digits[count..]
            }
            _ => rest,
        };
        if second == 60 {
            // The second counts of receivers have no leap seconds.
            stamp[17..29].copy_from_slice(b"59.999999999");
        }
        let offset = match zone {
            b"Z" | b"z" => return Some(UtcTimestamp(stamp)),
            &[sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] | &[sign @ (b'+' | b'-'), h0, h1, m0, m1] => {
                let (hours, minutes) = (two([h0, h1])?, two([m0, m1])?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
                if sign == b'-' { -seconds } else { seconds }
            }
            _ => return None,
        };
        if offset == 0 {
            return Some(UtcTimestamp(stamp));
        }
        // An offset in minutes changes neither seconds nor fraction, and rarely the month.
        let minutes = i64::from(hour) * 60 + i64::from(minute) - offset / 60;
        let (moved, minutes) = match minutes {
            ..0 => (day - 1, minutes + 1440),
            1440.. => (day + 1, minutes - 1440),
            _ => (day, minutes),
        };
        if moved == day || (1..=days_in_month(year, month)).contains(&moved) {
            let minutes = minutes as u16;
            stamp[8..10].copy_from_slice(&digits(moved));
            stamp[11..13].copy_from_slice(&digits((minutes / 60) as u8));
            stamp[14..16].copy_from_slice(&digits((minutes % 60) as u8));
            return Some(UtcTimestamp(stamp));
        }
        let second = second.min(59);
        let local = DateTime::new(
            i16::try_from(year).ok()?,
            month.try_into().ok()?,
            day.try_into().ok()?,
            hour.try_into().ok()?,
            minute.try_into().ok()?,
            second.try_into().ok()?,
            0,
        )
        .ok()?;
        let utc = local.checked_sub(SignedDuration::from_secs(offset)).ok()?;
        UtcTimestamp::write(utc, &stamp[20..29])
    }

    /// Returns the timestamp of a time in microseconds since 1970, or `None` after the year 9999.
    #[must_use]
    pub fn from_micros(micros: u64) -> Option<UtcTimestamp> {
        let time = Timestamp::from_microsecond(i64::try_from(micros).ok()?).ok()?;
        let mut fraction = *b"000000000";
        decimal(micros % 1_000_000, &mut fraction[..6]);
        UtcTimestamp::write(Offset::UTC.to_datetime(time), &fraction)
    }

    /// Returns the timestamp of a time, or `None` outside the years 0 to 9999.
    #[must_use]
    pub fn from_unix(time: UnixTime) -> Option<UtcTimestamp> {
        let seconds = SignedDuration::from_secs(time.seconds);
        let utc = DateTime::constant(1970, 1, 1, 0, 0, 0, 0).checked_add(seconds).ok()?;
        let mut fraction = *b"000000000";
        decimal(u64::from(time.nanos), &mut fraction);
        UtcTimestamp::write(utc, &fraction)
    }

    fn write(utc: DateTime, fraction: &[u8]) -> Option<UtcTimestamp> {
        let mut stamp = *b"0000-00-00T00:00:00.000000000Z";
        let mut put = |at: usize, value: u8| stamp[at..at + 2].copy_from_slice(&digits(value));
        let year = u16::try_from(utc.year()).ok()?;
        put(0, (year / 100) as u8);
        put(2, (year % 100) as u8);
        put(5, utc.month().unsigned_abs());
        put(8, utc.day().unsigned_abs());
        put(11, utc.hour().unsigned_abs());
        put(14, utc.minute().unsigned_abs());
        put(17, utc.second().unsigned_abs());
        stamp[20..29].copy_from_slice(fraction);
        Some(UtcTimestamp(stamp))
    }

    /// Returns the text as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 30] {
        &self.0
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The text is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the time since 1970.
    #[must_use]
    pub fn unix(&self) -> Option<UnixTime> {
        let number = |from: usize, to: usize| {
            let digit = |digit: u8| digit.checked_sub(b'0').filter(|digit| *digit < 10);
            self.0.get(from..to)?.iter().try_fold(0_i64, |value, byte| Some(value * 10 + i64::from(digit(*byte)?)))
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        // Years begin in March here, so that leap days end a year. 719,468 days lie between the epoch of this count and
        // 1970.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + 365 * year;
        let days = days + (153 * month + 2) / 5 + day - 1 - 719_468;
        let seconds = days * 86_400 + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
        Some(UnixTime { seconds, nanos: u32::try_from(number(20, 29)?).ok()? })
    }

    /// Returns the time for calculations, or `None` for the year 0, which `jiff` cannot represent.
    #[must_use]
    pub fn timestamp(&self) -> Option<Timestamp> {
        std::str::from_utf8(&self.0).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests;
