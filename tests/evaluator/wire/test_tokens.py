"""Counting tokens as the tokenizer's own package does."""

import bpe_openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.wire.tokens import TOKENIZER, count_tokens

PACKAGE = bpe_openai.get_encoding(TOKENIZER)


@given(st.text())
@pytest.mark.parametrize("before", ["", "Order O-5003 is\n\n delivered. "])
def test_it_counts_as_the_package_around_the_compiled_part(before: str, text: str) -> None:
    assert count_tokens(before + text) == len(PACKAGE.encode_ordinary(before + text))


@pytest.mark.parametrize("text", ["\ud800", "a\udfff b", "\ud83d\ude00", "<|endoftext|>", "é" * 1000])
def test_so_it_does_with_lone_surrogates_and_special_tokens(text: str) -> None:
    assert count_tokens(text) == len(PACKAGE.encode_ordinary(text))
