"""The logits processor against `prefix_allowed_tokens_fn` with a trie of dicts, inside `generate`."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

from sidkit import SidLayout, Trie
from sidkit.decode.adapters.transformers import TrieLogitsProcessor
from sidkit.errors import ConfigError, DataError
from sidkit.ids import Vocabulary

SIZES = (6, 40, 3)
LEVELS = len(SIZES)
LAYOUT = SidLayout(list(SIZES))
VOCABULARY = Vocabulary(LAYOUT)


def catalogue(items=60, seed=0) -> np.ndarray:
    every = np.random.default_rng(seed).permutation(int(np.prod(SIZES)))[:items]
    return np.stack(np.unravel_index(every, SIZES), axis=1).astype(np.uint16)


def trie_of(tokens, storage="fast") -> Trie:
    return Trie.build(LAYOUT.pack(tokens), LAYOUT, storage=storage)


class DictTrie:
    """The callback that users of transformers write."""

    def __init__(self, tokens, prompt=1, shift=0, eos=VOCABULARY.eos, pad=VOCABULARY.pad):
        self.prompt, self.eos, self.pad, self.root = prompt, eos, pad, {}
        for token_ids in (VOCABULARY.encode(tokens) + shift).tolist():
            node = self.root
            for token_id in token_ids:
                node = node.setdefault(token_id, {})

    def __call__(self, batch, token_ids):
        written = token_ids[self.prompt :].tolist()
        if self.eos in written:
            return [self.pad]
        node = self.root
        for token_id in written:
            node = node.get(token_id, {})
        return list(node) or [self.eos]


def tiny_t5(seed=0) -> T5ForConditionalGeneration:
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=VOCABULARY.size + 5,  # some token ids are not in the trie
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        dropout_rate=0.0,
        decoder_start_token_id=VOCABULARY.bos,
        pad_token_id=VOCABULARY.pad,
        eos_token_id=VOCABULARY.eos,
    )
    model = T5ForConditionalGeneration(config).eval()
    for weights in model.parameters():
        if weights.ndim > 1:
            torch.nn.init.normal_(weights, std=0.5)  # far from uniform, so that beams differ
    return model


HISTORIES = torch.randint(3, VOCABULARY.size, (4, 9), generator=torch.Generator().manual_seed(0))


def generate(model, histories=HISTORIES, seed=0, **options):
    torch.manual_seed(seed)
    out = model.generate(
        input_ids=histories,
        attention_mask=torch.ones_like(histories),
        max_new_tokens=LEVELS + 1,
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
        **options,
    )
    return out


def assert_same(ours, theirs):
    assert torch.equal(ours.sequences, theirs.sequences)
    for name in ("scores", "logits"):
        assert len(ours[name]) == len(theirs[name])
        assert all(torch.equal(a, b) for a, b in zip(ours[name], theirs[name], strict=True)), name
    if "sequences_scores" in theirs:
        assert torch.equal(ours.sequences_scores, theirs.sequences_scores)
        assert torch.equal(ours.beam_indices, theirs.beam_indices)


MODES = {
    "greedy": {"num_beams": 1, "do_sample": False},
    "beam 2": {"num_beams": 2},
    "beam 5, all": {"num_beams": 5, "num_return_sequences": 5, "length_penalty": 0.0},
    "beam 20, some": {"num_beams": 20, "num_return_sequences": 7, "renormalize_logits": True},
    "more beams than items": {"num_beams": 70, "num_return_sequences": 70},
    "sampling": {"do_sample": True, "num_return_sequences": 6, "top_k": 0},
    "sampling with warpers": {
        "do_sample": True,
        "num_return_sequences": 6,
        "top_k": 4,
        "temperature": 1.7,
        "top_p": 0.9,
    },
    "beam sampling": {"do_sample": True, "num_beams": 4, "num_return_sequences": 4},
    "without a cache": {"num_beams": 4, "use_cache": False},
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mode", MODES)
def test_generate_gives_what_a_dict_trie_gives(mode, seed):
    tokens = catalogue(seed=seed)
    model, options = tiny_t5(seed), MODES[mode]
    theirs = generate(model, seed=seed, prefix_allowed_tokens_fn=DictTrie(tokens), **options)
    for storage in ("fast", "compact"):
        processor = TrieLogitsProcessor(trie_of(tokens, storage), VOCABULARY)
        assert_same(generate(model, seed=seed, logits_processor=[processor], **options), theirs)


def test_every_finished_row_is_an_item_with_eos_behind_it():
    tokens = catalogue()
    processor = TrieLogitsProcessor(trie_of(tokens), VOCABULARY)
    out = generate(tiny_t5(), logits_processor=[processor], num_beams=10, num_return_sequences=10)
    assert out.sequences.shape == (40, 1 + LEVELS + 1)
    assert (out.sequences[:, -1] == VOCABULARY.eos).all()
    found = VOCABULARY.decode(out.sequences[:, 1:-1].numpy())
    values, offsets = processor.trie.lookup(LAYOUT.pack(found))
    assert (np.diff(offsets) == 1).all()
    assert all(len(set(row)) == 10 for row in values.reshape(4, 10).tolist())


def test_one_item_is_found_by_any_beam():
    processor = TrieLogitsProcessor(trie_of(catalogue(1)), VOCABULARY)
    out = generate(tiny_t5(), logits_processor=[processor], num_beams=3)
    assert (VOCABULARY.decode(out.sequences[:, 1:-1].numpy()) == catalogue(1)).all()


def tiny_gpt2(words, eos):
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=words + VOCABULARY.size, n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=eos
    )
    model = GPT2LMHeadModel(config).eval()
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    return model


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("prompt_length", [6, None])
def test_a_decoder_only_model_with_other_token_ids_and_padding_on_the_left(prompt_length, in_place):
    words, eos, pad = 50, 7, 9
    model = tiny_gpt2(words, eos)
    prompts = torch.randint(10, words, (3, 6))
    prompts[1, :4] = pad
    options = {"attention_mask": (prompts != pad).long(), "pad_token_id": pad, "num_beams": 4}
    options |= {"max_new_tokens": LEVELS + 1, "num_return_sequences": 4}
    tokens = catalogue()
    theirs = model.generate(prompts, prefix_allowed_tokens_fn=DictTrie(tokens, 6, words, eos, pad), **options)
    processor = TrieLogitsProcessor(
        trie_of(tokens),
        VOCABULARY,
        prompt_length=prompt_length,
        first_token=words,
        eos=eos,
        pad=pad,
        in_place=in_place,
    )
    ours = model.generate(prompts, logits_processor=[processor], **options)
    assert torch.equal(ours, theirs)
    assert not processor.dead.any()


def test_the_prompt_length_is_inferred_at_every_generate():
    """Prompts of several lengths one after the other, one of them as long as the former rows would grow."""
    words, eos, tokens = 50, 7, catalogue()
    model = tiny_gpt2(words, eos)
    processor = TrieLogitsProcessor(trie_of(tokens), VOCABULARY, first_token=words, eos=eos, pad=9)
    for length in (6, 3, 3 + LEVELS + 1, 1, 12):
        prompts = torch.randint(10, words, (3, length), generator=torch.Generator().manual_seed(length))
        options = {"attention_mask": torch.ones_like(prompts), "pad_token_id": 9}
        options |= {"num_beams": 4, "num_return_sequences": 4, "max_new_tokens": LEVELS + 1}
        oracle = DictTrie(tokens, length, words, eos, 9)
        expected = model.generate(prompts, prefix_allowed_tokens_fn=oracle, **options)
        found = model.generate(prompts, logits_processor=[processor], **options)
        assert torch.equal(found, expected)
        VOCABULARY.decode(found[:, length:-1].numpy() - words)  # Semantic IDs, not EOS at once


def expected_row(oracle: DictTrie, token_ids, scores):
    row = torch.full_like(scores, -torch.inf)
    allowed = oracle(0, token_ids)
    row[allowed] = scores[allowed]
    return row


TOKENS = st.integers(-3, VOCABULARY.size + 8)


@given(data=st.data())
@settings(deadline=None)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("in_place", [False, True])
def test_any_rows_are_masked_as_the_dict_trie_says(data, dtype, in_place):
    tokens = catalogue(data.draw(st.integers(1, 30)), seed=1)
    depth = data.draw(st.integers(0, LEVELS + 3))
    real = VOCABULARY.encode(tokens)
    tail = [VOCABULARY.eos, VOCABULARY.pad, VOCABULARY.pad]
    rows = st.lists(
        st.lists(TOKENS, min_size=depth, max_size=depth)
        | st.sampled_from(real.tolist()).map(lambda row: (row + tail)[:depth]),
        max_size=6,
    )
    drawn = data.draw(rows)
    written = np.array(drawn, np.int64).reshape(len(drawn), depth)
    input_ids = torch.from_numpy(np.pad(written, [(0, 0), (1, 0)], constant_values=VOCABULARY.bos))
    scores = torch.randn(len(written), VOCABULARY.size + 2).to(dtype)
    before = scores.clone()
    processor = TrieLogitsProcessor(trie_of(tokens), VOCABULARY, prompt_length=1, in_place=in_place)
    masked = processor(input_ids, scores)
    oracle = DictTrie(tokens)
    for row, token_ids in enumerate(input_ids):
        assert torch.equal(masked[row], expected_row(oracle, token_ids, before[row]))
    assert masked.dtype == dtype
    assert (masked is scores) == in_place
    assert in_place or torch.equal(scores, before)
    prefixes = {tuple(row[:depth]) for row in real.tolist()}
    alive = [tuple(row[:LEVELS]) in prefixes or VOCABULARY.eos in row for row in written.tolist()]
    assert processor.dead.tolist() == [not live for live in alive]


def test_scores_that_are_not_contiguous():
    tokens = catalogue()
    wide = torch.randn(5, 2 * VOCABULARY.size)
    scores, start = wide[:, ::2], torch.full((5, 1), VOCABULARY.bos)
    expected = TrieLogitsProcessor(trie_of(tokens), VOCABULARY)(start, scores.clone())
    masked = TrieLogitsProcessor(trie_of(tokens), VOCABULARY, in_place=True)(start, scores)
    assert torch.equal(masked, expected)
    assert torch.equal(wide[:, ::2], expected)


def test_an_empty_trie_ends_at_once():
    processor = TrieLogitsProcessor(trie_of(catalogue(0)), VOCABULARY)
    masked = processor(torch.tensor([[VOCABULARY.bos]]), torch.zeros(1, VOCABULARY.size))
    assert torch.isfinite(masked[0]).nonzero().tolist() == [[VOCABULARY.eos]]
    assert processor.dead.tolist() == [True]


IDS, SCORES = torch.ones(2, 1, dtype=torch.int64), torch.zeros(2, VOCABULARY.size)
HOSTILE = {
    "rows that differ": ((IDS, SCORES[:1]), DataError, "as many rows"),
    "one dimension": ((IDS[0], SCORES[0]), DataError, "as many rows"),
    "ids that are floats": ((IDS.float(), SCORES), DataError, "must be integers"),
    "scores that are integers": ((IDS, SCORES.long()), DataError, "scores` floats"),
    "too few token_ids": ((IDS, SCORES[:, :-1]), DataError, f"the vocabulary needs {VOCABULARY.size}"),
    "no start token_id": ((IDS[:, :0], SCORES), ConfigError, "`prompt_length` is 1, but rows have 0"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_does_not_fit_is_refused(case):
    arguments, error, message = HOSTILE[case]
    before = arguments[1].clone()
    with pytest.raises(error, match=message):
        TrieLogitsProcessor(trie_of(catalogue()), VOCABULARY, prompt_length=1, in_place=True)(*arguments)
    assert torch.equal(arguments[1], before)


def test_a_vocabulary_of_another_layout():
    with pytest.raises(ConfigError, match=r"Vocabulary\(trie.layout\)"):
        TrieLogitsProcessor(trie_of(catalogue()), Vocabulary([6, 40, 4]))


@pytest.mark.parametrize("name", ["prompt_length", "first_token", "eos", "pad"])
def test_negative_numbers(name):
    with pytest.raises(ConfigError, match=f"`{name}` must be 0 or more, got -1"):
        TrieLogitsProcessor(trie_of(catalogue()), VOCABULARY, **{name: -1})


def test_the_missing_extra_is_named():
    code = "import sys; sys.modules['transformers'] = None; import sidkit.decode.adapters.transformers"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError: `transformers` is not installed" in result.stderr
    assert "pip install 'sidkit[transformers]'" in result.stderr
