import pytest

from evaluator.stats.agreement import cohens_kappa, share_alike


def said(both: int, first: int, second: int, neither: int) -> list[tuple[bool, bool]]:
    """So many things to which both say yes, only the first, only the second, and neither."""
    return [(True, True)] * both + [(True, False)] * first + [(False, True)] * second + [(False, False)] * neither


@pytest.mark.parametrize(
    ("answers", "alike", "kappa"),
    [
        # 35 of 50 alike; by chance 25/50 * 30/50 + 25/50 * 20/50 = 0.5; (0.7 - 0.5) / (1 - 0.5).
        (said(20, 5, 10, 15), 0.7, 0.4),
        (said(3, 0, 0, 2), 1, 1),
        (said(0, 2, 2, 0), 0, -1),
        # What chance gives: each says yes to half, and half of these are the same.
        (said(5, 5, 5, 5), 0.5, 0),
        # 90 of 100 alike, and by chance 0.95 * 0.95 + 0.05 * 0.05 = 0.905: worse than chance.
        (said(90, 5, 5, 0), 0.9, -1 / 19),
    ],
)
def test_agreement_is_what_it_is_by_hand(answers: list[tuple[bool, bool]], alike: float, kappa: float) -> None:
    assert share_alike(answers) == pytest.approx(alike, abs=1e-12)
    assert cohens_kappa(answers) == pytest.approx(kappa, abs=1e-12)


@pytest.mark.parametrize("answers", [said(4, 0, 0, 0), said(0, 0, 0, 4), said(1, 0, 0, 0)])
def test_who_both_say_one_word_only_have_no_kappa(answers: list[tuple[bool, bool]]) -> None:
    assert cohens_kappa(answers) is None


def test_nothing_has_no_agreement() -> None:
    with pytest.raises(ValueError, match="about nothing"):
        share_alike([])
