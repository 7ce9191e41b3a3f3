//! Lanes in plain Rust, for any CPU.

#![expect(
    clippy::inline_always,
    reason = "without it, the operations would be calls of their own, outside the kernel's instruction set"
)]

use super::Lanes;

/// Four lanes: what the baseline of most 64-bit CPUs has in one register.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 4]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, operation: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| operation(self.0[lane], other.0[lane])))
    }
}

impl Lanes for Portable {
    const N: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller promises four valid elements; arrays of f32 need no more alignment than f32.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as for `load`.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) };
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn max_abs(self, other: Self) -> Self {
        self.zip(other, |a, b| if b.abs() > a { b.abs() } else { a })
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if b < a { b } else { a })
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        self.zip(a.zip(b, |a, b| a * b), |sum, product| sum + product)
    }

    #[inline(always)]
    unsafe fn add_product_exactly(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|lane| {
            a.0[lane].mul_add(b.0[lane], self.0[lane])
        }))
    }

    #[inline(always)]
    unsafe fn sub_product(self, a: Self, b: Self) -> Self {
        self.zip(a.zip(b, |a, b| a * b), |sum, product| sum - product)
    }

    #[inline(always)]
    unsafe fn at_most(self, other: Self) -> u32 {
        (0..4).fold(0, |mask, lane| {
            mask | u32::from(self.0[lane] <= other.0[lane]) << lane
        })
    }
}
