//! Semantic IDs in pure Rust.
//!
//! A *Semantic ID* names an item of a catalogue by a few learned tokens instead of one opaque number.
//! This crate holds the parts of that idea that must be fast and exact: quantizing vectors into codes,
//! packing codes into integers, hashing their n-grams, and walking the trie of those that exist.

mod array;
pub mod assign;
pub mod codebook;
pub mod collide;
pub mod error;
mod files;
pub mod guard;
pub mod hash;
pub mod infer;
pub mod kmeans;
mod lanes;
pub mod memory;
pub mod ngram;
mod pack;
mod pages;
pub mod perceptron;
pub mod pieces;
pub mod pool;
pub mod rerank;
mod rng;
pub mod sid;
mod simd;
pub mod trie;

pub use assign::{Kernel, assign};
pub use codebook::{Codebook, Codebooks};
pub use error::{Error, Result};
pub use ngram::Ngrams;
pub use perceptron::Perceptron;
pub use sid::{Sid, SidLayout};
pub use trie::Trie;
