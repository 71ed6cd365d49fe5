"""What is right: pieces are handed over while the model still speaks, and nothing goes on once the reader has left."""

from tasks.capability import Check, Observed
from tasks.streaming.spec import SPACE_S, StreamingCase

CLOSED_WITHIN_S = 1.0
"""Seconds after the reader has left in which the connection to the model must be closed."""


def observe(case: StreamingCase, observed: Observed) -> list[Check]:
    """The checks of one run. The end of a stream is seen at the gateway a moment later than by who reads it."""
    pieces = [piece for piece in observed.said("piece") if piece.value]
    last = observed.requests[-1] if observed.requests else None
    checks = [
        Check(
            name="in pieces as they come",
            held=bool(pieces) and last is not None and len(pieces) > 1 and pieces[0].at_s < last.end_s - SPACE_S,
            reason=observed.error or "the text comes only once the model has said all of it",
        )
    ]
    if case.enough is not None:
        return [*checks, *_stopped(observed)]
    text = "".join(str(piece.value) for piece in pieces)
    checks.append(
        Check(name="whole", held=text == case.answer, reason=observed.error or f"the pieces make {text[:200]!r}")
    )
    if case.turns:
        checks.append(_tools_are_told(case, observed))
    usage = (
        sum(one.input_tokens or 0 for one in observed.requests),
        sum(one.output_tokens or 0 for one in observed.requests),
    )
    checks.append(
        Check(
            name="usage",
            held=observed.reported_usage == usage,
            reason="no tokens are reported"
            if observed.reported_usage is None
            else f"{observed.reported_usage} tokens in and out are reported, and {usage} went over the wire",
        )
    )
    return checks


def _tools_are_told(case: StreamingCase, observed: Observed) -> Check:
    """Whether each tool is told of when it starts and ends, before the text that needs it."""
    expected = [step.tool for turn in case.turns for step in turn]
    started, ended = observed.said("started"), observed.said("ended")
    first_piece = min((piece.at_s for piece in observed.said("piece")), default=0.0)
    in_time = all(one.at_s <= first_piece for one in [*started, *ended])
    return Check(
        name="tools are told of",
        held=[one.value for one in started] == expected == [one.value for one in ended] and in_time,
        reason=f"told were {len(started)} starts and {len(ended)} ends of tools, and there is {len(expected)} of each",
    )


def _stopped(observed: Observed) -> list[Check]:
    closing = observed.said("closing")
    left_at = closing[0].at_s if closing else 0.0
    last = observed.requests[-1] if observed.requests else None
    closed = last is not None and last.left_s is not None and last.left_s - left_at <= CLOSED_WITHIN_S
    after = [request for request in observed.requests if closing and request.start_s > left_at]
    return [
        Check(
            name="stops the model",
            held=closed,
            reason=observed.error or _how_long(left_at, last.left_s if last else None),
        ),
        Check(
            name="no call afterwards", held=not after, reason=f"{len(after)} calls to the model after the reader left"
        ),
    ]


def _how_long(left_at: float, closed_at: float | None) -> str:
    if closed_at is None:
        return "the connection to the model is still open when the run is over"
    return f"the connection to the model is closed {closed_at - left_at:.1f} s after the reader left"
