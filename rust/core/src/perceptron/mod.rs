//! Linear layers with `ReLU` between them: the encoder and the decoder of a learned tokenizer.
//!
//! A layer maps y to `z_j = b_j + Σ_i W_ji y_i`, summed in f32 from `b_j` on, in index order, every product and its
//! addition rounded once together. Between two layers, what is not above zero becomes zero. No sum is ever split, so a
//! vector has the same result, bit for bit, in any batch, on any number of threads, on any CPU: codes of new items
//! can be trusted to be those that training would have given them.

mod kernel;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::assign::{Kernel, Rows};
use crate::{Error, Result, pool};
use kernel::{PANEL, Panel, ROWS, Tile};

/// Rows that one task takes: tiles that share the weights in the cache.
const BLOCK: usize = 8 * ROWS;

/// Multiplications under which a call is not worth a second thread.
const INLINE: usize = 1 << 21;

/// Linear layers with `ReLU` between them, checked and laid out for the kernels once.
#[derive(Clone, Debug)]
pub struct Perceptron {
    kernel: Kernel,
    layers: Vec<Layer>,
}

/// One layer: outputs in panels of 32, the weights of a panel input after input.
#[derive(Clone, Debug)]
struct Layer {
    inputs: usize,
    outputs: usize,
    weights: Vec<Panel>,
    bias: Vec<Panel>,
}

impl Perceptron {
    /// Takes weight (outputs × inputs, row after row) and bias (outputs) of each layer, which has `inputs` of
    /// `widths` before and after it: layer l maps `widths[l]` numbers to `widths[l + 1]`.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] for no layer or a zero width; [`Error::Length`] for a buffer that does not fit the widths;
    /// [`Error::NotFinite`] for NaN or infinity.
    pub fn new(widths: &[usize], layers: &[(&[f32], &[f32])]) -> Result<Self> {
        Self::with_kernel(widths, layers, Kernel::best())
    }

    /// As [`Perceptron::new`], for a kernel that is not this CPU's fastest. The results are the same.
    ///
    /// # Errors
    ///
    /// Those of [`Perceptron::new`], and [`Error::Kernel`] if this CPU cannot run the kernel.
    pub fn with_kernel(widths: &[usize], layers: &[(&[f32], &[f32])], kernel: Kernel) -> Result<Self> {
        if !kernel.is_available() {
            return Err(Error::Kernel { name: kernel.name() });
        }
        Error::check_range("layers", layers.len(), 1, usize::MAX)?;
        Error::check_length("widths", widths.len(), layers.len() + 1)?;
        let layers = widths
            .windows(2)
            .zip(layers)
            .map(|(widths, (weight, bias))| Layer::new(widths[0], widths[1], weight, bias))
            .collect::<Result<_>>()?;
        Ok(Self { kernel, layers })
    }

    /// Width of a row.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs
    }

    /// Width of a result.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs
    }

    /// Instruction set of the layers.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Writes the results of `rows` (`n × inputs`) to `results` (`n × outputs`), on up to `threads` threads (0: all).
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if a buffer does not fit the layers or the other; [`Error::NotFinite`] with the first row that
    /// holds NaN or infinity; then `results` holds nothing of use.
    pub fn apply(&self, rows: Rows<'_>, results: &mut [f32], threads: usize) -> Result<()> {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let count = rows.len() / inputs;
        Error::check_length("rows", rows.len(), count * inputs)?;
        Error::check_length("results", results.len(), count * outputs)?;
        let weights: usize = self.layers.iter().map(|layer| layer.inputs * layer.outputs).sum();
        let threads = if count.saturating_mul(weights) < INLINE {
            1
        } else {
            threads
        };
        let first_bad = AtomicUsize::new(usize::MAX);
        pool::for_each_with(
            threads,
            results.chunks_mut(BLOCK * outputs).enumerate(),
            || Scratch::new(&self.layers, BLOCK.min(count)),
            |scratch, (block, results)| {
                let (first, here) = (block * BLOCK, results.len() / outputs);
                for i in 0..here {
                    let target = &mut scratch.read[i * scratch.stride..][..inputs];
                    if !rows.copy((first + i) * inputs, target) {
                        first_bad.fetch_min(first + i, Relaxed);
                        return;
                    }
                }
                self.run(scratch, here);
                for (i, result) in results.chunks_exact_mut(outputs).enumerate() {
                    result.copy_from_slice(&scratch.read[i * scratch.stride..][..outputs]);
                }
            },
        );
        match first_bad.into_inner() {
            usize::MAX => Ok(()),
            row => Err(Error::NotFinite { what: "x", row }),
        }
    }

    /// Replaces the first `rows` rows of `scratch.read` by their results.
    fn run(&self, scratch: &mut Scratch, rows: usize) {
        let kernel = kernel::of(self.kernel);
        for (number, layer) in self.layers.iter().enumerate() {
            for (column, (panel, bias)) in layer
                .weights
                .chunks_exact(layer.inputs)
                .zip(&layer.bias)
                .enumerate()
            {
                for first in (0..rows).step_by(ROWS) {
                    let tile = Tile {
                        rows: &scratch.read[first * scratch.stride..],
                        stride: scratch.stride,
                        count: ROWS.min(rows - first),
                    };
                    let target = &mut scratch.write[first * scratch.stride + column * PANEL..];
                    // SAFETY: `of` gives out kernels of this CPU; the tile has `count` rows of `inputs` values, and the
                    // target as many of a whole panel, since the stride is that of the widest layer in whole panels.
                    unsafe { kernel(tile, panel, bias, target) };
                }
            }
            if number + 1 < self.layers.len() {
                for value in &mut scratch.write[..rows * scratch.stride] {
                    *value = if *value > 0.0 { *value } else { 0.0 };
                }
            }
            std::mem::swap(&mut scratch.read, &mut scratch.write);
        }
    }
}

impl Layer {
    fn new(inputs: usize, outputs: usize, weight: &[f32], bias: &[f32]) -> Result<Self> {
        Error::check_range("width", inputs.min(outputs), 1, usize::MAX)?;
        Error::check_length("weight", weight.len(), inputs.saturating_mul(outputs))?;
        Error::check_length("bias", bias.len(), outputs)?;
        Error::check_finite("weight", inputs, weight)?;
        Error::check_finite("bias", 1, bias)?;
        let panels = outputs.div_ceil(PANEL);
        let mut layer = Self {
            inputs,
            outputs,
            weights: vec![Panel::ZERO; panels * inputs],
            bias: vec![Panel::ZERO; panels],
        };
        for (output, (row, &bias)) in weight.chunks_exact(inputs).zip(bias).enumerate() {
            let (panel, lane) = (output / PANEL, output % PANEL);
            layer.bias[panel].0[lane] = bias;
            for (input, &value) in row.iter().enumerate() {
                layer.weights[panel * inputs + input].0[lane] = value;
            }
        }
        Ok(layer)
    }
}

/// The rows of a block before and after a layer.
struct Scratch {
    /// Stride of the rows: the widest layer, in whole panels.
    stride: usize,
    read: Vec<f32>,
    write: Vec<f32>,
}

impl Scratch {
    fn new(layers: &[Layer], rows: usize) -> Self {
        let widest = layers
            .iter()
            .map(|layer| layer.inputs.max(layer.outputs))
            .max()
            .unwrap_or(0);
        // One cache line more, so that the rows of a tile do not fall on the same few sets of the cache.
        let stride = widest.next_multiple_of(PANEL) + 16;
        Self {
            stride,
            read: vec![0.0; rows * stride],
            write: vec![0.0; rows * stride],
        }
    }
}
