"""Looks for GPUs, and for who can use them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from stacktune.doctor.finding import OK, WARNING, Finding

ABOUT = "GPU"
HIDING = "CUDA_VISIBLE_DEVICES"
_DRIVER = Path("/proc/driver/nvidia/version")
_WITHOUT = "run with --gpus 0"
_ON_CORES = "fitted on cores, by stacktune's choice"


@dataclass(frozen=True)
class Seen:
    """A machine's GPUs, and those that torch sees.

    has_driver, has_devices: of NVIDIA's, whether the kernel has its driver, and this process its devices. cuda: that
    torch was built for, hip: of AMD's, else None. visible: the devices that CUDA_VISIBLE_DEVICES leaves, None where it
    is unset. names: of the devices that torch sees, one each.
    """

    has_driver: bool
    has_devices: bool
    torch: str
    cuda: str | None = None
    hip: str | None = None
    visible: str | None = None
    names: tuple[str, ...] = ()


def gpus() -> Sequence[Finding]:
    """Return the GPUs, and who can use them."""
    seen = _look()
    findings = findings_of(seen)
    if not seen.names:
        return findings
    import torch

    torch.ones(8, device="cuda").sum().item()  # raises where the build does not suit the device
    return [*findings, _xgboost(seen), Finding(OK, ABOUT, f"lightgbm{_catboost()}: {_ON_CORES}")]


def _look() -> Seen:
    import torch

    return Seen(
        has_driver=_DRIVER.exists(),
        has_devices=any(Path("/dev").glob("nvidia[0-9]*")),
        torch=torch.__version__,
        cuda=getattr(torch.version, "cuda", None),
        hip=getattr(torch.version, "hip", None),
        visible=os.environ.get(HIDING),
        names=tuple(torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())),
    )


def findings_of(seen: Seen) -> Sequence[Finding]:
    """Return what there is, and what hinders torch."""
    if seen.names:
        said = f"{len(seen.names)} ({', '.join(sorted(set(seen.names)))}); torch {seen.torch} computes on them"
        return [Finding(OK, ABOUT, said)]
    if not (seen.has_driver or seen.has_devices):
        return [Finding(OK, ABOUT, "none on this machine: models are fitted on cores")]
    why, mend = _unseen(seen)
    return [Finding(WARNING, ABOUT, f"NVIDIA's driver is here, but {why}: models are fitted on cores", mend)]


def _unseen(seen: Seen) -> tuple[str, str]:
    """Return why torch sees none, and the remedy."""
    if seen.cuda is None:
        built = f"for AMD's ROCm {seen.hip}" if seen.hip else "for cores alone"
        return f"torch {seen.torch} was built {built}", "install a torch that was built for the CUDA of nvidia-smi"
    if seen.visible is not None and seen.visible.strip() in ("", "-1"):
        return f"{HIDING}={seen.visible!r} hides every GPU", f"unset {HIDING}, unless that is what you want"
    if not seen.has_devices:
        return "this process has none of its devices", "give the container its GPUs (docker run --gpus all)"
    said = f"torch {seen.torch}, built for CUDA {seen.cuda}, sees none"
    if seen.visible is not None:
        return f"{said} of {HIDING}={seen.visible!r}", f"name numbers in it that nvidia-smi -L lists, or unset {HIDING}"
    return said, "compare its CUDA with that of nvidia-smi: where the driver's is older, renew the driver"


def _catboost() -> str:
    return " and catboost" if find_spec("catboost") else ""


def _xgboost(seen: Seen) -> Finding:
    import xgboost

    return xgboost_finding(seen, xgboost.__version__, bool(xgboost.build_info().get("USE_CUDA")))


def xgboost_finding(seen: Seen, version: str, has_cuda: bool) -> Finding:
    """Return whether xgboost can use what torch sees."""
    if has_cuda and seen.cuda is not None:
        return Finding(OK, ABOUT, f"xgboost {version} computes on them")
    if has_cuda:
        return Finding(WARNING, ABOUT, f"xgboost {version} was built for CUDA, and these are not NVIDIA's", _WITHOUT)
    mend = f"pip uninstall xgboost xgboost-cpu, then pip install xgboost, whose wheels have CUDA; or {_WITHOUT}"
    return Finding(WARNING, ABOUT, f"xgboost {version} was built for cores alone", mend)
