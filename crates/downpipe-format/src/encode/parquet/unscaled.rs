//! Writes `DECIMAL`s as the whole numbers that Parquet stores: the value times ten to the power of the scale.

use bytes::BytesMut;
use parquet::data_type::{ByteArray, FixedLenByteArray};

use crate::model::{DecimalType, Digits};

/// Returns the bytes of the smallest two's complement number for all values of the type, up to 32.
pub(super) fn byte_length(decimal: DecimalType) -> usize {
    // A digit takes log2(10) bits. For no precision up to 76 is the product so near to a whole number that the rounding matters.
    let bits = decimal.precision * 33_219_281 / 10_000_000 + 1;
    (bits + 1).div_ceil(8)
}

/// Returns the digits of a value times ten to the power of the scale.
fn scaled(value: Digits<'_>, scale: usize) -> impl Iterator<Item = u8> {
    let kept = value.fraction.len().min(scale);
    let padding = std::iter::repeat_n(b'0', scale - kept);
    value.integer.iter().chain(&value.fraction[..kept]).copied().chain(padding).map(|digit| digit - b'0')
}

/// Writes a checked value of a type of up to 18 digits.
pub(super) fn to_i64(text: &[u8], scale: usize) -> i64 {
    let Some(value) = Digits::read(text) else { return 0 };
    let number = scaled(value, scale)
        .fold(0, |number: i64, digit| number.wrapping_mul(10).wrapping_add(i64::from(digit)));
    if value.negative { -number } else { number }
}

/// Writes values of types of more than 18 digits.
#[derive(Debug)]
pub(super) struct WideDecimals {
    decimal: DecimalType,
    /// Values are pieces of a block, so that not every value costs an allocation.
    block: BytesMut,
}

/// Blocks are small because the least and the greatest value of every row group stay until the end of the file, with their blocks.
const BLOCK_BYTES: usize = 1024;

impl WideDecimals {
    pub(super) fn new(decimal: DecimalType) -> Self {
        Self { decimal, block: BytesMut::with_capacity(BLOCK_BYTES) }
    }

    /// Writes a checked value.
    pub(super) fn number(&mut self, text: &[u8]) -> FixedLenByteArray {
        let bytes = to_256_bits(text, self.decimal.scale);
        self.block.extend_from_slice(&bytes[bytes.len() - byte_length(self.decimal)..]);
        ByteArray::from(self.block.split().freeze()).into()
    }
}

/// Returns the value times ten to the power of the scale, big-endian.
fn to_256_bits(text: &[u8], scale: usize) -> [u8; 32] {
    /// The most digits whose number fits into 64 bits.
    const CHUNK: u32 = 19;
    let Some(value) = Digits::read(text) else { return [0; 32] };
    let mut limbs = [0_u64; 4];
    let (mut number, mut length) = (0_u64, 0);
    for digit in scaled(value, scale) {
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

/// Computes `limbs = limbs * factor + summand`, the least significant limb first.
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
    use super::super::decimal::MAX_PRECISION;
    use super::*;

    #[test]
    fn byte_length_of_precision_is_the_least_that_holds_every_value() {
        for precision in 1..=MAX_PRECISION {
            let length = byte_length(DecimalType { precision, scale: 0 });
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
        assert_eq!(byte_length(DecimalType { precision: 65, scale: 30 }), 28);
    }

    #[test]
    fn narrow_and_wide_numbers_equal_128_bit_arithmetic() {
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
            let (integer, fraction) = text.split_once('.').unwrap_or((text, ""));
            let unscaled: i128 = format!("{integer}{fraction:0<2}").parse().unwrap();
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
