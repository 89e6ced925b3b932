"""Test Vestige on the first CUDA device and measure how fast it trains there; ask nothing, take less than 8 minutes."""

import functools
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.shadow_models import binary_records, tanh_network
from vestige.core.records import Records
from vestige.data.sets.designs import complementary_pairs
from vestige.papers.networks.resnet import ResNet18
from vestige.training.plain import train
from vestige.training.stacked import train_stack
from vestige.training.torch_recipe import TorchRecipe

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
SECONDS = 470
"""Of everything: then the process ends, whatever it does, and what is written by then stays."""
SECONDS_OF_TESTS = 240.0
SECONDS_OF_EACH = 60.0
"""After which no further repeat is begun."""

# Dense products in TFLOP/s, from the makers' data sheets: (float32 without TF32, bfloat16).
PEAKS = {
    "A100": (19.5, 312.0),
    "H100 PCIe": (51.0, 756.0),
    "H100": (67.0, 989.0),
    "H200": (67.0, 989.0),
    "L4": (30.3, 121.0),
    "L40S": (91.6, 362.0),
    "V100": (15.7, None),
    "T4": (8.1, None),
}


def peak_of(name: str, low_precision: bool) -> float | None:
    """FLOP/s of a device by its name; None if the table lacks it. Of several entries the longest counts."""
    found = [key for key in PEAKS if re.search(rf"\b{re.escape(key)}\b", name.replace("-", " "))]
    tera = PEAKS[max(found, key=len)][low_precision] if found else None
    return None if tera is None else tera * 1e12


def flops_of_step(network: nn.Module, inputs: torch.Tensor) -> int:
    """Of a pass forward and one back: products and convolutions alone, as is the custom."""
    with FlopCounterMode(display=False) as counter:
        network(inputs).sum().backward()
    return int(counter.get_total_flops())


def rate(work: Callable[[], object], n_models: int, flops_of_model: float, peak: float | None) -> dict[str, Any]:
    """Models per minute, of repeats after a first one that loads and allocates; and the share of the peak."""
    work()
    torch.cuda.synchronize()
    begun, n_repeats = time.perf_counter(), 0
    while n_repeats < 3 and (not n_repeats or time.perf_counter() - begun < SECONDS_OF_EACH):
        work()
        torch.cuda.synchronize()
        n_repeats += 1
    seconds = (time.perf_counter() - begun) / n_repeats
    return {
        "models": n_models,
        "repeats": n_repeats,
        "seconds": seconds,
        "models_per_minute": 60 * n_models / seconds,
        "flops_per_model": flops_of_model,
        "share_of_peak": None if peak is None else flops_of_model * n_models / seconds / peak,
    }


def small_networks(device: str, peak: float | None, *, n_models: int = 256, epochs: int = 10) -> dict[str, Any]:
    """Networks 446-128-128-30 on half of 5,010 records each, trained as one stack."""
    records, size = binary_records(5010, 446, 30), 100
    member = complementary_pairs(n_models, records.n_records, seed=0)
    make = functools.partial(tanh_network, 446, 128, 128, 30)
    recipe = TorchRecipe(make, epochs=epochs, batch_size=size)
    flops = flops_of_step(make(), torch.zeros(1, 446)) * float(member.sum(axis=1).mean()) * epochs

    def work() -> None:
        models = train_stack(recipe, records, member, seeds=range(n_models), device=device)
        failed = [model for model in models if isinstance(model, Exception)]
        assert not failed, failed[0]

    return {"network": "446-128-128-30", "epochs": epochs, "batch": size, **rate(work, n_models, flops, peak)}


def residual_networks(
    device: str, peak: float | None, *, n_records: int = 25_000, epochs: int = 1, n_filters: int = 64
) -> dict[str, Any]:
    """ResNet-18 in bfloat16 on random images of CIFAR's shape, one model after the other."""
    rng, size = np.random.default_rng(0), 256
    images = rng.integers(0, 256, (n_records, 32, 32, 3), dtype=np.uint8)
    records = Records(images, np.arange(n_records) % 10)
    make = functools.partial(ResNet18, n_filters=n_filters)
    recipe = TorchRecipe(make, epochs=epochs, batch_size=size, bfloat16=True)
    flops = float(flops_of_step(make(), torch.zeros(1, 3, 32, 32)) * n_records * epochs)
    work = functools.partial(train, recipe, records, seed=0, device=device, low_precision=True)
    return {
        "network": f"ResNet-18, {n_filters} filters, bfloat16",
        "records": n_records,
        "epochs": epochs,
        "batch": size,
        **rate(work, 1, flops, peak),
    }


def tests() -> dict[str, Any]:
    """Run the tests marked `cuda` in a process of their own; its last line says how they went."""
    command = [sys.executable, "-m", "pytest", "-m", "cuda", "-q", "-rfE", "tests/gpu"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_OF_TESTS)
    except subprocess.TimeoutExpired:
        return {"passed": False, "summary": f"not done after {SECONDS_OF_TESTS:.0f} s"}
    print(done.stdout[-4000:], done.stderr[-2000:])
    return {"passed": done.returncode == 0, "summary": (done.stdout.strip().splitlines() or [""])[-1]}


def main() -> int:
    if not torch.cuda.is_available():
        print("make gpu: torch sees no CUDA device here; nothing was tested or measured.")
        return 0
    signal.alarm(SECONDS)
    name = torch.cuda.get_device_name(0)
    found: dict[str, Any] = {
        "device": name,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "measured": datetime.now(UTC).date().isoformat(),
        "tests": tests(),
    }
    path = FOLDER / f"{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}.json"
    ways: dict[str, tuple[Callable[..., dict[str, Any]], bool]] = {
        "small_networks": (small_networks, False),
        "residual_networks": (residual_networks, True),
    }
    for key, (measure, low_precision) in ways.items():
        try:
            found[key] = measure("cuda", peak_of(name, low_precision))
        except Exception as error:  # the other one is still worth measuring
            found[key] = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(key, json.dumps(found[key]))
        path.write_text(json.dumps(found, indent=1) + "\n")  # what is known stays, should the time end here
    print(f"written: {path.relative_to(ROOT)}")
    return 0 if found["tests"]["passed"] and not any("error" in found[key] for key in ways) else 1


if __name__ == "__main__":
    raise SystemExit(main())
