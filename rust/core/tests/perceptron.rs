//! Perceptrons against the definition, written out once more in the plainest way.

use proptest::prelude::*;
use sidkit_core::assign::Rows;
use sidkit_core::{Error, Kernel, Perceptron};

#[derive(Clone, Debug)]
struct Case {
    widths: Vec<usize>,
    layers: Vec<(Vec<f32>, Vec<f32>)>,
    rows: Vec<f32>,
}

impl Case {
    fn perceptron(&self, kernel: Kernel) -> Perceptron {
        Perceptron::with_kernel(&self.widths, &borrowed(&self.layers), kernel).unwrap()
    }

    /// The definition, output by output.
    fn oracle(&self) -> Vec<f32> {
        let mut results = Vec::new();
        for row in self.rows.chunks_exact(self.widths[0]) {
            let mut y = row.to_vec();
            for (number, (weight, bias)) in self.layers.iter().enumerate() {
                if number > 0 {
                    y = y
                        .iter()
                        .map(|&value| if value > 0.0 { value } else { 0.0 })
                        .collect();
                }
                let mut z = bias.clone();
                for (output, sum) in z.iter_mut().enumerate() {
                    for (input, &value) in y.iter().enumerate() {
                        *sum = weight[output * y.len() + input].mul_add(value, *sum);
                    }
                }
                y = z;
            }
            results.extend(y);
        }
        results
    }
}

fn borrowed(layers: &[(Vec<f32>, Vec<f32>)]) -> Vec<(&[f32], &[f32])> {
    layers
        .iter()
        .map(|(weight, bias)| (weight.as_slice(), bias.as_slice()))
        .collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    // Infinities can meet and make NaNs, whose bits mean nothing.
    values
        .iter()
        .map(|value| if value.is_nan() { u32::MAX } else { value.to_bits() })
        .collect()
}

/// Mostly plain numbers; some huge, tiny or zero.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![8 => -2.0_f32..2.0, 1 => Just(0.0_f32), 1 => Just(-0.0_f32), 1 => Just(1e-40_f32), 1 => Just(3e38_f32)]
}

fn case() -> impl Strategy<Value = Case> {
    (proptest::collection::vec(1_usize..70, 2..5), 0_usize..30).prop_flat_map(|(widths, rows)| {
        let layers: Vec<_> = widths
            .windows(2)
            .map(|pair| {
                (
                    proptest::collection::vec(number(), pair[0] * pair[1]),
                    proptest::collection::vec(number(), pair[1]),
                )
            })
            .collect();
        let rows = proptest::collection::vec(number(), rows * widths[0]);
        (Just(widths), layers, rows).prop_map(|(widths, layers, rows)| Case { widths, layers, rows })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_kernel_computes_the_definition_bit_for_bit(case in case(), threads in 0_usize..3) {
        let expected = case.oracle();
        for kernel in Kernel::available() {
            let mut results = vec![f32::NAN; expected.len()];
            case.perceptron(kernel).apply(Rows::F32(&case.rows), &mut results, threads).unwrap();
            prop_assert_eq!(bits(&results), bits(&expected), "{}", kernel.name());
        }
    }

    #[test]
    fn a_row_has_the_same_result_alone(case in case()) {
        let perceptron = case.perceptron(Kernel::best());
        let (inputs, outputs) = (perceptron.inputs(), perceptron.outputs());
        let mut together = vec![0.0; case.rows.len() / inputs * outputs];
        perceptron.apply(Rows::F32(&case.rows), &mut together, 1).unwrap();
        for (row, result) in case.rows.chunks_exact(inputs).zip(together.chunks_exact(outputs)) {
            let mut alone = vec![0.0; outputs];
            perceptron.apply(Rows::F32(row), &mut alone, 1).unwrap();
            prop_assert_eq!(bits(&alone), bits(result));
        }
    }
}

/// Weights that are no round numbers, of a network as large as real ones.
fn large() -> Case {
    let widths = vec![300, 97, 32];
    let mut state = 1_u32;
    let mut draw = |count: usize| -> Vec<f32> {
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    };
    let layers = widths
        .windows(2)
        .map(|pair| (draw(pair[0] * pair[1]), draw(pair[1])))
        .collect();
    let rows = draw(300 * 500);
    Case { widths, layers, rows }
}

#[test]
fn threads_and_blocks_change_nothing() {
    let case = large();
    let expected = case.oracle();
    for kernel in Kernel::available().filter(|&kernel| kernel != Kernel::Portable) {
        for threads in [1, 2, 5] {
            let mut results = vec![0.0; expected.len()];
            case.perceptron(kernel)
                .apply(Rows::F32(&case.rows), &mut results, threads)
                .unwrap();
            assert_eq!(bits(&results), bits(&expected));
        }
    }
}

#[test]
fn bad_input_is_refused() {
    let weight = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let bias = [0.5, 0.25];
    let new = |widths: &[usize], weight: &[f32], bias: &[f32]| {
        Perceptron::new(widths, &[(weight, bias)]).map(|_| ())
    };
    assert!(new(&[3, 2], &weight, &bias).is_ok());
    assert!(matches!(Perceptron::new(&[3], &[]), Err(Error::Range { .. })));
    assert!(matches!(
        new(&[3], &weight, &bias),
        Err(Error::Length { what: "widths", .. })
    ));
    assert!(matches!(
        new(&[0, 2], &[], &bias),
        Err(Error::Range { what: "width", .. })
    ));
    assert!(matches!(
        new(&[2, 2], &weight, &bias),
        Err(Error::Length { what: "weight", .. })
    ));
    assert!(matches!(
        new(&[3, 2], &weight, &bias[1..]),
        Err(Error::Length { what: "bias", .. })
    ));
    let broken = [1.0, 2.0, 3.0, f32::NAN, 5.0, 6.0];
    assert!(matches!(
        new(&[3, 2], &broken, &bias),
        Err(Error::NotFinite {
            what: "weight",
            row: 1
        })
    ));
    let perceptron = Perceptron::new(&[3, 2], &[(&weight, &bias)]).unwrap();
    assert!(matches!(
        perceptron.apply(Rows::F32(&[0.0; 6]), &mut [0.0; 3], 1),
        Err(Error::Length { what: "results", .. })
    ));
    let rows = [0.0, 0.0, 0.0, 0.0, f32::INFINITY, 0.0];
    assert!(matches!(
        perceptron.apply(Rows::F32(&rows), &mut [0.0; 4], 1),
        Err(Error::NotFinite { what: "x", row: 1 })
    ));
    assert!(perceptron.apply(Rows::F32(&[]), &mut [], 0).is_ok());
}
