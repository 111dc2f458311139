"""Modules in every stage of their life: what may be called, what it returns, logs and leaves behind, as in MXNet."""

from __future__ import annotations

import json

import pytest

import symjit as mx
from tests.training import family_calls, goldens, module_calls
from tests.training.scenes import ACTIONS, SCENES, STAGES, allowed

#: The others compile programs.
QUICK = {"given_parameters", "names_refused", "optimizers_given"}


CALLS = {**module_calls.SCENES, **family_calls.SCENES}
QUICK_CALLS = {"python_calls", "checkpoint_lines"}


#: MXNet computes with whatever the arrays hold; symjit says that forward has to come first.
STRICTER = {"backward": {"initialized": "!MXNetError", "ready": "!MXNetError"}}


@pytest.mark.parametrize("action", ACTIONS)
def test_allowed_early(action: str) -> None:
    stages = ("fresh", "bound")
    want = goldens.scenes()["allowed"][action]
    assert {stage: allowed(mx, action, stage) for stage in stages} == {stage: want[stage] for stage in stages}


@pytest.mark.slow
@pytest.mark.parametrize("action", ACTIONS)
def test_allowed(action: str) -> None:
    want = goldens.scenes()["allowed"][action] | STRICTER.get(action, {})
    assert {stage: allowed(mx, action, stage) for stage in STAGES} == want


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in SCENES])
def test_scene(name: str) -> None:
    assert json.loads(json.dumps(SCENES[name](mx))) == goldens.scenes()["scenes"][name]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK_CALLS else [pytest.mark.slow]) for n in CALLS])
def test_call_with_every_argument(name: str) -> None:
    goldens.agree(json.loads(json.dumps(CALLS[name](mx), default=float)), goldens.calls()[name], name)
