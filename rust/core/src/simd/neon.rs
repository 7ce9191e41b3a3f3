//! Lanes of NEON, which every 64-bit ARM CPU has.

// SAFETY of this file: NEON is part of the architecture; `load` and `store` ask for valid pointers, as the trait says.
#![expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
#![allow(
    clippy::wildcard_imports,
    reason = "intrinsics; clippy itself lets them pass in test builds"
)]
#![expect(
    clippy::inline_always,
    reason = "without it, the operations would be calls of their own, outside the kernel's instruction set"
)]

use std::arch::aarch64::*;

use super::Lanes;

/// Four lanes of NEON.
#[derive(Clone, Copy)]
pub(crate) struct Neon(float32x4_t);

impl Lanes for Neon {
    const N: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { vld1q_f32(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { vst1q_f32(to, self.0) };
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(unsafe { vdupq_n_f32(value) })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(unsafe { vaddq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(unsafe { vsubq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn max_abs(self, other: Self) -> Self {
        Self(unsafe { vmaxq_f32(self.0, vabsq_f32(other.0)) })
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Self(unsafe { vminq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        Self(unsafe { vfmaq_f32(self.0, a.0, b.0) })
    }

    #[inline(always)]
    unsafe fn add_product_exactly(self, a: Self, b: Self) -> Self {
        unsafe { self.add_product(a, b) }
    }

    #[inline(always)]
    unsafe fn sub_product(self, a: Self, b: Self) -> Self {
        Self(unsafe { vfmsq_f32(self.0, a.0, b.0) })
    }

    #[inline(always)]
    unsafe fn at_most(self, other: Self) -> u32 {
        const WEIGHTS: [u32; 4] = [1, 2, 4, 8];
        unsafe { vaddvq_u32(vandq_u32(vcleq_f32(self.0, other.0), vld1q_u32(WEIGHTS.as_ptr()))) }
    }
}
