"""The same weights in the T5 of `transformers` give the same probabilities."""

import torch
from tests.models.t5 import as_t5

from sidkit.models import TIGERNetwork

SIZES = (7, 5, 3)


@torch.inference_mode()
def test_log_probabilities_equal_those_of_t5():
    torch.manual_seed(0)
    model = TIGERNetwork(
        SIZES, d_model=32, heads=2, d_head=8, d_ff=48, encoder_layers=2, decoder_layers=2
    ).eval()
    for table in (model.encoder_bias.table, model.decoder_bias.table):
        torch.nn.init.normal_(table.weight)  # large enough to show a wrong bucket
    t5 = as_t5(model)
    history = torch.stack([torch.randint(0, size, (4, 20)) for size in SIZES], dim=-1)  # (B, n, L)
    target = torch.stack([torch.randint(0, size, (4,)) for size in SIZES], dim=-1)  # (B, L)
    begin = torch.full((4, 1), sum(SIZES))
    tokens = (history + model.offsets).flatten(1)
    logits = t5(
        input_ids=tokens,
        attention_mask=torch.ones_like(tokens),
        decoder_input_ids=torch.cat([begin, target[:, :-1] + model.offsets[:-1]], dim=1),
    ).logits
    state = model.start(history)
    stay = torch.arange(4)
    for level, size in enumerate(SIZES):
        parents, written = (None, None) if level == 0 else (stay, target[:, level - 1])
        ours = model.next_log_probs(state, parents, written)
        first = int(model.offsets[level])
        theirs = logits[:, level, first : first + size].log_softmax(-1)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
