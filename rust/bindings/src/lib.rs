//! The extension module `sidkit._core`: the list of what it holds, nothing else.

use pyo3::prelude::*;

mod arrays;
mod assign;
mod codebook;
mod collide;
mod count;
mod error;
mod guard;
mod infer;
mod item_set;
mod kmeans;
mod kmeans_shard;
mod live;
mod nearby;
mod ngram;
mod origin;
mod perceptron;
mod pieces;
mod rerank;
mod rows;
mod sid;
mod trie;
mod trie_writer;

/// The Rust core of sidkit.
#[pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::assign::{Assignment, assign_codes, assign_details};
    #[pymodule_export]
    use crate::codebook::Codebooks;
    #[pymodule_export]
    use crate::collide::{code_ranks, place_codes};
    #[pymodule_export]
    use crate::infer::{InferenceModel, InferenceState, write_inference};
    #[pymodule_export]
    use crate::item_set::ItemSet;
    #[pymodule_export]
    use crate::kmeans::kmeans_fit;
    #[pymodule_export]
    use crate::kmeans_shard::{KMeansShard, kmeans_choose, kmeans_places, kmeans_sample, kmeans_start};
    #[pymodule_export]
    use crate::live::LiveTrie;
    #[pymodule_export]
    use crate::ngram::{ngram_rows, ngram_windows};
    #[pymodule_export]
    use crate::origin::{trie_from_bytes, trie_from_file};
    #[pymodule_export]
    use crate::perceptron::Perceptron;
    #[pymodule_export]
    use crate::pieces::{learn_pieces, segment_pieces, shuffle_actions};
    #[pymodule_export]
    use crate::rerank::{distinct_select, dpp_select, max_sum_select, mmr_select};
    #[pymodule_export]
    use crate::sid::SidLayout;
    #[pymodule_export]
    use crate::trie::{Trie, TrieStates};
    #[pymodule_export]
    use crate::trie_writer::TrieWriter;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        sidkit_core::guard::note_panics();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
