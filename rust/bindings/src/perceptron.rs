//! `Perceptron` for Python.

use numpy::{Ix1, Ix2, PyArray2, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::count::Count;
use crate::guard;
use crate::rows::RowsArray;
use crate::{arrays, codebook};

/// Linear layers with `ReLU` between them, copied, checked and prepared once; immutable and shared freely between threads.
#[pyclass(frozen, module = "sidkit._core", name = "Perceptron")]
pub(crate) struct Perceptron(sidkit_core::Perceptron);

#[pymethods]
impl Perceptron {
    #[new]
    #[pyo3(signature = (layers, *, kernel=None))]
    fn new(layers: Vec<(Bound<'_, PyAny>, Bound<'_, PyAny>)>, kernel: Option<&str>) -> PyResult<Self> {
        let kernel = codebook::kernel_of(kernel)?;
        let mut widths = Vec::with_capacity(layers.len() + 1);
        let mut held = Vec::with_capacity(layers.len());
        for (number, (weight, bias)) in layers.into_iter().enumerate() {
            let name = format!("layers[{number}][0]");
            let weight = arrays::read::<f32, Ix2>(&weight, &name, "(outputs, inputs)")?;
            let bias = arrays::read::<f32, Ix1>(&bias, &format!("layers[{number}][1]"), "(outputs,)")?;
            let (outputs, inputs) = (weight.shape()[0], weight.shape()[1]);
            if widths.is_empty() {
                widths.push(inputs);
            }
            arrays::check_axis(&name, 1, inputs, widths[number])?;
            widths.push(outputs);
            held.push((weight, bias));
        }
        let slices = held
            .iter()
            .map(|(weight, bias)| Ok((weight.as_slice()?, bias.as_slice()?)))
            .collect::<PyResult<Vec<_>>>()?;
        guard::attached(|| sidkit_core::Perceptron::with_kernel(&widths, &slices, kernel)).map(Self)
    }

    /// Instruction set of the layers.
    #[getter]
    fn kernel(&self) -> &'static str {
        self.0.kernel().name()
    }

    /// The results of rows.
    #[pyo3(signature = (x, /, *, threads=None))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        threads: Option<Count>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let threads = Count::threads(threads)?;
        let x = RowsArray::new(x, self.0.inputs(), true)?;
        let results = arrays::zeros(py, [x.count(), self.0.outputs()])?;
        let mut target = results.readwrite();
        let (rows, target) = (x.rows()?, target.as_slice_mut()?);
        guard::detached(py, || self.0.apply(rows, target, threads))?;
        Ok(results)
    }

    fn __repr__(&self) -> String {
        format!(
            "Perceptron(inputs={}, outputs={})",
            self.0.inputs(),
            self.0.outputs()
        )
    }
}
