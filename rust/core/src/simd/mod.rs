//! Vectors of f32 lanes: the few operations the kernels are written in, once for every instruction set.

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
}
