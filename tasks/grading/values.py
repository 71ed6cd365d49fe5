"""The values that a text states: ids, dates, amounts of money, quantities with units, counts.

Names of currencies and units are those of the Unicode CLDR in English and Chinese (`babel`), dates are read by
`dateutil`. A date that two readers would read differently, such as 04/08/2026, has no value.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any, Literal

from babel import Locale
from babel.numbers import get_currency_name, get_currency_symbol
from babel.units import format_unit
from dateutil import parser as dates

ValueKind = Literal["id", "date", "amount", "quantity", "count"]


@dataclass(frozen=True, slots=True)
class Value:
    """One value and where it stands in a text.

    `name` is an id in capitals without separators. `low` and `high` are the ends of a range, else the same number;
    of a date the day as an ordinal number, or month and day as -(100 * month + day) where no year is given, and NaN
    where it is ambiguous. `unit` is a currency's code, a unit, or empty; `noun` is what a count counts, as written.
    `rate` is what the value is for each of ("month"); `bound` is 1 for "more than", -1 for "less than".
    """

    kind: ValueKind
    start: int
    end: int
    name: str = ""
    low: float = 0.0
    high: float = 0.0
    unit: str = ""
    noun: str = ""
    rate: str = ""
    bound: int = 0

    @property
    def shown(self) -> str:
        """The value in words, for a reason."""
        if self.kind == "id":
            return self.name
        if self.kind == "date":
            return _shown_date(self.low)
        number = f"{self.low:g}" if self.low == self.high else f"{self.low:g}-{self.high:g}"
        return f"{number} {self.unit or self.noun}".strip()


def _shown_date(day: float) -> str:
    if day != day:
        return "an ambiguous date"
    if day < 0:
        return f"{int(-day) // 100:02}-{int(-day) % 100:02}"
    return date.fromordinal(int(day)).isoformat()


# --- names of units and currencies ---------------------------------------------------------------

_LOCALES = ("en", "zh")
_CURRENCIES = ("EUR", "USD", "GBP", "NOK", "SEK", "DKK", "CHF", "JPY", "CNY", "INR", "CAD", "AUD", "PLN")
_SHORT_NAMES = {"euro": "EUR", "dollar": "USD", "dollars": "USD", "us$": "USD", "pound": "GBP", "pounds": "GBP"}
_SHORT_NAMES |= {"krone": "NOK", "kroner": "NOK", "kr": "NOK", "yuan": "CNY", "yen": "JPY", "块": "CNY", "元": "CNY"}
_UNITS = {
    "byte": "digital-byte",
    "KB": "digital-kilobyte",
    "MB": "digital-megabyte",
    "GB": "digital-gigabyte",
    "TB": "digital-terabyte",
    "bit": "digital-bit",
    "kg": "mass-kilogram",
    "g": "mass-gram",
    "second": "duration-second",
    "minute": "duration-minute",
    "hour": "duration-hour",
    "day": "duration-day",
    "week": "duration-week",
    "month": "duration-month",
    "year": "duration-year",
    "%": "percent",
}
_PER_SECOND = r"\s?(?:/\s?s(?:ec(?:ond)?)?|ps|per second|每秒)"
_RATES = {
    # "MB/s" are bytes, "Mb/s" are bits.
    f"{sign}B/s": rf"(?:(?-i:{sign}B)|{prefix}bytes?){_PER_SECOND}"
    for sign, prefix in (("k", "kilo"), ("M", "mega"), ("G", "giga"))
} | {
    f"{sign}bit/s": rf"(?:(?-i:[{sign}{sign.lower()}]b)|{prefix}bits?|{sign}bits?){_PER_SECOND}|{sign}bits?"
    for sign, prefix in (("k", "kilo"), ("M", "mega"), ("G", "giga"))
}
_OTHER_UNITS = {
    "x": "x|times|fold|-fold|倍",
    "%": "per cent|percentage points?",
    "KB": "kib|kilo bytes?",
    "MB": "mib",
    "GB": "gib|gigs?|g(?!\\w)",
    "TB": "tib",
    "bit": "位|比特",
    "kg": "kgs|kilos?|公斤",
    "day": "日",
    "month": "月",
    "year": "yrs?",
    "B": "(?-i:B)(?!\\w)|billion",
    "K": "(?-i:[kK])(?!\\w)",
    "cent": "cents?",
}
_NO_UNITS = {"d", "m", "h", "s", "w", "y", "g", "b"}
"""Names that CLDR has and nobody writes in a sentence."""


def _written(unit: str) -> Iterator[str]:
    """The names of a CLDR unit."""
    for locale in _LOCALES:
        for length in ("long", "short", "narrow"):
            for number in (1, 2):
                name = re.sub(r"[\d\s]", "", format_unit(number, unit, length, locale=locale)).casefold()
                if name not in _NO_UNITS:
                    yield name


@cache
def _unit_names() -> dict[str, str]:
    """A pattern for each unit, longest names first, and rates before what they are rates of."""
    names = {unit: {pattern} for unit, pattern in _RATES.items()}
    for unit, cldr in _UNITS.items():
        names.setdefault(unit, set()).update(re.escape(name) for name in _written(cldr))
    for unit, pattern in _OTHER_UNITS.items():
        names.setdefault(unit, set()).update(pattern.split("|"))
    return {unit: "|".join(sorted(patterns, key=len, reverse=True)) for unit, patterns in names.items()}


@cache
def _currency_names() -> dict[str, str]:
    """The code of each currency by its names, in small letters."""
    names = dict(_SHORT_NAMES)
    for code in _CURRENCIES:
        names[code.casefold()] = code
        for locale in _LOCALES:
            names[get_currency_symbol(code, locale).casefold()] = code
            for count in (1, 2):
                name = get_currency_name(code, count, locale).casefold()
                names.setdefault(name, code)
                names.setdefault(name.removeprefix("british "), code)
    return names


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    months = [
        name.casefold() for width in ("wide", "abbreviated") for name in Locale("en").months["format"][width].values()
    ]
    month = rf"(?:{'|'.join(sorted({*months, 'sept'}, key=len, reverse=True))})\.?"
    day = r"\d{1,2}(?:st|nd|rd|th)?"
    iso = r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?!\d|[-/.]\d)"
    numeric = r"\d{1,2}(?P<by>[./-])\d{1,2}(?P=by)\d{4}(?!\d)"
    words = (
        rf"(?:{month}\s(?:the\s)?{day}(?![\d.]\d)(?:,?\s\d{{4}}(?!\d))?"
        rf"|{day}(?:\sof)?[\s.]\s?{month}(?:,?\s\d{{4}}(?!\d))?)"
    )
    han = r"(?:\d{4}\s?年\s?)?\d{1,2}\s?月\s?\d{1,2}\s?[日号]"
    units = _unit_names()
    unit = "|".join(f"(?P<u{index}>{pattern})" for index, pattern in enumerate(units.values()))
    names = _currency_names()
    currency = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    number = r"\d[\d,.]*\d|\d"
    return {
        "date": re.compile(
            rf"(?<![\w.,-])(?:(?P<iso>{iso})|(?P<numeric>{numeric})|(?P<words>{words}))(?!\w)|(?P<han>{han})",
            re.I | re.A,
        ),
        "id": re.compile(
            r"(?<![\w/.-])(?:[A-Z][A-Za-z]*[-_]?\d\w*(?:[-_.]\w+)*|[A-Z]{2,}-[A-Z]{1,2}"
            r"|[a-z]{1,4}-\d{1,5})(?![\w/-]|\.\w)",
            re.A,
        ),
        "number": re.compile(rf"(?:(?<![\w.])|(?<=[$€£¥])|(?<=(?<![A-Z])[A-Z]{{3}}))(?:{number})(?!\d)", re.A),
        "before": re.compile(rf"(?<![a-z])(?P<currency>{currency})\s?$", re.I),
        "currency": re.compile(rf"\s?-?(?P<currency>{currency})(?![a-z])", re.I),
        "unit": re.compile(rf"\s?-?(?:{unit})(?![a-z])", re.I),
    }


_TO = re.compile(r"\s?(?:-|to|~|到|至|and|与|和)\s?(?:up to\s)?(?=[$€£]?\d)", re.I)
_BETWEEN = re.compile(r"(?:between|从|介于)\s?[$€£]?$", re.I)
_RATE = re.compile(
    r"\s?(?:/|per\s|a\s|an\s|each\s|every\s|(?=monthly|yearly|每月))\s?"
    r"(?P<rate>month|monthly|mo\b|kg|kilogram|kilo|day|week|year|yearly|hour|unit|item|piece|second|gb|每月|月)",
    re.I,
)
_RATE_NAMES = {"monthly": "month", "mo": "month", "每月": "month", "月": "month", "yearly": "year", "kilo": "kg"}
_RATE_NAMES |= {"kilogram": "kg", "item": "unit", "piece": "unit"}
_MORE = re.compile(
    r"(?:more than|over|above|at least|exceed(?:s|ing|ed)?|longer than|later than|greater than|upwards of|beyond|past"
    r"|minimum of|>=?|≥|超过|多于|至少|不少于|大于)\s?(?:the\s)?[$€£]?$",
    re.I,
)
_LESS = re.compile(
    r"(?<!no )(?<!not )(?:less than|fewer than|under|below|shorter than|<|少于|不到|不足|小于)\s?(?:the\s)?[$€£]?$",
    re.I,
)
_AT_MOST = re.compile(
    r"(?:no more than|not more than|up to|at most|maximum of|within|not exceed(?:ing)?|≤|<=|最多"
    r"|不超过)\s?(?:the\s)?[$€£]?$",
    re.I,
)
_OR_MORE = re.compile(r"\s?(?:\+|or more|and more|or above|or higher|以上|起)", re.I)
_NOUN = re.compile(r"[\s-]?(?P<noun>[A-Za-z][a-z]+(?:\s[a-z]{3,})?)")
_NO_NOUN = frozenset(
    {"per", "and", "or", "of", "in", "for", "the", "to", "on", "at", "by", "with", "from", "is", "are", "was", "were"}
    | {
        "has",
        "have",
        "as",
        "an",
        "each",
        "if",
        "but",
        "so",
        "than",
        "more",
        "that",
        "which",
        "into",
        "it",
        "this",
        "you",
    }
    | {
        "we",
        "not",
        "no",
        "due",
        "over",
        "under",
        "about",
        "after",
        "before",
        "while",
        "plus",
        "via",
        "up",
        "out",
        "left",
    }
    | {"only", "also"}
)
_LIST = re.compile(r"\s?(?:,|/|、|;|,?\s?(?:and|or|&)\s|和|与|或)\s?", re.I)


def number_of(written: str) -> float | None:
    """The number that is written with separators, by the places of point and comma; None for a version or the like."""
    digits = written.rstrip(".,")
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits):
        return float(digits.replace(",", ""))
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}", digits):
        return float(digits.replace(".", "").replace(",", "."))
    if re.fullmatch(r"\d+(?:[.,]\d+)?", digits):
        return float(digits.replace(",", "."))
    return None


@lru_cache(maxsize=4096)
def values_in(text: str) -> tuple[Value, ...]:
    """The values of a readable text, in order."""
    patterns = _patterns()
    found: list[Value] = []
    taken = bytearray(len(text) + 1)

    def take(value: Value) -> None:
        found.append(value)
        taken[value.start : value.end] = b"\1" * (value.end - value.start)

    for match in patterns["date"].finditer(text):
        for day in _days(match):
            take(Value("date", match.start(), match.end(), low=day, high=day))
    for match in patterns["id"].finditer(text):
        if not taken[match.start()] and not _is_unit(match[0]):
            take(Value("id", match.start(), match.end(), name=id_of(match[0])))
    for match in patterns["number"].finditer(text):
        if not taken[match.start()] and not taken[match.end() - 1]:
            number = _number_at(text, match, taken)
            if number is not None:
                take(number)
    found.sort(key=lambda value: value.start)
    return tuple(_with_cents(_in_lists(found, text), text))


def id_of(written: str) -> str:
    """An id without separators and in capitals, so that INT-3 is INT3."""
    return re.sub(r"[-_\s]", "", written).upper()


def _is_unit(word: str) -> bool:
    """Whether the word is an amount, such as EUR69, and no id."""
    parts = re.fullmatch(r"([A-Za-z]+)[\d.,]+", word)
    return bool(parts and parts[1].casefold() in _currency_names())


def _days(match: re.Match[str]) -> Iterator[float]:
    if match["han"]:
        *year, month, day = (int(part) for part in re.findall(r"\d+", match["han"]))
        yield from _ordinal(year[0] if year else None, month, day)
        return
    written = re.sub(r"\b(?:the|of)\b", " ", match[0].replace(".", "-") if match["iso"] else match[0], flags=re.I)
    readings: set[float] = set()
    day_first = [True] if match["iso"] is None and match["by"] == "." else [True, False]
    for first in [False] if match["iso"] else day_first:
        try:
            read = dates.parse(written, dayfirst=first, default=datetime(4, 1, 1))
        except (ValueError, OverflowError):
            return
        readings.update(_ordinal(read.year if read.year > 4 else None, read.month, read.day))
    yield readings.pop() if len(readings) == 1 else float("nan")


def _ordinal(year: int | None, month: int, day: int) -> Iterator[float]:
    try:
        yield float(date(year, month, day).toordinal()) if year else -float(date(4, month, day).month * 100 + day)
    except ValueError:
        return


def _number_at(text: str, match: re.Match[str], taken: bytearray) -> Value | None:
    """The amount, quantity or count whose number is matched; none for what only looks like a number."""
    low = number_of(match[0])
    if low is None or taken[match.start()]:
        return None
    start, end = match.start(), match.start() + len(match[0].rstrip(".,"))
    if re.match(r"(?:st|nd|rd|th)\b", text[end:], re.I) or _numbers_a_line(text, start, end):
        return None
    currency, start = _currency_before(text, start)
    kind_end = end
    unit, kind_end = ("", end) if currency else _unit_after(text, end)
    high = low
    to = _TO.match(text, kind_end)
    if to and (not re.search(r"and|[与和]", to[0], re.I) or _BETWEEN.search(text[:start])):
        rest = re.compile(r"[$€£]?(\d[\d,.]*\d|\d)").match(text, to.end())
        upper = number_of(rest[1]) if rest else None
        if rest and upper is not None and upper > low and not taken[rest.start(1)]:
            # The unit of the end is that of the beginning, too.
            high, end = upper, rest.start(1) + len(rest[1].rstrip(".,"))
            unit_of_end, kind_end = _unit_after(text, end)
            unit = unit_of_end or unit
    if not currency and not unit:
        code = _patterns()["currency"].match(text, end)
        if code:
            currency, kind_end = _currency_names()[code["currency"].casefold()], code.end()
    bound = _bound(text, start, kind_end)
    rate = _RATE.match(text, kind_end)
    per = _RATE_NAMES.get(rate["rate"].casefold(), rate["rate"].casefold()) if rate else ""
    if currency:
        return Value("amount", start, kind_end, low=low, high=high, unit=currency, rate=per, bound=bound)
    if unit:
        return Value("quantity", start, kind_end, low=low, high=high, unit=unit, rate=per, bound=bound)
    if re.match(r"[A-Za-z]", text[end:]):
        return None
    noun = _NOUN.match(text, end)
    words = noun["noun"] if noun and noun["noun"].split()[0].casefold() not in _NO_NOUN else ""
    words = " ".join(word for word in words.split() if word.casefold() not in _NO_NOUN)
    return Value("count", start, end, low=low, high=high, noun=words, rate=per, bound=bound)


def _numbers_a_line(text: str, start: int, end: int) -> bool:
    line = text[text.rfind("\n", 0, start) + 1 : start]
    return not line.strip() and bool(re.match(r"[.)]\s", text[end:]))


def _currency_before(text: str, start: int) -> tuple[str, int]:
    before = _patterns()["before"].search(text[max(0, start - 20) : start])
    if before is None:
        return "", start
    return _currency_names()[before["currency"].casefold()], start - len(before[0])


def _unit_after(text: str, end: int) -> tuple[str, int]:
    match = _patterns()["unit"].match(text, end)
    if match is None or match.lastgroup is None:
        return "", end
    return list(_unit_names())[int(match.lastgroup[1:])], match.end()


def _bound(text: str, start: int, end: int) -> int:
    before = text[max(0, start - 24) : start]
    if _AT_MOST.search(before):
        return 0
    if _LESS.search(before):
        return -1
    return int(bool(_MORE.search(before) or _OR_MORE.match(text, end)))


def _in_lists(found: Sequence[Value], text: str) -> list[Value]:
    """In "2, 3 and 4 bits" all have the unit of the last."""
    values = list(found)
    for index in range(len(values) - 2, -1, -1):
        value, following = values[index], values[index + 1]
        listed = _LIST.fullmatch(text, value.end, following.start)
        if value.kind == "count" and not value.noun and listed and following.kind in ("quantity", "amount"):
            values[index] = replace(value, kind=following.kind, unit=following.unit)
    return values


def _with_cents(values: Sequence[Value], text: str) -> Iterator[Value]:
    """ "24 euros and 32 cents" is one amount."""
    skip = False
    for index, value in enumerate(values):
        if skip:
            skip = False
            continue
        following = values[index + 1] if index + 1 < len(values) else None
        skip = (
            value.kind == "amount"
            and following is not None
            and following.unit == "cent"
            and re.fullmatch(r",?\s(?:and\s)?", text[value.end : following.start]) is not None
        )
        if skip and following is not None:
            total = value.low + following.low / 100
            value = replace(value, low=total, high=total, end=following.end)
        yield value


# --- comparing ------------------------------------------------------------------------------------

_PLURAL = re.compile(r"[a-z]{2,}s$")


def same_number(a: Value, b: Value) -> bool:
    """Whether two values have the same ends."""
    return abs(a.low - b.low) < 0.005 and abs(a.high - b.high) < 0.005


def same_day(a: Value, b: Value) -> bool:
    """Whether two dates may be the same: one without a year is that day of any."""
    if a.low != a.low or b.low != b.low:
        return False
    return a.low == b.low or (min(a.low, b.low) < 0 and _month_and_day(a.low) == _month_and_day(b.low))


def _month_and_day(day: float) -> float:
    if day < 0:
        return -day
    read = date.fromordinal(int(day))
    return float(read.month * 100 + read.day)


def matches_value(wanted: Value, got: Value) -> bool:
    """Whether `got` states `wanted`: the same number, and no other unit or currency.

    A bare number may stand for a quantity; one that counts things may not.
    """
    if wanted.kind == "id" or got.kind == "id":
        return wanted.kind == got.kind and wanted.name == got.name
    if wanted.kind == "date" or got.kind == "date":
        return wanted.kind == got.kind and same_day(wanted, got)
    if not same_number(wanted, got):
        return False
    if wanted.kind == got.kind:
        return wanted.unit == got.unit
    if wanted.kind == "count":
        return False
    return got.kind == "count" and not any(_PLURAL.search(word) for word in got.noun.split())


@lru_cache(maxsize=4096)
def single_value(phrase: str) -> Value | None:
    """The value that a phrase consists of, but for the noun of a count; None where it is words."""
    values = values_in(phrase)
    if len(values) != 1:
        return None
    [value] = values
    rest = phrase[: value.start] + phrase[value.end :]
    rest = rest.replace(value.noun, "", 1) if value.noun else rest
    return value if not re.search(r"\w", re.sub(r"more than|at least|up to", "", rest)) else None


# --- values of data -------------------------------------------------------------------------------

_UNITS_OF_KEYS = {"eur": "EUR", "usd": "USD", "kg": "kg", "mbit": "Mbit/s", "gb": "GB", "days": "day"}


def values_of_data(data: Any, key: str = "", readable: Any = str) -> Iterator[Value]:
    """The values of JSON data: those in its texts, and its numbers, whose unit a key may name ("amount_eur").

    A `currency` beside numbers is theirs.
    """
    if isinstance(data, dict):
        currency = data.get("currency")
        for name, item in data.items():
            for value in values_of_data(item, name, readable):
                if isinstance(currency, str) and value.kind == "count":
                    value = replace(value, kind="amount", unit=currency)
                yield value
            yield from values_in(readable(str(name)))
    elif isinstance(data, list | tuple):
        for item in data:
            yield from values_of_data(item, key, readable)
        yield Value("count", 0, 0, low=float(len(data)), high=float(len(data)))
    elif isinstance(data, bool) or data is None:
        return
    elif isinstance(data, int | float):
        unit = next((unit for part, unit in _UNITS_OF_KEYS.items() if part in key.split("_")), "")
        kind: ValueKind = "count" if not unit else "amount" if unit in _CURRENCIES else "quantity"
        rate = "month" if "month" in key else ""
        yield Value(kind, 0, 0, low=float(data), high=float(data), unit=unit, rate=rate)
    else:
        yield from values_in(readable(str(data)))


def justified(value: Value, world: Iterable[Value], currency: str) -> bool:
    """Whether a value of the answer is one of `world`.

    A bare number of the world may have any unit, and an amount of it without one is in `currency`; a bare number of
    the answer may be any number of the world.
    """
    for known in world:
        if value.kind == "id":
            if known.kind == "id" and known.name == value.name:
                return True
        elif value.kind == "date":
            if known.kind == "date" and same_day(value, known):
                return True
        elif known.kind in ("amount", "quantity", "count") and _is_end(value, known):
            if "count" in (value.kind, known.kind):
                if value.kind != "amount" or value.unit == currency:
                    return True
            elif (value.kind, value.unit) == (known.kind, known.unit):
                return True
    return False


def _is_end(value: Value, known: Value) -> bool:
    """The same number or range; of a range of the world also one end."""
    if same_number(value, known):
        return True
    return value.low == value.high and min(abs(value.low - known.low), abs(value.low - known.high)) < 0.005
