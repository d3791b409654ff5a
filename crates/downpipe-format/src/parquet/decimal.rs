//! `DECIMAL`: from the digits that the server sends to the whole numbers that Parquet stores.
//!
//! A Parquet column has one scale, the digits behind the point, which the server does not tell beforehand. But it shows it: every
//! value of a `DECIMAL(10,2)` comes with two. So the type is settled by the values of the first row group.

use bytes::BytesMut;
use parquet::data_type::FixedLenByteArray;

use super::Unfit;

/// The digits of the largest type that readers know: 256 bits, as Arrow has it.
const MAX_PRECISION: usize = 76;

/// MySQL's own limits. <https://dev.mysql.com/doc/refman/9.7/en/precision-math-decimal-characteristics.html>
const MYSQL_PRECISION: usize = 65;
const MYSQL_SCALE: usize = 30;

/// A decimal type of Parquet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DecimalType {
    /// Digits in all, 1 to [`MAX_PRECISION`].
    pub(super) precision: usize,
    /// Those of them behind the point.
    pub(super) scale: usize,
}

impl DecimalType {
    /// The bytes of the smallest two's complement number for all values of the type, up to 32.
    pub(super) fn byte_length(self) -> usize {
        // A digit takes log2(10) bits. For no precision up to 76 is the product so near to a whole number that the rounding matters.
        let bits = self.precision * 33_219_281 / 10_000_000 + 1;
        (bits + 1).div_ceil(8)
    }
}

/// The type of a column, as it becomes known.
#[derive(Debug)]
pub(super) struct DecimalColumn {
    /// Digits in all, as the server declares them.
    declared: usize,
    /// The most digits before the point that were seen, zeros in front not counted.
    whole: usize,
    /// The least and the most digits behind the point, once there was a value.
    fraction: Option<(usize, usize)>,
    settled: Option<DecimalType>,
}

impl DecimalColumn {
    pub(super) fn new(precision: u8) -> Self {
        let declared = usize::from(precision).clamp(1, MYSQL_PRECISION);
        Self { declared, whole: 0, fraction: None, settled: None }
    }

    /// Looks at a value: one of those that settle the type, or one that it must have room for. Zeros at the end need none, and
    /// nothing is ever rounded.
    pub(super) fn look(&mut self, text: &[u8]) -> Result<(), Unfit> {
        let value = Digits::read(text)?;
        if let Some(DecimalType { precision, scale }) = self.settled {
            let rest = value.fraction.get(scale..).unwrap_or_default();
            if value.whole.len() > precision - scale || rest.iter().any(|digit| *digit != b'0') {
                return Err(unfit(
                    format!("the digits of DECIMAL({precision},{scale}), as in the first rows"),
                    &value,
                ));
            }
            return Ok(());
        }
        let whole = self.whole.max(value.whole.len());
        let digits = value.fraction.len();
        let (least, most) = self.fraction.unwrap_or((digits, digits));
        let (least, most) = (least.min(digits), most.max(digits));
        if whole + most > MAX_PRECISION {
            return Err(unfit(format!("at most {MAX_PRECISION} digits"), &value));
        }
        (self.whole, self.fraction) = (whole, Some((least, most)));
        Ok(())
    }

    /// The type for all values that were seen, and for those that will come. From the first call on it stays.
    ///
    /// When all values had the same digits behind the point, that is the scale, and the precision is the column's. When there was
    /// no value, or when they differed (`IF(paid, amount, 0)`), anything up to MySQL's largest scale may follow, beside as many
    /// digits before the point as the column can have. So the type is wider than the column by its scale, up to the widest
    /// there is.
    pub(super) fn settle(&mut self) -> DecimalType {
        let Self { declared, whole, fraction, .. } = *self;
        *self.settled.get_or_insert_with(|| match fraction {
            Some((least, scale)) if least == scale => {
                DecimalType { precision: declared.max(whole + scale), scale }
            }
            _ => {
                let most = fraction.map_or(0, |(_, most)| most);
                let scale = declared.min(MYSQL_SCALE).min(MAX_PRECISION - whole).max(most);
                DecimalType { precision: (declared.max(whole) + scale).min(MAX_PRECISION), scale }
            }
        })
    }
}

fn unfit(expected: String, value: &Digits<'_>) -> Unfit {
    let actual = format!("{} before the point and {} behind", value.whole.len(), value.fraction.len());
    Unfit { expected, actual }
}

