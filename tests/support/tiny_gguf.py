"""A GGUF file of a few kilobytes that llama.cpp loads and answers from: a model of one layer with random weights."""

from pathlib import Path

import gguf
import numpy as np

_WIDTH, _HIDDEN, _HEADS = 32, 64, 2
_CONTEXT = 512


def write(path: Path, template: str, seed: int = 0) -> Path:
    """Write it with this chat template inside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tokens = [*_bytes(), "<end>"]
    end = len(tokens) - 1
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_HIDDEN)
    writer.add_head_count(_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * end + [gguf.TokenType.CONTROL])
    writer.add_token_merges([f"{tokens[0]} {tokens[1]}"])
    writer.add_eos_token_id(end)
    writer.add_chat_template(template)
    random = np.random.default_rng(seed)
    shapes = {
        "token_embd": (len(tokens), _WIDTH),
        "output": (len(tokens), _WIDTH),
        **{f"blk.0.attn_{name}": (_WIDTH, _WIDTH) for name in ("q", "k", "v", "output")},
        **{f"blk.0.ffn_{name}": (_HIDDEN, _WIDTH) for name in ("gate", "up")},
        "blk.0.ffn_down": (_WIDTH, _HIDDEN),
        **{name: (_WIDTH,) for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm")},
    }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _bytes() -> list[str]:
    """All bytes, as the tokenizer of GPT-2 writes them: those that cannot be printed are moved behind the others."""
    printed = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printed]
    return [*map(chr, printed), *(chr(256 + number) for number in range(len(others)))]
