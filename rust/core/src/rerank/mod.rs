//! Re-ranking of candidate lists: maximal marginal relevance, max-sum diversification, determinantal point processes,
//! and near-duplicates.
//!
//! A recommender returns a few hundred candidates a list, best first; the functions of this module choose `k` of
//! them, so that the list is diverse. All of them compare items by the cosine of their vectors.
//!
//! # The definition of a cosine
//!
//! The dot product of two f32 vectors has 32 partial sums: number l takes the elements l, l + 32, l + 64, … in
//! order, every product and its addition rounded once together (fused multiply-add, f32). The sums are added in
//! pairs (l and l + 16, then l and l + 8, 4, 2, 1). With `n = 1 / sqrt(dot(v, v))` in f64, the cosine of v and w is
//! `dot(v, w) · n_v · n_w` in f64. It is 0 if one of the vectors is zero. No sum depends on the batch, the number
//! of threads or the instruction set, and neither do the lists.
//!
//! # Lazy evaluation
//!
//! The value of a candidate never rises while items are chosen. A value that is out of date is therefore an upper
//! bound, and a candidate is compared with the chosen items only when its bound is the highest (Minoux:
//! *Accelerated greedy algorithms for maximizing submodular set functions*, 1978). The lists are those of the
//! definition, without most of its dot products.
//!
//! # Example
//!
//! Three items, the first two of which are alike. With half of the weight on diversity, the list holds both kinds.
//!
//! ```
//! use sidkit_core::rerank::{Candidates, mmr};
//!
//! let vectors = [1.0, 0.0, 1.0, 0.1, 0.0, 1.0];
//! let candidates = Candidates::new(&vectors, 2, &[0, 1, 2], &[1.0, 0.9, 0.5], 3)?;
//! let (mut positions, mut values) = ([0; 2], [0.0; 2]);
//! mmr(&candidates, 0.5, 0, 2, &mut positions, &mut values, 0)?;
//! assert_eq!(positions, [0, 2]);
//! # Ok::<(), sidkit_core::Error>(())
//! ```

mod candidates;
mod distinct;
mod dot;
mod dpp;
mod greedy;
mod list;
mod max_sum;
mod mmr;

pub use candidates::Candidates;
pub use distinct::distinct;
pub use dot::cosine;
pub use dpp::{FLOOR, dpp};
pub use max_sum::max_sum;
pub use mmr::mmr;
