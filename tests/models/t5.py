"""TIGER's weights inside the T5 of `transformers`: an independent implementation of the same function."""

import torch
from transformers import T5Config, T5ForConditionalGeneration

from sidkit.models import TIGERNetwork

__all__ = ["as_t5"]


def as_t5(model: TIGERNetwork) -> T5ForConditionalGeneration:
    """A T5 with the same weights.

    Its token_ids are the tokens of all levels in one vocabulary, level after level, and one more at the end
    that starts the decoder. T5 does not scale its attention, so the scale goes into the queries.
    """
    settings = model.settings
    vocabulary = sum(model.sizes) + 1
    config = T5Config(
        vocab_size=vocabulary,
        d_model=settings["d_model"],
        d_kv=settings["d_head"],
        d_ff=settings["d_ff"],
        num_layers=settings["encoder_layers"],
        num_decoder_layers=settings["decoder_layers"],
        num_heads=settings["heads"],
        dropout_rate=0.0,
        feed_forward_proj="relu",
        tie_word_embeddings=False,
        decoder_start_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
        eos_token_id=None,
    )
    t5 = T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        t5.shared.weight.copy_(torch.cat([model.tokens.weight, model.begin[None]]))
        for stack in (t5.encoder, t5.decoder):
            stack.embed_tokens.weight = t5.shared.weight
        rows = torch.cat([output.weight for output in model.outputs])
        t5.lm_head = torch.nn.Linear(
            settings["d_model"], vocabulary, bias=False
        )  # no longer tied to `shared`
        t5.lm_head.weight.copy_(torch.nn.functional.pad(rows, (0, 0, 0, 1)))
        _copy_stack(t5.encoder, model.encoder, model.encoder_bias, model.encoder_norm)
        _copy_stack(t5.decoder, model.decoder, model.decoder_bias, model.decoder_norm)
    return t5


def _copy_stack(stack, layers, bias, norm) -> None:
    stack.final_layer_norm.weight.copy_(norm.weight)
    stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight.copy_(bias.table.weight)
    for block, layer in zip(stack.block, layers, strict=True):
        own = layer.attention
        q, k, v = own.qkv.weight.chunk(3)
        _copy_attention(block.layer[0].SelfAttention, q * own.scale, k, v, own.out.weight)
        block.layer[0].layer_norm.weight.copy_(own.norm.weight)
        if hasattr(layer, "cross"):
            cross = layer.cross
            k, v = cross.kv.weight.chunk(2)
            _copy_attention(
                block.layer[1].EncDecAttention, cross.q.weight * cross.scale, k, v, cross.out.weight
            )
            block.layer[1].layer_norm.weight.copy_(cross.norm.weight)
        wide = block.layer[-1]
        wide.layer_norm.weight.copy_(layer.feed_forward.norm.weight)
        wide.DenseReluDense.wi.weight.copy_(layer.feed_forward.wide.weight)
        wide.DenseReluDense.wo.weight.copy_(layer.feed_forward.narrow.weight)


def _copy_attention(attention, q, k, v, out) -> None:
    attention.q.weight.copy_(q)
    attention.k.weight.copy_(k)
    attention.v.weight.copy_(v)
    attention.o.weight.copy_(out)
