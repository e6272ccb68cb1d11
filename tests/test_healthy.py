"""``assert_healthy``: what a test of a training calls."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import weigh
from weigh._errors import SourceError, UnknownNameError, UsageError
from weigh.testing import assert_healthy

BAD = {"fc.bias": np.array([1.0, np.nan]), "head.weight": np.full((4, 3), 0.25)}
"""An error and a warning."""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_message_is_what_the_command_prints() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_healthy(BAD, select=["non-finite"])
    assert str(caught.value) == (f"weigh check finds:\n\n{weigh.check(BAD, select=['non-finite'])}")


def test_only_what_fails_is_told() -> None:
    both = ["non-finite", "constant"]
    with pytest.raises(AssertionError) as caught:
        assert_healthy(BAD, select=both, fail_on="error")
    assert "ERROR  non-finite" in str(caught.value)
    assert "constant" not in str(caught.value)
    with pytest.raises(AssertionError, match="WARNING  constant"):
        assert_healthy(BAD, select=both)


@pytest.mark.parametrize(
    ("fail_on", "fails"),
    [("", True), ("error", False), ("warning", True), ("info", True), ("never", False)],
)
def test_a_warning_fails_unless_it_is_said_otherwise(fail_on: str, fails: bool) -> None:
    if fails:
        with pytest.raises(AssertionError):
            assert_healthy(BAD, select=["constant"], fail_on=fail_on)
        return
    report = assert_healthy(BAD, select=["constant"], fail_on=fail_on)
    assert [one.rule for one in report] == ["constant"], "what is no failure is in the report"


def test_settings_of_the_nearest_file_count(elsewhere: Path) -> None:
    config = elsewhere / "pyproject.toml"
    config.write_text('[tool.weigh.check]\nignore = ["non-finite"]\nfail-on = "error"\n')
    assert_healthy(BAD)
    with pytest.raises(AssertionError):
        assert_healthy(BAD, fail_on="warning")
    with pytest.raises(AssertionError):
        assert_healthy(BAD, config={})
    assert_healthy(BAD, config={"ignore": ["non-finite", "constant"]})


def test_a_part_may_be_looked_at() -> None:
    assert_healthy(BAD, "head", ignore=["constant"])
    with pytest.raises(UnknownNameError):
        assert_healthy(BAD, "haed")


def test_a_live_module_with_its_optimizer() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(20, 30), torch.nn.ReLU(), torch.nn.Linear(30, 5))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    loss = net(torch.randn(8, 20)).square().sum()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    report = assert_healthy(net, optimizer=optimizer, loss=loss, select=["non-finite"])
    assert report.parameters_looked_at == 4
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    with torch.no_grad():
        net[2].bias[1] = float("inf")
    with pytest.raises(AssertionError, match=r"2\.bias  it holds 1 \+Inf"):
        assert_healthy(net, select=["non-finite"])


def test_a_wrong_call_is_no_failed_assertion() -> None:
    with pytest.raises(UnknownNameError):
        assert_healthy(BAD, select=["no-such-rule"])
    with pytest.raises(UsageError):
        assert_healthy(BAD, fail_on="fatal")
    with pytest.raises(SourceError):
        assert_healthy("missing.pt")


def test_pytest_shows_the_line_of_the_test(elsewhere: Path) -> None:
    (elsewhere / "test_it.py").write_text(
        "import numpy\nfrom weigh.testing import assert_healthy\n"
        "def test_it():\n    assert_healthy({'fc.bias': numpy.array([numpy.nan, 1.0])})\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        cwd=elsewhere,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert ">       assert_healthy({" in done.stdout
    assert "ERROR  non-finite" in done.stdout
    assert "settings_of" not in done.stdout
