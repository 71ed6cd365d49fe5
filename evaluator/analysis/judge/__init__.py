"""What a judge, a model that the user names, says of runs: in a column of its own beside the rules, never in place of
them.

A judge is asked about each run that ended with an answer, of models that answer by themselves. It is told the question,
what is expected (the facts and their subjects, what a right answer does, a right answer in full, the expected calls)
and what the run did (its tool calls and its answer), and says `right` or `wrong` with a sentence why, at temperature 0.
A reply that is not understood is asked for once more; then there is no verdict, which is counted and is neither.

Verdicts are observations: they lie beside the traces, each with a digest of all that the judge was told. One whose
digest is not that of the run today (another answer, another expectation, another prompt) does not count.

**Judged right** is right verdicts / (verdicts + runs without an answer, which are wrong without asking), with the
interval of the pass rate. **Agreement** is the share of verdicts that say what the rules say, and **kappa** that share
beyond chance.
"""

from evaluator.analysis.judge.figures import Figures, Judgement, figures
from evaluator.analysis.judge.question import Question, question
from evaluator.analysis.judge.verdicts import DamagedLine, Said, Verdict, Verdicts, read_verdicts, verdicts_path

__all__ = [
    "DamagedLine",
    "Figures",
    "Judgement",
    "Question",
    "Said",
    "Verdict",
    "Verdicts",
    "figures",
    "question",
    "read_verdicts",
    "verdicts_path",
]
