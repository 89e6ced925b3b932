"""Five doors to one network: whichever it is reached through, the audit says the same."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.targets.model_files import export_onnx, export_program
from tests.targets.servers import mlserver_of_onnx
from torch import nn

from vestige import Endpoint, ModelFile, Predictions, Querying, audit
from vestige.core.outputs import Logits
from vestige.core.records import Records, joined
from vestige.core.result import AuditResult
from vestige.targets.answer_format import AnswerFormat

N, N_FEATURES, N_CLASSES = 90, 8, 3
DOORS = ("torch module", "exported program", "ONNX file", "HTTP", "table of predictions")
LOGITS = AnswerFormat(Logits)


def noise(first: int) -> Records:
    rng = np.random.default_rng(first)
    inputs = rng.normal(size=(N, N_FEATURES)).astype(np.float32)
    return Records(inputs, rng.integers(0, N_CLASSES, N), ids=np.arange(first, first + N))


MEMBERS, NONMEMBERS = noise(0), noise(N)


def learned_by_heart() -> nn.Module:
    """A network that fits labels drawn at random, so that members differ from others."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(N_FEATURES, 32), nn.ReLU(), nn.Linear(32, N_CLASSES))
    x, y = torch.from_numpy(MEMBERS.inputs), torch.from_numpy(MEMBERS.labels.astype(np.int64))
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimiser.step()
    return network.eval()


def table_of_answers(network: nn.Module) -> Predictions:
    """What the network answers, in another order than the records'."""
    pool = joined(MEMBERS, NONMEMBERS)
    with torch.no_grad():
        logits = network(torch.from_numpy(pool.inputs)).numpy()
    order = np.random.default_rng(5).permutation(2 * N)
    return Predictions(Logits(logits[order]), pool.labels[order], order < N, ids=pool.ids[order])


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("doors")
    (folder / "served").mkdir()
    network = learned_by_heart()
    program = export_program(network, folder / "network.pt2", MEMBERS.inputs)
    graph = export_onnx(network, folder / "network.onnx", MEMBERS.inputs)
    with pytest.MonkeyPatch.context() as patch, mlserver_of_onnx(folder / "served", graph) as url:
        for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            patch.delenv(name, raising=False)
        found: tuple[Any, ...] = (
            network,
            ModelFile(program, trust_pickle=True),
            ModelFile(graph, LOGITS),
            Endpoint(url, answers=LOGITS),
            table_of_answers(network),
        )
        yield dict(zip(DOORS, found, strict=True))


@pytest.fixture(scope="module")
def audited(doors):
    """Audits through a door with an access, each played once."""

    @cache
    def play(door: str, access: str = "confidence") -> AuditResult:
        return audit(doors[door], members=MEMBERS, nonmembers=NONMEMBERS, querying=Querying(access=access))

    return play


def assert_close(found: pd.DataFrame, expected: pd.DataFrame, tolerance: float) -> None:
    """The same rows, in order, with the same words and nearly the same numbers."""
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=0, atol=tolerance)


def n_sent(result: AuditResult) -> int | None:
    return None if result.queries is None else result.queries.n_sent


def test_the_network_gives_its_members_away(audited):
    """Otherwise equal results would say little."""
    results = audited("torch module").results
    aucs = results[(results["metric"] == "auc") & (results["group"] == "all")].set_index("attack")["value"]
    assert aucs["loss"] > 0.65
    gaps = audited("torch module", "label").results
    assert gaps[(gaps["metric"] == "auc") & (gaps["group"] == "all")]["value"].max() > 0.6


@pytest.mark.parametrize("door", DOORS[1:])
def test_every_door_gives_each_record_the_same_scores(door, audited):
    expected = audited("torch module").records
    assert expected["loss"].std() > 0.1
    assert_close(audited(door).records, expected, 1e-5)


@pytest.mark.parametrize("door", DOORS[1:])
def test_every_door_gives_the_same_results(door, audited):
    assert_close(audited(door).results, audited("torch module").results, 1e-4)


@pytest.mark.parametrize("door", DOORS[1:])
def test_every_door_gives_the_same_results_to_one_who_sees_labels_only(door, audited):
    found, expected = audited(door, "label"), audited("torch module", "label")
    pd.testing.assert_frame_equal(found.results, expected.results, check_exact=True)
    pd.testing.assert_frame_equal(found.records, expected.records, check_exact=True)
    assert set(found.results["access"]) == {"label"}


@pytest.mark.parametrize("access", ["confidence", "label"])
def test_every_door_but_the_table_counts_the_same_queries(access, audited):
    counted = {door: n_sent(audited(door, access)) for door in DOORS}
    assert counted == dict.fromkeys(DOORS[:4], 2 * N + 32) | {"table of predictions": None}
