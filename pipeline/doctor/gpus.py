"""Looks for GPUs, and for who can use them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from stacktune.doctor.finding import OK, WARNING, Finding

ABOUT = "GPU"
_DRIVER = Path("/proc/driver/nvidia/version")
_ON_CORES = "fitted on cores, by stacktune's choice"


def gpus() -> Sequence[Finding]:
    """Return the GPUs, and who can use them."""
    import torch

    is_there = _DRIVER.exists() or any(Path("/dev").glob("nvidia[0-9]*"))
    n_seen = torch.cuda.device_count()
    if not n_seen and not is_there:
        return [Finding(OK, ABOUT, "none on this machine: models are fitted on cores")]
    if not n_seen:
        return [Finding(WARNING, ABOUT, f"NVIDIA's driver is here, but torch {_why_unseen(torch)}", _mend(torch))]
    names = sorted({torch.cuda.get_device_name(place) for place in range(n_seen)})
    findings = [Finding(OK, ABOUT, f"{n_seen} ({', '.join(names)}); torch {torch.__version__} computes on them")]
    torch.ones(8, device="cuda").sum().item()  # raises where the build does not suit the device
    return [*findings, _xgboost(), Finding(OK, ABOUT, f"lightgbm{_catboost()}: {_ON_CORES}")]


def _why_unseen(torch: object) -> str:
    built_for = getattr(getattr(torch, "version", None), "cuda", None)
    return f"was built for CUDA {built_for} and sees none" if built_for else "was built for cores alone"


def _mend(torch: object) -> str:
    if getattr(getattr(torch, "version", None), "cuda", None):
        return "compare its CUDA with that of nvidia-smi, and look at CUDA_VISIBLE_DEVICES"
    return "install a torch that was built for the CUDA of nvidia-smi"


def _catboost() -> str:
    return " and catboost" if find_spec("catboost") else ""


def _xgboost() -> Finding:
    import xgboost

    if xgboost.build_info().get("USE_CUDA"):
        return Finding(OK, ABOUT, f"xgboost {xgboost.__version__} computes on them")
    return Finding(WARNING, ABOUT, f"xgboost {xgboost.__version__} was built for cores alone", "pip install xgboost")