/// A value, taken apart.
struct Digits<'a> {
    negative: bool,
    /// Without zeros in front.
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Digits<'a> {
    fn read(text: &'a [u8]) -> Result<Self, Unfit> {
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let point = memchr::memchr(b'.', digits).unwrap_or(digits.len());
        let (whole, fraction) = digits.split_at(point);
        let fraction = fraction.strip_prefix(b".").unwrap_or(fraction);
        if whole.len() + fraction.len() == 0 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
            return Err(Unfit {
                expected: "decimal numbers".to_owned(),
                actual: "something else".to_owned(),
            });
        }
        let zeros = whole.iter().take_while(|digit| **digit == b'0').count();
        Ok(Self { negative: digits.len() < text.len(), whole: &whole[zeros..], fraction })
    }

    /// The digits of the value times ten to the power of the scale.
    fn scaled(&self, scale: usize) -> impl Iterator<Item = u8> {
        let kept = self.fraction.len().min(scale);
        let padding = std::iter::repeat_n(b'0', scale - kept);
        self.whole.iter().chain(&self.fraction[..kept]).copied().chain(padding).map(|digit| digit - b'0')
    }
}

/// A value that has passed [`DecimalColumn::look`], for a type of up to 18 digits.
pub(super) fn to_i64(text: &[u8], scale: usize) -> i64 {
    let Ok(value) = Digits::read(text) else { return 0 };
    let number = value
        .scaled(scale)
        .fold(0, |number: i64, digit| number.wrapping_mul(10).wrapping_add(i64::from(digit)));
    if value.negative { -number } else { number }
}

/// Writes values of more than 18 digits.
#[derive(Debug)]
pub(super) struct WideDecimals {
    decimal: DecimalType,
    /// Values are pieces of blocks of this size, rather than each an allocation. Blocks are small because the least and the greatest
    /// value of every row group are kept for the end of the file, and their blocks with them.
    block: BytesMut,
}

const BLOCK_BYTES: usize = 1024;

impl WideDecimals {
    pub(super) fn new(decimal: DecimalType) -> Self {
        Self { decimal, block: BytesMut::with_capacity(BLOCK_BYTES) }
    }

    /// A value that has passed [`DecimalColumn::look`].
    pub(super) fn number(&mut self, text: &[u8]) -> FixedLenByteArray {
        let bytes = to_256_bits(text, self.decimal.scale);
        self.block.extend_from_slice(&bytes[bytes.len() - self.decimal.byte_length()..]);
        parquet::data_type::ByteArray::from(self.block.split().freeze()).into()
    }
}

/// The value times ten to the power of the scale, big-endian.
fn to_256_bits(text: &[u8], scale: usize) -> [u8; 32] {
    /// The most digits whose number fits into 64 bits.
    const CHUNK: u32 = 19;
    let Ok(value) = Digits::read(text) else { return [0; 32] };
    let mut limbs = [0_u64; 4];
    let (mut number, mut length) = (0_u64, 0);
    for digit in value.scaled(scale) {
        number = number * 10 + u64::from(digit);
        length += 1;
        if length == CHUNK {
            multiply_add(&mut limbs, 10_u64.pow(length), number);
            (number, length) = (0, 0);
        }
    }
    multiply_add(&mut limbs, 10_u64.pow(length), number);
    if value.negative {
        negate(&mut limbs);
    }
    let mut bytes = [0; 32];
    for (bytes, limb) in bytes.chunks_exact_mut(8).zip(limbs.iter().rev()) {
        bytes.copy_from_slice(&limb.to_be_bytes());
    }
    bytes
}

/// `limbs = limbs * factor + summand`, the least significant limb first.
fn multiply_add(limbs: &mut [u64; 4], factor: u64, summand: u64) {
    let mut carry = u128::from(summand);
    for limb in limbs {
        let product = u128::from(*limb) * u128::from(factor) + carry;
        #[expect(clippy::cast_possible_truncation, reason = "the lower half; the upper half is carried")]
        let low = product as u64;
        *limb = low;
        carry = product >> 64;
    }
    debug_assert_eq!(carry, 0, "76 digits fit into 256 bits");
}

