"""What is said of GPUs is so in each case that a machine may be in, also where none is at hand to try it on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stacktune.doctor.finding import OK, WARNING
from stacktune.doctor.gpus import Seen, findings_of, gpus, xgboost_finding

CUDA = {"torch": "2.9.0+cu128", "cuda": "12.8"}


@pytest.mark.parametrize(
    ("seen", "state", "said", "mend"),
    [
        (Seen(False, False, "2.9.0+cpu"), OK, "none on this machine", ""),
        (Seen(False, False, **CUDA, visible=""), OK, "none on this machine", ""),
        (Seen(True, True, "2.9.0+cpu"), WARNING, "2.9.0+cpu was built for cores alone", "built for the CUDA of"),
        (Seen(True, True, "2.9.0+rocm", hip="6.4"), WARNING, "built for AMD's ROCm 6.4", "built for the CUDA of"),
        (Seen(True, True, **CUDA, visible=""), WARNING, "CUDA_VISIBLE_DEVICES='' hides every", "unset CUDA_VISIBLE"),
        (Seen(True, True, **CUDA, visible="-1"), WARNING, "='-1' hides every GPU", "unset CUDA_VISIBLE_DEVICES"),
        (Seen(True, True, **CUDA, visible="7"), WARNING, "sees none of CUDA_VISIBLE_DEVICES='7'", "nvidia-smi -L"),
        (Seen(True, False, **CUDA), WARNING, "this process has none of its devices", "docker run --gpus all"),
        (Seen(True, True, **CUDA), WARNING, "built for CUDA 12.8, sees none", "renew the driver"),
        (Seen(True, True, **CUDA, names=("H200", "H200")), OK, "2 (H200); torch 2.9.0+cu128 computes on them", ""),
    ],
)
def test_each_case_says_what_is_so_and_what_to_mend(seen, state, said, mend):
    """Four of these were one: "sees none", to be mended by comparing versions."""
    (found,) = findings_of(seen)
    assert found.state == state
    assert said in found.said
    assert mend in found.mend
    assert bool(found.mend) == (state == WARNING)


@pytest.mark.parametrize(
    ("seen", "has_cuda", "state", "said"),
    [
        (Seen(True, True, **CUDA, names=("H200",)), True, OK, "computes on them"),
        (Seen(True, True, **CUDA, names=("H200",)), False, WARNING, "was built for cores alone"),
        (Seen(False, False, "2.9.0+rocm", hip="6.4", names=("MI300",)), True, WARNING, "these are not NVIDIA's"),
        (Seen(False, False, "2.9.0+rocm", hip="6.4", names=("MI300",)), False, WARNING, "was built for cores alone"),
    ],
)
def test_xgboost_is_only_said_to_use_what_it_can(seen, has_cuda, state, said):
    found = xgboost_finding(seen, "3.1.0", has_cuda)
    assert (found.state, said in found.said, "--gpus 0" in found.mend) == (state, True, state == WARNING)


def test_it_looks_at_this_machine_as_it_is():
    found = gpus()
    assert found
    assert {one.about for one in found} == {"GPU"}


def test_hidden_devices_are_looked_at_too():
    """What torch makes of the variable is asked of torch itself, in a process of its own."""
    code = "from stacktune.doctor.gpus import _look; seen = _look(); print(repr(seen.visible), len(seen.names))"
    surroundings = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=surroundings, check=True)
    assert result.stdout.split() == ["''", "0"]
