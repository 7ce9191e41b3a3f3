//! Memory that begins on a cache line, since kernels are slower across them.

/// Floats in a cache line.
const LINE: usize = 16;

/// Zeros at first.
pub(super) struct Buffer(Vec<f32>);

impl Buffer {
    /// At least `count` values.
    pub(super) fn new(count: usize) -> Self {
        Self(vec![0.0; count + LINE])
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.0[self.start()..]
    }

    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        let start = self.start();
        &mut self.0[start..]
    }

    fn start(&self) -> usize {
        self.0.as_ptr().align_offset(64).min(LINE)
    }
}
