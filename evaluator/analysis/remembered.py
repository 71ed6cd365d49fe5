"""Results of pure functions that are asked again and again about runs that say the same."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import orjson

R = TypeVar("R")


class Remembered(Generic[R]):
    """The results asked for last, `most` of them, by all that they depend on."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._results: OrderedDict[Hashable, R] = OrderedDict()

    def of(self, which: Hashable, given: Any, make: Callable[[], R]) -> R:
        """What `make` gives, which depends on `which` and on `given`, JSON data, alone. It must not be changed.

        What is no JSON is not remembered, nor is what `make` raises.
        """
        try:
            name = which, hashlib.sha256(orjson.dumps(given)).digest()
        except TypeError:
            return make()
        if name in self._results:
            self._results.move_to_end(name)
            return self._results[name]
        result = self._results[name] = make()
        if len(self._results) > self._most:
            self._results.popitem(last=False)
        return result
