//! Rows as they come, in any of four number formats.

/// Rows of vectors, one after the other. A row is what its values are as f32.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// IEEE single precision.
    F32(&'a [f32]),
    /// IEEE double precision, rounded to f32 (to nearest, ties to even).
    F64(&'a [f64]),
    /// The bits of IEEE half precision.
    F16(&'a [u16]),
    /// The bits of bfloat16: the upper half of an f32.
    Bf16(&'a [u16]),
}

impl Rows<'_> {
    /// Number of values in all rows together.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::F16(values) | Self::Bf16(values) => values.len(),
        }
    }

    /// True if there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the values from place `start` on, and says whether all are finite as f32.
    pub(crate) fn copy(&self, start: usize, target: &mut [f32]) -> bool {
        match self {
            Self::F32(values) => target.copy_from_slice(&values[start..][..target.len()]),
            Self::F64(values) => convert(&values[start..], target, |value| value as f32),
            Self::F16(values) => convert(&values[start..], target, from_half),
            Self::Bf16(values) => convert(&values[start..], target, |bits| {
                f32::from_bits(u32::from(bits) << 16)
            }),
        }
        // The sum of the absolute exponents' top bit would do too; this is a plain maximum, which vectorizes.
        target
            .iter()
            .fold(0, |most, value| most.max(value.to_bits() & ABSOLUTE))
            < INFINITE
    }
}

/// The bits of an f32 without its sign.
const ABSOLUTE: u32 = 0x7fff_ffff;

/// The bits of infinity; NaNs are above.
const INFINITE: u32 = 0x7f80_0000;

fn convert<T: Copy>(values: &[T], target: &mut [f32], conversion: impl Fn(T) -> f32) {
    for (target, &value) in target.iter_mut().zip(values) {
        *target = conversion(value);
    }
}

/// Half precision to single, exactly.
fn from_half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff);
    let value = if magnitude >= 0x7c00 {
        f32::from_bits(INFINITE | (magnitude & 0x3ff) << 13)
    } else {
        // The same exponent and fraction mean 2^112 times less in single precision, subnormals included.
        f32::from_bits(magnitude << 13) * f32::from_bits((127 + 112) << 23)
    };
    f32::from_bits(value.to_bits() | sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_converted_exactly() {
        for bits in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
            let magnitude = match exponent {
                0 => fraction * 2_f64.powi(-24),
                31 if fraction > 0.0 => f64::NAN,
                31 => f64::INFINITY,
                _ => (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
            };
            let expected = if bits >> 15 == 1 { -magnitude } else { magnitude };
            let got = f64::from(from_half(bits));
            assert!(
                got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan(),
                "{bits:#x}"
            );
        }
    }

    #[test]
    fn copying_says_whether_all_is_finite() {
        let mut target = [0.0; 3];
        assert!(Rows::F64(&[9.0, 1.0, 1e-60, -3e38]).copy(1, &mut target));
        assert_eq!(target.map(f32::to_bits), [1.0, 0.0, -3e38_f32].map(f32::to_bits));
        assert!(!Rows::F64(&[1.0, 1e39, 1.0]).copy(0, &mut target));
        assert!(!Rows::F32(&[1.0, f32::NAN, 1.0]).copy(0, &mut target));
        assert!(!Rows::Bf16(&[0x3f80, 0xff80, 0]).copy(0, &mut target));
        assert!(Rows::Bf16(&[0x3f80, 0xc000, 0]).copy(0, &mut target));
        assert_eq!(target.map(f32::to_bits), [1.0_f32, -2.0, 0.0].map(f32::to_bits));
    }
}
