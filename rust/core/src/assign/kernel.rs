//! Which instructions do the work: found at run time, or forced by name.

use super::bound::Measure;
use super::packed::{CODES, FloatQuad};
use super::tile::{self, FloatRows, Lower, RowTerms, Terms};
#[cfg(target_arch = "aarch64")]
use crate::simd::Neon;
use crate::simd::Portable;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};

/// A set of instructions that assignment can be computed with. All give the same codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kernel {
    /// Plain Rust, in f32; any CPU.
    Portable,
    /// AVX2 and FMA, in f32.
    Avx2,
    /// AVX-512, in f32.
    Avx512,
    /// AVX-512 with VNNI: a filter in bytes.
    Vnni,
    /// NEON, in f32.
    Neon,
}

/// Precision of codewords in the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    Floats,
    Bytes,
}

const ALL: [(Kernel, &str); 5] = [
    (Kernel::Vnni, "vnni"),
    (Kernel::Avx512, "avx512"),
    (Kernel::Avx2, "avx2"),
    (Kernel::Neon, "neon"),
    (Kernel::Portable, "portable"),
];

impl Kernel {
    /// The kernels that this CPU can run, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        ALL.into_iter()
            .map(|(kernel, _)| kernel)
            .filter(|kernel| kernel.is_available())
    }

    /// The fastest kernel of this CPU.
    #[must_use]
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::Portable)
    }

    /// The kernel of a name: `vnni`, `avx512`, `avx2`, `neon` or `portable`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        ALL.into_iter()
            .find(|(_, known)| *known == name)
            .map(|(kernel, _)| kernel)
    }

    /// The name of the kernel.
    #[must_use]
    pub fn name(self) -> &'static str {
        ALL.into_iter()
            .find(|(kernel, _)| *kernel == self)
            .map_or("", |(_, name)| name)
    }

    /// True if this CPU can run it.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f") && Self::Avx2.is_available(),
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => {
                Self::Avx512.is_available()
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 | Self::Vnni => false,
        }
    }

    pub(crate) fn precision(self) -> Precision {
        match self {
            Self::Vnni => Precision::Bytes,
            _ => Precision::Floats,
        }
    }

    /// The f32 routines of this kernel. Panics if it is not available, which is what makes calling them sound.
    pub(super) fn floats(self) -> &'static FloatKernel {
        assert!(
            self.is_available(),
            "the CPU lacks what kernel {} needs",
            self.name()
        );
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => &avx2::KERNEL,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Vnni => &avx512::KERNEL,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => &neon::KERNEL,
            _ => &portable::KERNEL,
        }
    }
}

/// The routines of `tile` for one set of instructions. Sound to call once [`Kernel::floats`] has given them out.
#[expect(clippy::type_complexity, reason = "names for these signatures would say less")]
pub(super) struct FloatKernel {
    /// Number of roundings of a product and its addition.
    pub(super) roundings: u32,
    pub(super) prepare: unsafe fn(&[f32], &[f32], &mut [FloatRows], usize) -> Measure,
    pub(super) scores: unsafe fn(&[FloatRows], &[FloatQuad], Terms<'_>, &RowTerms, usize, &mut Lower<'_>),
    pub(super) least: unsafe fn(&[f32]) -> f32,
    pub(super) at_most: unsafe fn(&[f32], f32, &mut Vec<u32>),
    pub(super) quick_distance: unsafe fn(&[f32], &[f32]) -> f32,
    pub(super) subtract: unsafe fn(&mut [f32], &[f32]),
    pub(super) extend: unsafe fn(&[f32], &[&[f32]], f32, &mut [f32], &mut [f32; CODES]),
    pub(super) add_four: unsafe fn(&mut [f64], [&[f32]; 4]),
    pub(super) all_products: unsafe fn(&[f64], &[f64], &mut [f64], &mut [f32]),
}

/// Compiles the routines of `tile` for one set of instructions. `$steps` maps a number of rows to how many are taken at a
/// time and with how many vectors of codewords.
macro_rules! kernel {
    ($name:ident, $lanes:ty, $roundings:literal, ($($features:tt)*), { $($rows:pat => $r:literal x $s:literal),+ }) => {
        mod $name {
            use super::*;

            pub(super) static KERNEL: FloatKernel = FloatKernel {
                roundings: $roundings,
                prepare,
                scores,
                least,
                at_most,
                quick_distance,
                subtract,
                extend,
                add_four,
                all_products,
            };

            // SAFETY of this module: the table is only given out on a CPU with these features.

            $($features)*
            unsafe fn prepare(residual: &[f32], mean: &[f32], tile: &mut [FloatRows], row: usize) -> Measure {
                // SAFETY: see above.
                unsafe { tile::prepare::<$lanes>(residual, mean, tile, row) }
            }

            $($features)*
            unsafe fn scores(
                tile: &[FloatRows],
                panel: &[FloatQuad],
                terms: Terms<'_>,
                row_terms: &RowTerms,
                rows: usize,
                lower: &mut Lower<'_>,
            ) {
                // SAFETY: see above.
                unsafe {
                    match rows {
                        $($rows => tile::scores::<$lanes, $r, $s>(tile, panel, terms, row_terms, rows, lower)),+
                    }
                }
            }

            $($features)*
            unsafe fn least(values: &[f32]) -> f32 {
                // SAFETY: see above.
                unsafe { tile::least::<$lanes>(values) }
            }

            $($features)*
            unsafe fn at_most(values: &[f32], limit: f32, places: &mut Vec<u32>) {
                // SAFETY: see above.
                unsafe { tile::at_most::<$lanes>(values, limit, places) }
            }

            $($features)*
            unsafe fn quick_distance(residual: &[f32], word: &[f32]) -> f32 {
                // SAFETY: see above.
                unsafe { tile::quick_distance::<$lanes>(residual, word) }
            }

            $($features)*
            unsafe fn subtract(residual: &mut [f32], word: &[f32]) {
                for (value, &word) in residual.iter_mut().zip(word) {
                    *value -= word;
                }
            }

            $($features)*
            unsafe fn extend(
                base: &[f32],
                tables: &[&[f32]],
                start: f32,
                target: &mut [f32],
                minima: &mut [f32; CODES],
            ) {
                // SAFETY: see above.
                unsafe { tile::extend::<$lanes>(base, tables, start, target, minima) }
            }

            $($features)*
            unsafe fn add_four(sums: &mut [f64], [a, b, c, d]: [&[f32]; 4]) {
                for ((((sum, &a), &b), &c), &d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                    *sum = *sum + f64::from(a) + f64::from(b) + f64::from(c) + f64::from(d);
                }
            }

            $($features)*
            unsafe fn all_products(word: &[f64], columns: &[f64], sums: &mut [f64], target: &mut [f32]) {
                tile::all_products(word, columns, sums, target);
            }
        }
    };
}

kernel!(portable, Portable, 2, (), { 1 => 1 x 2, _ => 4 x 2 });

#[cfg(target_arch = "x86_64")]
kernel!(avx2, Avx2, 1, (#[target_feature(enable = "avx2,fma")]), {
    1 => 1 x 2,
    _ => 6 x 2
});

#[cfg(target_arch = "x86_64")]
kernel!(avx512, Avx512, 1, (#[target_feature(enable = "avx512f,avx2,fma")]), {
    1 => 1 x 2,
    2..=4 => 4 x 2,
    _ => 12 x 2
});

#[cfg(target_arch = "aarch64")]
kernel!(neon, Neon, 1, (), { 1 => 1 x 2, _ => 6 x 4 });
