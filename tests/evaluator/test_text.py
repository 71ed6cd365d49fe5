import pytest

from evaluator.text import two_digits


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (0.01234, "0.012"), (0.00000512, "0.0000051"), (1.25, "1.2"), (99.6, "100"), (1_234_567, "1,200,000")],
)
def test_two_digits(number: float, shown: str) -> None:
    assert two_digits(number) == shown
