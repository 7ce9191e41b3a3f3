//! The list that a thread works on: its candidates, and the vectors of those chosen.

use super::Candidates;
use super::dot::{self, Dots, SUMS, inverse_norm};
use crate::assign::Kernel;

/// A vector without a finite length.
pub(super) struct BadVector {
    /// The place of the candidate in the list.
    pub(super) place: usize,
}

/// The candidates of one list, without padding.
pub(super) struct List<'a> {
    candidates: Candidates<'a>,
    dots: Dots,
    /// Values of a row of vectors: the dimension, and zeros up to a multiple of [`SUMS`].
    stride: usize,
    /// Places of the candidates in the list, ascending.
    pub(super) places: Vec<usize>,
    /// Their scores.
    pub(super) scores: Vec<f64>,
    items: Vec<usize>,
    /// Their inverse lengths; NaN where not known yet.
    inverse: Vec<f64>,
    /// The vector of the candidate that was last compared.
    own: Vec<f32>,
    /// Vectors of the chosen candidates, and their inverse lengths.
    chosen: Vec<f32>,
    chosen_inverse: Vec<f64>,
    products: Vec<f32>,
    cosines: Vec<f64>,
}

impl<'a> List<'a> {
    pub(super) fn new(candidates: Candidates<'a>) -> Self {
        let stride = candidates.dim.next_multiple_of(SUMS);
        Self {
            candidates,
            dots: dot::of(Kernel::best()),
            stride,
            places: Vec::new(),
            scores: Vec::new(),
            items: Vec::new(),
            inverse: Vec::new(),
            own: vec![0.0; stride],
            chosen: Vec::new(),
            chosen_inverse: Vec::new(),
            products: Vec::new(),
            cosines: Vec::new(),
        }
    }

    /// Number of candidates.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Takes the next list; nothing of it is chosen yet.
    pub(super) fn read(&mut self, (items, scores): (&[i32], &[f32])) {
        self.places.clear();
        self.scores.clear();
        self.items.clear();
        self.chosen.clear();
        self.chosen_inverse.clear();
        for (place, (&item, &score)) in items.iter().zip(scores).enumerate() {
            if let Ok(item) = usize::try_from(item) {
                self.places.push(place);
                self.scores.push(f64::from(score));
                self.items.push(item);
            }
        }
        self.inverse.clear();
        self.inverse.resize(self.items.len(), f64::NAN);
    }

    /// The cosines of a candidate with the chosen ones from number `first` on.
    pub(super) fn cosines(&mut self, candidate: usize, first: usize) -> Result<&[f64], BadVector> {
        let own = self.load(candidate)?;
        let inverse = &self.chosen_inverse[first..];
        self.products.resize(inverse.len(), 0.0);
        let rows = &self.chosen[first * self.stride..];
        // SAFETY: `of` gives out kernels of this CPU; each chosen row has a stride, a multiple of SUMS.
        unsafe { (self.dots)(&self.own, rows, &mut self.products) };
        self.cosines.clear();
        self.cosines.extend(
            self.products
                .iter()
                .zip(inverse)
                .map(|(&product, &other)| f64::from(product) * other * own),
        );
        Ok(&self.cosines)
    }

    /// Adds a candidate to the chosen ones.
    pub(super) fn choose(&mut self, candidate: usize) -> Result<(), BadVector> {
        let inverse = self.load(candidate)?;
        self.chosen.extend_from_slice(&self.own);
        self.chosen_inverse.push(inverse);
        Ok(())
    }

    /// Copies the vector of a candidate to `own`; returns its inverse length.
    fn load(&mut self, candidate: usize) -> Result<f64, BadVector> {
        let dim = self.candidates.dim;
        self.own[..dim].copy_from_slice(&self.candidates.vectors[self.items[candidate] * dim..][..dim]);
        if self.inverse[candidate].is_nan() {
            let mut square = [0.0];
            // SAFETY: `of` gives out kernels of this CPU; the row has a stride, a multiple of SUMS.
            unsafe { (self.dots)(&self.own, &self.own, &mut square) };
            if !square[0].is_finite() {
                return Err(BadVector {
                    place: self.places[candidate],
                });
            }
            self.inverse[candidate] = inverse_norm(square[0]);
        }
        Ok(self.inverse[candidate])
    }
}
