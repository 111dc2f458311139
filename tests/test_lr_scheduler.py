"""Learning-rate schedules: MXNet 1.9.1's numbers, to the last bit."""

from __future__ import annotations

import inspect
import json
import logging
import pathlib
import pickle

import pytest

from symjit import lr_scheduler
from tests.golden import scheduler_cases as cases

EXPECTED = json.loads((pathlib.Path(__file__).parent / "golden" / "lr_schedulers.json").read_text())


def plain(signature: str) -> str:
    """Return a signature without annotations."""
    given = inspect.signature(getattr(lr_scheduler, signature))
    stripped = [each.replace(annotation=inspect.Parameter.empty) for each in given.parameters.values()]
    return str(inspect.Signature(stripped))


@pytest.mark.parametrize("name", EXPECTED["signatures"])
def test_signature(name: str) -> None:
    assert plain(name) == EXPECTED["signatures"][name]


@pytest.mark.parametrize("calls", cases.CALLS)
@pytest.mark.parametrize("name", cases.SCHEDULES)
def test_rates(name: str, calls: str) -> None:
    assert cases.rates(lr_scheduler, cases.SCHEDULES[name], cases.CALLS[calls]) == EXPECTED["rates"][name][calls]


@pytest.mark.parametrize("name", cases.SCHEDULES)
def test_log(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    cases.rates(lr_scheduler, cases.SCHEDULES[name], cases.CALLS["gaps"])
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("root", line) for line in EXPECTED["logs"][name]
    ]


@pytest.mark.parametrize("name", cases.REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(Exception) as caught:
        cases.REFUSED[name](lr_scheduler)
    assert type(caught.value).__name__ == EXPECTED["refused"][name]
    assert len(str(caught.value)) > 20


def test_types_are_floats_of_python() -> None:
    for schedule in cases.SCHEDULES.values():
        for rate in cases.rates(lr_scheduler, schedule, range(1, 30)):
            assert type(rate) in (float, int)


def test_a_pickled_schedule_goes_on() -> None:
    made = cases.make(lr_scheduler, cases.SCHEDULES["factor_warm"])
    for number in range(13):
        made(number)
    again = pickle.loads(pickle.dumps(made))
    assert [again(number) for number in range(13, 40)] == EXPECTED["rates"]["factor_warm"]["each"][13:40]


def test_a_step_list_is_not_changed() -> None:
    steps = [3, 5]
    made = lr_scheduler.MultiFactorScheduler(steps, 0.5)
    assert made.step is steps
    assert made(100) == 0.01 * 0.5 * 0.5
    assert steps == [3, 5]
    assert (made.cur_step_ind, made.count) == (2, 5)
