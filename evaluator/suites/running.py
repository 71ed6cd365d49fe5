"""What `bakeoff run` does: plans made one after the other, and the scorecard of what there is at the end."""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from evaluator import scorecard
from evaluator.analysis.faults.gather import gather
from evaluator.analysis.faults.report import print_faults
from evaluator.analysis.faults.rows import rows, totals
from evaluator.analysis.parallel import Workers
from evaluator.errors import Failure, error_in_words
from evaluator.harness.engine import LOCAL, Engine
from evaluator.harness.plans import Plan, Standing, make
from evaluator.harness.process import sweep_scratch
from evaluator.harness.progress import UnderWay
from evaluator.harness.records import bring_up, exclusive
from evaluator.harness.runner import ModelGoneError
from evaluator.harness.spending import Spending
from evaluator.harness.stopping import Stopped, stoppable
from evaluator.packs import pack
from evaluator.probes.behaviours import unexpected
from evaluator.providers.names import FAULTS_NAME, REPLAY
from evaluator.scorecard import Scorecard
from evaluator.stores import Store
from evaluator.suites.planning import Asked
from evaluator.suites.rerecording import came_out_as_recorded, no_longer_replaying
from evaluator.suites.standing import WholeRounds, in_words, left_out
from evaluator.text import shown_path, visible
from evaluator.trace import model_folder

_GOES_ON = "the same command goes on from here"


@dataclass(frozen=True)
class Command:
    """What plans are made with: where traces go, whether all runs are made again, where the user reads, what may be
    spent, if that is limited, and the engine that makes the runs."""

    store: Store
    rerun: bool
    console: Console
    say: Callable[[str], None]
    spending: Spending | None = None
    engine: Engine = LOCAL

    @property
    def traces(self) -> Path:
        """The folder in which the traces are read."""
        return self.store.folder

    def run(self, plans: Sequence[Plan], asked: Asked) -> int:
        """Make the plans in turn and print the scorecard; gives the exit code.

        Stopped by Ctrl-C or SIGTERM, it prints the scorecard so far and a line. Raises `Failure`, `Mistake`.
        """
        standings = [Standing(plan, self.spending) for plan in plans]
        code = 0
        with stoppable():
            try:
                self._make(standings, asked)
            except Stopped as stopped:
                code = stopped.exit_code
            try:
                if any(one.whole for one in standings):
                    differs = self._print(standings, asked)
                    code = code or differs
                code = code or self._say_unsound([line for one in standings for line in one.unsound])
                if self.spending is not None:
                    self.say(self.spending.in_words())
            except Stopped as stopped:
                code = stopped.exit_code
        if code > 1:
            print(f"bakeoff: stopped; {_GOES_ON}", file=sys.stderr)
        return code

    def _make(self, standings: Sequence[Standing], asked: Asked) -> None:
        """Make the runs, while nobody else writes to these traces."""
        with exclusive(self.traces):
            sweep_scratch()  # here, too: where all is recorded no worker is started
            bring_up(self.store, [one.plan.model for one in standings], self.console)
            try:
                for one in standings:
                    if asked.rerecorded is not None:
                        to_record = no_longer_replaying(one.plan.jobs, self.console, self.say)
                        one.plan = replace(one.plan, rounds=[to_record])
                    again = self.rerun or asked.rerecorded is not None
                    shown = WholeRounds(self.traces).table
                    make(one, self.store, again, self.console, self.say, shown, self.engine)
                    if one.plan.model == FAULTS_NAME and not self.store.elsewhere:
                        self._pack(one.plan, asked)
            except ModelGoneError as gone:
                raise Failure(f"{gone}; what was made is kept, and {_GOES_ON}") from None
            except OSError as error:
                raise Failure(f"{error_in_words(error)}; what was made is kept, and {_GOES_ON}") from None

    def _pack(self, plan: Plan, asked: Asked) -> None:
        """Put the runs of a plan into few files; where all faults were asked for, these are all that stay there."""
        asked_for: dict[Path, set[str]] = defaultdict(set)
        for job in plan.jobs:
            folder = model_folder(self.traces, plan.model) / job.framework.name / job.task.name
            asked_for[folder].add(f"{job.name}.{job.trial}")

        def is_left_over(folder: Path, name: str) -> bool:
            return not asked.faults and folder in asked_for and name not in asked_for[folder]

        with UnderWay(self.console) as under_way, under_way.doing(f"{plan.model}: packing its runs"):
            pack(self.traces, plan.model, drop=is_left_over)

    def _print(self, standings: Sequence[Standing], asked: Asked) -> int:
        """Print the scorecard, and what it can tell; gives 1 where something came out as it must not."""
        if faults := [one.plan for one in standings if one.plan.model == FAULTS_NAME]:
            self._print_faults(faults, asked)
        standings = [one for one in standings if one.plan.model != FAULTS_NAME]
        if not standings:
            return 0
        with UnderWay(self.console) as under_way, under_way.doing("computing the scorecard"):
            card = self._scorecard(standings)
        all_of_them = f"`bakeoff score --traces {shown_path(self.traces)}`"
        scorecard.print_scorecard(self.console, card, all_of_them, all_of_them)
        self.console.print()
        for line in in_words(card, standings, self.traces):
            self.console.print(Text(line))
        plans = [one.plan for one in standings if one.whole]
        as_recorded = all(
            came_out_as_recorded(plan.jobs, self.traces, asked.replayed, self.say)
            for plan in plans
            if plan.model == REPLAY
        )
        frameworks = {framework.name: framework for framework in asked.frameworks}
        return int(any(unexpected(behaviour, frameworks) for behaviour in card.behaviours) or not as_recorded)

    def _print_faults(self, plans: Sequence[Plan], asked: Asked) -> None:
        """Print what the frameworks made of the faults that were asked for."""
        asked_for = {(job.case.id, job.injected, job.hardened) for plan in plans for job in plan.jobs}
        frameworks = {framework.name: framework for framework in asked.frameworks}
        doing = "looking at what came of the faults"
        with Workers() as workers, UnderWay(self.console) as under_way, under_way.doing(doing):
            found = list(gather(self.traces, frameworks, [task.name for task in asked.tasks], workers=workers))
        runs = [run for of in found for run in of.runs if (run.case, run.asked, run.hardened) in asked_for]
        print_faults(self.console, rows(runs), totals(runs), frameworks)

    def _say_unsound(self, unsound: Sequence[str]) -> int:
        """Say which runs count for no framework; gives 1 where there are any."""
        for line, count in Counter(unsound).most_common():
            self.console.print(Text(f"{count} x {visible(line)}"), soft_wrap=True)
        if unsound:
            of_them = "1 run" if len(unsound) == 1 else f"{len(unsound)} runs"
            ended = "ended by no fault of framework or model, and counts for none"
            self.console.print(Text(f"{of_them} {ended}; the same command makes them again."), soft_wrap=True)
        return int(bool(unsound))

    def _scorecard(self, standings: Sequence[Standing]) -> Scorecard:
        """What the traces have of the frameworks, tasks and models that were asked for, but for rounds that are not
        whole."""
        plans = [one.plan for one in standings]
        asked_for = {(plan.model, job.framework.name, job.task.name) for plan in plans for job in plan.jobs}
        not_whole = left_out(standings)
        return scorecard.build(
            self.traces,
            models=[plan.model for plan in plans],
            keep=lambda key: (key.model, key.framework, key.task) in asked_for and key not in not_whole,
        )
