"""A chart that kills or stalls its renderer costs the chart, not the audit."""

import os
import signal

import pytest

from vestige.report.renderer import NotDrawn, Renderer


def _bars(name: str) -> dict:
    y = {"field": "name", "type": "nominal"}
    return {"data": {"values": [{"name": name, "n": 1}]}, "mark": "bar", "encoding": {"y": y}}


@pytest.fixture(scope="module")
def renderer():
    found = Renderer()
    yield found
    found._end()


def test_a_chart_is_drawn_and_the_next_in_the_same_process(renderer):
    assert "ward 7" in renderer.svg(_bars("ward 7"))
    process = renderer._process
    assert renderer.svg(_bars("ward 8")).startswith("<svg")
    assert renderer._process is process


@pytest.mark.parametrize("name", ["a\x07", "a\x1b[31m", "\ufffe"])
def test_a_crash_is_told_and_the_next_chart_is_drawn(renderer, name):
    with pytest.raises(NotDrawn, match="ended while it drew"):
        renderer.svg(_bars(name))
    assert renderer.svg(_bars("ward 7")).startswith("<svg")


def test_what_is_refused_is_told(renderer):
    with pytest.raises(NotDrawn, match="refused"):
        renderer.svg(_bars("\ud800"))


def test_a_renderer_that_was_killed_is_begun_again(renderer):
    renderer.begin()
    os.kill(renderer._process.pid, signal.SIGKILL)
    renderer._process.wait()
    assert renderer.svg(_bars("ward 7")).startswith("<svg")


def test_a_chart_that_takes_too_long_is_given_up():
    renderer = Renderer(limit=0.2)  # less than it takes to begin
    with pytest.raises(NotDrawn, match=r"more than 0\.2 s"):
        renderer.svg(_bars("x" * 100_000))
    assert renderer._process is None


def test_without_a_renderer_the_reason_is_told(monkeypatch):
    monkeypatch.setattr("sys.executable", "")
    with pytest.raises(NotDrawn, match="missing"):
        Renderer().svg(_bars("ward 7"))
