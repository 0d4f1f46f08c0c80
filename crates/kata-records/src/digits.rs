//! Conversions between numbers and digits, eight digits at once. Each step splits all groups of digits in half, until
//! each digit has its own byte.

/// Eight digits of a number with leading zeros. Each byte holds one value, the highest byte the first digit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digits8(u64);

const EACH: u64 = u64::from_ne_bytes([1; 8]);

impl Digits8 {
    /// The count of numbers with up to eight decimal digits.
    pub(crate) const DECIMAL: u64 = 100_000_000;

    /// Returns the hexadecimal digits of a number.
    #[inline]
    #[must_use]
    pub(crate) fn hexadecimal(number: u32) -> Digits8 {
        let halves = u64::from(number);
        let halves = (halves << 16 | halves) & 0x0000_ffff_0000_ffff;
        let halves = (halves << 8 | halves) & 0x00ff_00ff_00ff_00ff;
        Digits8((halves << 4 | halves) & 0x0f0f_0f0f_0f0f_0f0f)
    }

    /// Returns the decimal digits of a number modulo [`Digits8::DECIMAL`].
    #[inline]
    #[must_use]
    pub(crate) fn decimal(number: u64) -> Digits8 {
        // For numbers this small, a multiplication and a shift divide by a power of ten.
        let number = number % Digits8::DECIMAL;
        let fours = ((number / 10_000) << 32) | (number % 10_000);
        let hundreds = (fours * 10_486) >> 20 & 0x0000_007f_0000_007f;
        let pairs = fours + hundreds * ((1 << 16) - 100);
        let tens = (pairs * 103) >> 10 & 0x000f_000f_000f_000f;
        Digits8(pairs + tens * ((1 << 8) - 10))
    }

    /// Returns the digits as text.
    #[inline]
    #[must_use]
    pub(crate) fn text(self) -> [u8; 8] {
        let letters = (self.0 + 6 * EACH) >> 4 & EACH;
        (self.0 + u64::from(b'0') * EACH + u64::from(b'a' - b'9' - 1) * letters).to_be_bytes()
    }

    /// Returns the text without leading zeros, followed by filler, and its length, which is at least one.
    #[inline]
    #[must_use]
    pub(crate) fn significant(self) -> ([u8; 8], usize) {
        let zeros = (self.0 | 1).leading_zeros() / 8;
        ((u64::from_be_bytes(self.text()) << (8 * zeros)).to_be_bytes(), 8 - zeros as usize)
    }
}

/// Parses up to nineteen decimal digits. Returns `None` if any other byte occurs.
#[inline]
#[must_use]
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    let (Some(head), Some(tail), 4..=8) = (text.first_chunk(), text.last_chunk(), text.len()) else {
        return each(text);
    };
    // For fewer than eight digits the two parts overlap and agree.
    let [head, tail] = [head, tail].map(|half| u64::from(u32::from_le_bytes(*half)));
    // The first digit is the lowest byte. Zeros stand before it for missing digits.
    let missing = 64 - 8 * text.len();
    let digits = ((head | tail << (32 - missing)) << missing) ^ ((u64::from(b'0') * EACH) << missing);
    if (digits | ((digits & (0x7f * EACH)) + (0x80 - 10) * EACH)) & (0x80 * EACH) != 0 {
        return None;
    }
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// Parses one digit at a time.
fn each(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| number.wrapping_mul(10).wrapping_add(u64::from(digit)))
    })
}

/// Returns a number in hexadecimal digits without leading zeros, and their count.
#[inline]
#[must_use]
pub(crate) fn hexadecimal(number: u64) -> ([u8; 16], usize) {
    let [upper, lower] =
        [number >> 32, number].map(|half| u64::from_be_bytes(Digits8::hexadecimal(half as u32).text()));
    let zeros = (number | 1).leading_zeros() / 4;
    (((u128::from(upper) << 64 | u128::from(lower)) << (8 * zeros)).to_be_bytes(), 16 - zeros as usize)
}

/// Returns an id as 32 hexadecimal digits.
#[must_use]
pub(crate) fn hex_id(id: &[u8; 16]) -> [u8; 32] {
    let mut text = [0; 32];
    for (part, number) in text.as_chunks_mut().0.iter_mut().zip(id.as_chunks().0) {
        *part = Digits8::hexadecimal(u32::from_be_bytes(*number)).text();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<const N: usize>((digits, length): ([u8; N], usize)) -> String {
        String::from_utf8(digits[..length].to_vec()).unwrap()
    }

    #[test]
    fn what_is_no_digit_makes_no_number() {
        for length in 1..=19 {
            for (at, byte) in (0..length).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte))) {
                let mut text = vec![b'7'; length];
                text[at] = byte;
                let expected =
                    std::str::from_utf8(&text).ok().filter(|_| byte != b'+').and_then(|text| text.parse().ok());
                assert_eq!(number(&text), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn digits_are_those_of_the_standard_library() {
        let edges = (0..16).flat_map(|power| [10_u64.pow(power) - 1, 10_u64.pow(power), 16_u64.pow(power)]);
        let random = (0..100_000_u64).map(|step| step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (step % 64));
        let fours = (0..10_000).map(|four| four * 10_001);
        for number in (0..20_000).chain(edges).chain(random).chain(fours).chain([u64::MAX]) {
            assert_eq!(text(hexadecimal(number)), format!("{number:x}"));
            let (low, rest) = (number as u32, number % Digits8::DECIMAL);
            assert_eq!(text((Digits8::hexadecimal(low).text(), 8)), format!("{low:08x}"));
            assert_eq!(text(Digits8::hexadecimal(low).significant()), format!("{low:x}"));
            assert_eq!(text((Digits8::decimal(number).text(), 8)), format!("{rest:08}"));
            assert_eq!(text(Digits8::decimal(number).significant()), format!("{rest}"));
            for number in [rest, number % 10_u64.pow(19)] {
                assert_eq!(super::number(number.to_string().as_bytes()), Some(number));
            }
        }
        let id = 0x0123_4567_89ab_cdef_00ff_a09b_8c7d_6e5f_u128;
        assert_eq!(hex_id(&id.to_be_bytes()).to_vec(), format!("{id:032x}").into_bytes());
    }
}
