//! Vectors of f32 lanes: the few operations the kernels are written in, once for every instruction set.

#![expect(
    clippy::inline_always,
    reason = "without it, the operations would be calls of their own, outside the kernel's instruction set"
)]

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// A vector of [`Lanes::N`] f32 numbers.
///
/// # Safety
///
/// All functions must run on a CPU that has the implementation's instructions; kernels are chosen by detection.
/// [`Lanes::load`] and [`Lanes::store`] need `N` valid elements at the pointer, of any alignment.
pub(crate) trait Lanes: Copy {
    /// Number of lanes; divides 16.
    const N: usize;

    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn splat(value: f32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn max_abs(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    /// `self + a · b`, rounded once or twice.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    /// `self + a · b`, rounded once: the same bits on every CPU.
    unsafe fn add_product_exactly(self, a: Self, b: Self) -> Self;
    /// `self − a · b`, rounded once or twice.
    unsafe fn sub_product(self, a: Self, b: Self) -> Self;
    /// Bit i says whether lane i is at most the same lane of `other`.
    unsafe fn at_most(self, other: Self) -> u32;

    /// Asks for the cache line of an address, which need not be valid.
    #[inline(always)]
    unsafe fn prefetch(_from: *const f32) {}

    /// The sums of the lanes of four vectors. A vector's sum has the same bits in each of the four places.
    #[inline(always)]
    unsafe fn sums(four: [Self; 4]) -> [f32; 4] {
        let mut lanes = [[0.0; 16]; 4];
        for (lanes, vector) in lanes.iter_mut().zip(four) {
            // SAFETY: the caller has the CPU; an implementation has at most 16 lanes.
            unsafe { vector.store(lanes.as_mut_ptr()) };
        }
        lanes.map(|lanes| {
            let eight: [f32; 8] = std::array::from_fn(|lane| lanes[lane] + lanes[lane + 8]);
            let four: [f32; 4] = std::array::from_fn(|lane| eight[lane] + eight[lane + 4]);
            (four[0] + four[1]) + (four[2] + four[3])
        })
    }
}