fn negate(limbs: &mut [u64; 4]) {
    let mut carry = true;
    for limb in limbs {
        (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(declared: u8, values: &[&str]) -> DecimalColumn {
        let mut column = DecimalColumn::new(declared);
        values.iter().for_each(|value| column.look(value.as_bytes()).unwrap());
        column
    }

    fn settled(declared: u8, values: &[&str]) -> (usize, usize) {
        let DecimalType { precision, scale } = column(declared, values).settle();
        assert!(scale <= precision && precision <= MAX_PRECISION);
        (precision, scale)
    }

    #[test]
    fn the_type_is_the_columns_when_all_values_have_its_scale() {
        assert_eq!(settled(10, &["1.50", "-123.45", "0.00"]), (10, 2));
        assert_eq!(settled(65, &["1.000000000000000000000000000000"]), (65, 30));
        assert_eq!(settled(32, &["7"]), (32, 0));
        // What the server declares for an expression may be less than what it sends.
        assert_eq!(settled(3, &["12345.67"]), (7, 2));
        assert_eq!(settled(0, &["0"]), (1, 0));
        // ZEROFILL pads the digits that the column has.
        assert_eq!(settled(10, &["00000001.50"]), (10, 2));
    }

    #[test]
    fn the_type_has_room_for_every_scale_when_none_is_certain() {
        assert_eq!(settled(10, &[]), (20, 10));
        assert_eq!(settled(38, &[]), (68, 30));
        assert_eq!(settled(65, &[]), (76, 30));
        assert_eq!(settled(12, &["0", "12.50"]), (24, 12));
        let whole = "9".repeat(65);
        assert_eq!(settled(65, &[&whole, "0.5"]), (76, 11));
        let refused = column(65, &[&whole]).look(b"0.123456789012").unwrap_err();
        assert_eq!(refused.expected, "at most 76 digits");
    }

    #[test]
    fn a_value_with_more_digits_than_the_type_is_refused_and_never_rounded() {
        let mut decimal = column(5, &["0.00"]);
        decimal.settle();
        for fits in ["999.99", "-999.99", "0", "1.5", "0001.50", "1.500", "-0.00"] {
            assert_eq!(decimal.look(fits.as_bytes()), Ok(()), "{fits}");
        }
        for refused in ["1000", "0.001", "1.234", "-1000.00", "abc", "", "1,5"] {
            assert!(decimal.look(refused.as_bytes()).is_err(), "{refused}");
        }
        let error = decimal.look(b"1234.567").unwrap_err();
        assert_eq!(error.expected, "the digits of DECIMAL(5,2), as in the first rows");
        assert_eq!(error.actual, "4 before the point and 3 behind");
    }

    #[test]
    fn lengths_are_the_smallest_that_hold_every_value() {
        for precision in 1..=MAX_PRECISION {
            let length = DecimalType { precision, scale: 0 }.byte_length();
            let nines = "9".repeat(precision);
            for number in [nines.clone(), format!("-{nines}")] {
                let bytes = to_256_bits(number.as_bytes(), 0);
                let (padding, kept) = bytes.split_at(32 - length);
                let sign = if number.starts_with('-') { 0xFF } else { 0 };
                assert!(padding.iter().all(|byte| *byte == sign), "{number}");
                assert_eq!(kept[0] >= 0x80, sign == 0xFF, "{number} keeps its sign in {length} bytes");
                // The first byte would not go, or the sign would with it.
                assert!(
                    kept[0] != sign || (kept.len() > 1 && (kept[1] >= 0x80) != (sign == 0xFF)),
                    "{number}"
                );
            }
        }
        assert_eq!(DecimalType { precision: 65, scale: 30 }.byte_length(), 28);
    }

    #[test]
    fn narrow_and_wide_agree_with_128_bits() {
        let texts = [
            "0",
            "-0",
            "1",
            "-1",
            "0.01",
            "-0.01",
            "1.5",
            "007.25",
            "999999999999999.99",
            "-999999999999999.99",
            "18446744073709551616.5",
            "-18446744073709551616.5",
            "9999999999999999999",
            "10000000000000000000",
            "123456789012345678901234567890123456.7",
        ];
        for text in texts {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let unscaled: i128 = format!("{whole}{fraction:0<2}").parse().unwrap();
            let mut expected = [if unscaled < 0 { 0xFF } else { 0 }; 32];
            expected[16..].copy_from_slice(&unscaled.to_be_bytes());
            assert_eq!(to_256_bits(text.as_bytes(), 2), expected, "{text}");
            if let Ok(narrow) = i64::try_from(unscaled)
                && narrow.abs() < 10_i64.pow(18)
            {
                assert_eq!(to_i64(text.as_bytes(), 2), narrow, "{text}");
            }
        }
    }
}
