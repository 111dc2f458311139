"""Differences that are accepted, each with the reason. A finding that none of these matches is reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.oracle.draw import Request
from tests.oracle.judge import Finding


@dataclass
class Known:
    """An accepted difference.

    Attributes:
        ops: operator names; empty for all.
        kinds: kinds of finding.
        when: narrows it down to attributes and inputs.
        reason: why symjit is not to do the same.
    """

    ops: tuple[str, ...]
    kinds: tuple[str, ...]
    reason: str
    when: Callable[[Request, Finding], bool] = lambda request, finding: True

    def matches(self, request: Request, finding: Finding) -> bool:
        """Return whether a finding is this one."""
        return (not self.ops or request.op in self.ops) and finding.kind in self.kinds and self.when(request, finding)


def reason(request: Request, finding: Finding) -> str | None:
    """Return why a finding is accepted, or None."""
    return next((each.reason for each in KNOWN if each.matches(request, finding)), None)


KNOWN: tuple[Known, ...] = (
    Known(
        (),
        ("MXNet has no gradient",),
        "symjit differentiates what MXNet 1.9.1 has no gradient for (or not in this dtype)",
    ),
)
