//! Elementwise functions of networks, for every instruction set.
//!
//! The loops are plain Rust over groups of lanes, which a compiler turns into vector instructions. Exponentials have a
//! relative error below 2e-7.

#![expect(
    clippy::inline_always,
    reason = "without it, the loops would be calls of their own, outside the kernel's instruction set"
)]

use crate::assign::Kernel;

/// Added to variances by torch's layer norm.
const EPSILON: f32 = 1e-5;
/// Values that a reduction takes at once.
const LANES: usize = 16;

/// Defines a function that runs `$body` with the kernel's instructions; its first parameter says whether products and sums
/// are fused.
macro_rules! compiled {
    ($(#[$doc:meta])* $name:ident = $body:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?) => {
        $(#[$doc])*
        pub(super) fn $name(kernel: Kernel, $($arg: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($arg: $type),*) $(-> $result)? {
                $body::<true>($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma")]
            unsafe fn avx512($($arg: $type),*) $(-> $result)? {
                $body::<true>($($arg),*)
            }
            match kernel {
                // SAFETY: a kernel is only used where the CPU has its instructions; `products` asserts it.
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx512 | Kernel::Vnni => unsafe { avx512($($arg),*) },
                Kernel::Neon => $body::<true>($($arg),*),
                _ => $body::<false>($($arg),*),
            }
        }
    };
}

compiled!(
    /// Replaces values by `exp(value - most)`.
    exponentials = exponentials_any(values: &[f32], most: f32, out: &mut [f32])
);
compiled!(
    /// The sum of values, in lanes.
    sum = sum_any(values: &[f32]) -> f32
);
compiled!(
    /// The largest value; -inf for none.
    maximum = maximum_any(values: &[f32]) -> f32
);
compiled!(
    /// A step of a gated recurrent unit: the state after the gates' parts from input and state, each (3, D).
    gates = gates_any(input: &[f32], state: &[f32], bias: Bias<'_>, hidden: &mut [f32])
);
compiled!(
    /// Normalizes a row to mean 0 and variance 1, then scales and shifts it.
    layer_norm = layer_norm_any(row: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32])
);
compiled!(
    /// Adds biases, and applies the Gaussian error linear unit.
    gelu = gelu_any(row: &mut [f32], bias: &[f32])
);

compiled!(
    /// Writes what a position attends to, to `out` (D); `weights` has a place for each position up to it.
    attend = attend_any(heads: Heads<'_>, weights: &mut [f32], out: &mut [f32])
);

/// A position among those of its history.
#[derive(Clone, Copy)]
pub(super) struct Heads<'a> {
    /// Queries, keys and values of the history, (positions, 3, heads, E).
    pub(super) qkv: &'a [f32],
    pub(super) position: usize,
    /// Number of heads.
    pub(super) count: usize,
}

/// Biases of a gated recurrent unit, each (3, D).
#[derive(Clone, Copy)]
pub(super) struct Bias<'a> {
    pub(super) input: &'a [f32],
    pub(super) state: &'a [f32],
}

#[inline(always)]
fn fused<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    // Without the instruction, `mul_add` is a slow call.
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// The exponential of a number that is at most 88; 0 below -87.
#[inline(always)]
fn exp<const FMA: bool>(x: f32) -> f32 {
    const ROUNDING: f32 = 12_582_912.0; // 1.5 · 2²³: adding it rounds to an integer, in the lowest bits
    const LN2_HIGH: f32 = -0.693_359_4;
    const LN2_LOW: f32 = 2.121_944_4e-4;
    let clamped = x.clamp(-87.3, 88.3);
    let shifted = fused::<FMA>(clamped, std::f32::consts::LOG2_E, ROUNDING);
    let whole = shifted - ROUNDING;
    let rest = fused::<FMA>(whole, LN2_LOW, fused::<FMA>(whole, LN2_HIGH, clamped));
    let mut sum = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1] {
        sum = fused::<FMA>(sum, rest, coefficient);
    }
    let value = fused::<FMA>(sum * rest, rest, rest) + 1.0;
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    if x < -87.3 { 0.0 } else { value * scale }
}

#[inline(always)]
fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

#[inline(always)]
fn tanh<const FMA: bool>(x: f32) -> f32 {
    2.0 / (1.0 + exp::<FMA>(-2.0 * x)) - 1.0
}

/// The error function, with an absolute error below 5e-7 (Abramowitz and Stegun 7.1.26).
#[inline(always)]
fn erf<const FMA: bool>(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / fused::<FMA>(0.327_591_1, size, 1.0);
    let mut sum = 1.061_405_4;
    for coefficient in [-1.453_152_1, 1.421_413_8, -0.284_496_74, 0.254_829_6] {
        sum = fused::<FMA>(sum, t, coefficient);
    }
    (1.0 - sum * t * exp::<FMA>(-size * size)).copysign(x)
}

#[inline(always)]
fn exponentials_any<const FMA: bool>(values: &[f32], most: f32, out: &mut [f32]) {
    for (out, &value) in out.iter_mut().zip(values) {
        *out = exp::<FMA>(value - most);
    }
}

#[inline(always)]
fn reduced(values: &[f32], start: f32, operation: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    let (groups, rest) = values.as_chunks::<LANES>();
    for group in groups {
        for (lane, &value) in lanes.iter_mut().zip(group) {
            *lane = operation(*lane, value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = operation(*lane, value);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = operation(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

#[inline(always)]
fn sum_any<const FMA: bool>(values: &[f32]) -> f32 {
    reduced(values, 0.0, |a, b| a + b)
}

#[inline(always)]
fn maximum_any<const FMA: bool>(values: &[f32]) -> f32 {
    reduced(values, f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

#[inline(always)]
fn gates_any<const FMA: bool>(input: &[f32], state: &[f32], bias: Bias<'_>, hidden: &mut [f32]) {
    let dim = hidden.len();
    let (reset, rest) = input.split_at(dim);
    let (update, new) = rest.split_at(dim);
    let (state_reset, rest) = state.split_at(dim);
    let (state_update, state_new) = rest.split_at(dim);
    let (bias_reset, rest) = bias.input.split_at(dim);
    let (bias_update, bias_new) = rest.split_at(dim);
    let (other_reset, rest) = bias.state.split_at(dim);
    let (other_update, other_new) = rest.split_at(dim);
    let (new, state_new) = (&new[..dim], &state_new[..dim]);
    let (bias_new, other_new) = (&bias_new[..dim], &other_new[..dim]);
    for at in 0..dim {
        let r = sigmoid::<FMA>((reset[at] + bias_reset[at]) + (state_reset[at] + other_reset[at]));
        let z = sigmoid::<FMA>((update[at] + bias_update[at]) + (state_update[at] + other_update[at]));
        let n = tanh::<FMA>(fused::<FMA>(
            r,
            state_new[at] + other_new[at],
            new[at] + bias_new[at],
        ));
        hidden[at] = fused::<FMA>(z, hidden[at] - n, n);
    }
}

#[inline(always)]
fn layer_norm_any<const FMA: bool>(row: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    let count = row.len() as f32;
    let mean = sum_any::<FMA>(row) / count;
    for (out, &value) in out.iter_mut().zip(row) {
        *out = (value - mean) * (value - mean);
    }
    let inverse = 1.0 / (sum_any::<FMA>(out) / count + EPSILON).sqrt();
    for (((out, &value), &weight), &bias) in out.iter_mut().zip(row).zip(weight).zip(bias) {
        *out = fused::<FMA>((value - mean) * inverse, weight, bias);
    }
}

#[inline(always)]
fn gelu_any<const FMA: bool>(row: &mut [f32], bias: &[f32]) {
    for (value, &bias) in row.iter_mut().zip(bias) {
        let x = *value + bias;
        *value = 0.5 * x * (1.0 + erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2));
    }
}

#[inline(always)]
fn attend_any<const FMA: bool>(heads: Heads<'_>, weights: &mut [f32], out: &mut [f32]) {
    let dim = out.len();
    let width = dim / heads.count;
    let scale = 1.0 / (width as f32).sqrt();
    let weights = &mut weights[..=heads.position];
    for (head, out) in out.chunks_exact_mut(width).enumerate() {
        let part = |position: usize, which: usize| {
            &heads.qkv[position * 3 * dim + which * dim + head * width..][..width]
        };
        let query = part(heads.position, 0);
        for (position, weight) in weights.iter_mut().enumerate() {
            *weight = dot::<FMA>(query, part(position, 1)) * scale;
        }
        let most = maximum_any::<FMA>(weights);
        for weight in weights.iter_mut() {
            *weight = exp::<FMA>(*weight - most);
        }
        let inverse = 1.0 / sum_any::<FMA>(weights);
        out.fill(0.0);
        for (position, &weight) in weights.iter().enumerate() {
            for (out, &value) in out.iter_mut().zip(part(position, 2)) {
                *out = fused::<FMA>(weight * inverse, value, *out);
            }
        }
    }
}

#[inline(always)]
fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            lanes[lane] = fused::<FMA>(a[lane], b[lane], lanes[lane]);
        }
    }
    for ((lane, &a), &b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane = fused::<FMA>(a, b, *lane);
    }
    sum_any::<FMA>(&lanes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elementary_functions_are_those_of_the_library() {
        for step in -2000..2000 {
            let x = step as f32 / 23.0;
            let wide = f64::from(x);
            for value in [exp::<true>(x), exp::<false>(x)] {
                assert!(
                    (f64::from(value) / wide.exp() - 1.0).abs() < 3e-7,
                    "exp {x}: {value}"
                );
            }
            for value in [tanh::<true>(x), tanh::<false>(x)] {
                assert!((f64::from(value) - wide.tanh()).abs() < 3e-7, "tanh {x}: {value}");
            }
        }
        assert_eq!(exp::<true>(f32::NEG_INFINITY).to_bits(), 0);
        for (x, expected) in [
            (0.0, 0.0),
            (0.5, 0.520_499_9),
            (-1.0, -0.842_700_8),
            (3.0, 0.999_977_9),
        ] {
            assert!((erf::<false>(x) - expected as f32).abs() < 6e-7, "erf {x}");
        }
    }

    #[test]
    fn every_kernel_reduces_and_normalizes_alike() {
        let values: Vec<f32> = (0..37).map(|at| ((at * 29 % 17) as f32) / 3.0 - 2.0).collect();
        for kernel in Kernel::available() {
            let most = values.iter().copied().fold(f32::MIN, f32::max);
            assert_eq!(maximum(kernel, &values).to_bits(), most.to_bits());
            assert!((sum(kernel, &values) - values.iter().sum::<f32>()).abs() < 1e-4);
            let mut out = vec![0.0; values.len()];
            layer_norm(kernel, &values, &[2.0; 37], &[0.5; 37], &mut out);
            assert!((sum(kernel, &out) / 37.0 - 0.5).abs() < 1e-5);
            let spread: f32 = out.iter().map(|value| (value - 0.5).powi(2)).sum();
            assert!((spread / 37.0 - 4.0).abs() < 1e-3);
        }
    }
}
