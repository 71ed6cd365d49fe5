"""How far two who say yes or no to the same things agree: pure functions, without a seed."""

from collections.abc import Sequence


def share_alike(said: Sequence[tuple[bool, bool]]) -> float:
    """The share of things to which both say the same. Raises `ValueError` for none."""
    if not said:
        raise ValueError("there is no agreement about nothing")
    return sum(one == other for one, other in said) / len(said)


def cohens_kappa(said: Sequence[tuple[bool, bool]]) -> float | None:
    """The agreement beyond what chance would give: 1 for full agreement, 0 for that of chance, below it negative.

    (p_o - p_e) / (1 - p_e) of Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological
    Measurement 20 (1960): p_o is the share alike, and p_e what it would be if each kept the own share of yes but
    spread it by chance. None where p_e is 1: both say the same word to everything, and kappa is 0 / 0. Raises
    `ValueError` for none.
    """
    observed = share_alike(said)
    ones, others = (sum(answers) for answers in zip(*said, strict=True))
    n = len(said)
    # In whole numbers, so that the ends are met exactly.
    by_chance = ones * others + (n - ones) * (n - others)
    return None if by_chance == n * n else (observed - by_chance / n**2) / (1 - by_chance / n**2)
