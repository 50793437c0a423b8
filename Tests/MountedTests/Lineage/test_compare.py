"""The comparison by itself, with records by hand."""

import argparse
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import compare
from job import Job, long, short
from model import Model

SESSION = "20260101_000000"
NOW = "2026-01-01T00:00:01.500000000Z"


class Records:
    """A stage whose records are these: output to a list of input, how, sha256."""

    def __init__(self, records):
        self.mount, self.session = "/nowhere", SESSION
        self.hashes = {f"production/base/sources/{name}.txt": "hash of " + name for name in "abcdefgh"}
        self.records = records

    def record(self, path):
        for tag in "sp":
            inputs = self.records.get(short(path, "x", tag))
            if inputs is not None:
                return {
                    "artifact": {"sha256": "hash of it"}, "times": {"closed": "2026-01-01T00:00:02.000000000Z"},
                    "inputs": [{"path": long(name, "x", tag, SESSION), "how": how, "sha256": hashed, "at": at}
                               for name, how, hashed, at in (entry + (NOW,) * (4 - len(entry)) for entry in inputs)]}
        return None

    def results(self, job, tag):
        return [long(name, "x", tag, SESSION) for name in self.records]


def judge(records, expected, wider=None, holds=False, **options):
    """What is found of a job with one output x."""
    job = Job("x", "x.sh", holds=holds, expected={"x": expected})

    def understand(stage, job, tag):
        models = []
        for edges in (expected, {**expected, **(wider or {})}, expected):
            model = Model("/nowhere")
            model.outputs = lambda edges=edges: {long("O:x", "x", tag, SESSION): {
                long(name, "x", tag, SESSION): how.split("|")[0] for name, how in edges.items()}}
            models.append(model)
        return models

    arguments = argparse.Namespace(**{"untraced": False, "model_only": False, "repeat": 0, **options})
    result = compare.judge(Records(records), job, [], arguments, understand)
    return result, compare.failed(result, bool(options.get("repeat")))


class Comparing(unittest.TestCase):
    def row(self, *what, **how):
        result, failed = judge(*what, **how)
        self.assertEqual(result["problems"], [])
        self.assertEqual([run["tag"] for run in result["runs"]], ["s", "p"])
        row = result["runs"][1]["outputs"][0]
        return {key: row[key] for key in ("missing", "false", "held", "how", "bytes", "job") if row[key]}, failed

    def test_all_is_well(self):
        found = [("a", "process", "hash of a"), ("b", "ancestor", "hash of b"), ("c", "job", "hash of c"),
                 ("d", "declared", "hash of d"), ("S:m", "pipe", "?")]
        self.assertEqual(self.row({"O:x": found}, {"a": "process", "b": "ancestor|pipe", "S:m": "pipe"}), ({"job": ["c"]}, False))
        self.assertEqual(self.row({"O:x": []}, {}), ({}, False))

    def test_what_is_missing(self):
        self.assertEqual(self.row({"O:x": [("b", "job", "hash of b")]}, {"a": "process", "b": "pipe"}),
                         ({"missing": ["a", "b"], "job": ["b"]}, True))

    def test_what_is_false(self):
        self.assertEqual(self.row({"O:x": [("a", "process", "hash of a"), ("h", "pipe", "hash of h")]}, {"a": "process"}),
                         ({"false": ["h"]}, True))

    def test_what_is_held_only(self):
        found = {"O:x": [("h", "pipe", "hash of h")]}
        self.assertEqual(self.row(found, {}, {"h": "pipe"}), ({"held": ["h"]}, True))
        self.assertEqual(self.row(found, {}, {"h": "pipe"}, holds=True), ({"held": ["h"]}, False))

    def test_another_way_is_told_and_no_failure(self):
        self.assertEqual(self.row({"O:x": [("a", "pipe", "hash of a")]}, {"a": "process"}),
                         ({"how": ["a pipe, not process"]}, False))

    def test_other_bytes(self):
        self.assertEqual(self.row({"O:x": [("a", "process", "hash of b")]}, {"a": "process"}), ({"bytes": ["a"]}, True))

    def test_when_it_was_opened(self):
        self.assertEqual(compare.seconds("1970-01-01T00:01:00.250000000Z"), 60.25)
        result, failed = judge({"O:x": [("a", "process", "hash of a", "2026-01-01T00:00:03Z")]}, {"a": "process"})
        self.assertFalse(failed)
        self.assertEqual(result["runs"][1]["outputs"][0]["notes"], ["a was opened after the last close"])

    def test_an_output_without_a_record(self):
        result, failed = judge({}, {"a": "process"})
        self.assertTrue(failed)
        self.assertIn("it has no record", result["runs"][0]["outputs"][0]["notes"][0])

    def test_an_output_that_no_trace_has(self):
        result, failed = judge({"O:x": [], "O:y": []}, {})
        self.assertTrue(failed)
        self.assertEqual(result["problems"], ["s: the trace has no output O:y", "p: the trace has no output O:y"])

    def test_many_runs_ask_for_precision_only(self):
        _, failed = judge({"O:x": []}, {"a": "process"}, repeat=2)
        self.assertFalse(failed)

    def test_many_runs_are_counted(self):
        result, _ = judge({"O:x": [("h", "pipe", "hash of h")]}, {"a": "process"}, repeat=3)
        self.assertEqual([len(run["outputs"]) for run in result["runs"]], [1, 1, 1, 1])
        result["runs"][2]["outputs"][0].update({"false": [], "missing": []})
        self.assertEqual(compare.rates(result)[:2], [
            "x, O:x: FALSE h: 0 of 3 without strace, 1 of 1 with it",
            "x, O:x: MISSING a: 2 of 3 without strace, 1 of 1 with it"])

    def test_without_a_trace_the_comments_count(self):
        result, failed = judge({"O:x": [("b", "process", "hash of b")]}, {"a": "process"}, untraced=True)
        row = result["runs"][0]["outputs"][0]
        self.assertEqual((row["missing"], row["false"], failed), (["a"], ["b"], True))


if __name__ == "__main__":
    unittest.main()
