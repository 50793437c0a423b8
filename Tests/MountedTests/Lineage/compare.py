"""Compares what traces and jobs' comments expect with what records say."""

import calendar
import hashlib
import os
import re
import sys
import time

import straced
from job import HERE, long, short

CERTAIN = ("process", "ancestor", "pipe")


def retag(path, job, old, new):
    """The same path of another run of a job."""
    return path.replace(f"/{job}-{old}-", f"/{job}-{new}-")


def by_hand(job, tag, outputs):
    """Whether the job's comments and the trace agree; each difference in words."""
    told = []
    found = {short(path, job.name, tag): {short(inner, job.name, tag): how for inner, how in edges.items()}
             for path, edges in outputs.items()}
    for name, edges in job.expected.items():
        seen = found.pop("O:" + name, None)
        if seen is None:
            told.append(f"the trace has no output {name}")
            continue
        for inner in sorted(edges.keys() | seen.keys()):
            if inner not in seen or inner not in edges or seen[inner] not in edges[inner].split("|"):
                told.append(f"{name} from {inner}: {edges.get(inner, 'no edge')} by its comments, "
                            f"{seen.get(inner, 'no edge')} by the trace")
    told += [f"the comments have no output {name}" for name in found]
    return told


def certain(record):
    """The certain edges of a record, its other edges, by path."""
    edges, others = {}, {}
    for entry in record.get("inputs", []):
        path, how = entry.get("path", "").strip("/"), entry.get("how")
        (edges if how in CERTAIN else others)[path] = entry
    return edges, others


def judge_output(stage, job, tag, path, expected, allowed, alternatives, opened=()):
    """One output of one run."""
    row = {"output": short(path, job.name, tag), "expected": {}, "found": {}, "missing": [], "false": [], "held": [],
           "how": [], "bytes": [], "job": [], "notes": []}

    def name(inner):
        return short(inner, job.name, tag)

    record = stage.record(path)
    row["expected"] = {name(inner): how for inner, how in expected.items()}
    if record is None:
        row["missing"] = sorted(row["expected"])
        row["notes"].append("it has no record: was it kept back?")
        row["no_record"] = True
        return row
    edges, others = certain(record)
    row["found"] = {name(inner): entry["how"] for inner, entry in edges.items()}
    row["missing"] = sorted(name(inner) for inner in expected.keys() - edges.keys())
    for inner in sorted(edges.keys() - expected.keys()):
        row["held" if inner in allowed else "false"].append(name(inner))
    for inner, entry in edges.items():
        ways = alternatives.get(name(inner), expected.get(inner, "")).split("|")
        if inner in expected and entry["how"] not in ways:
            row["how"].append(f"{name(inner)} {entry['how']}, not {'|'.join(ways)}")
        look_at_hash(stage, job, row, inner, entry, name(inner))
        look_at_time(record, row, inner, entry, name(inner), opened)
    row["job"] = sorted(name(inner) for inner, entry in others.items() if entry.get("how") == "job")
    return row


def seconds(text):
    """RFC 3339 in UTC, with nanoseconds, as seconds."""
    whole, _, part = (text or "").rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + (part or "0"))


def look_at_time(record, row, inner, entry, name, opened):
    """Whether an edge says when the input was opened: before the last close, and where there is a trace, when it saw that."""
    if "at" not in entry:
        row["notes"].append(f"{name} has no time")
        return
    at, closed = seconds(entry["at"]), record["times"].get("closed")
    if closed and at > seconds(closed):
        row["notes"].append(f"{name} was opened after the last close")
    times = [moment for moment, _, path in opened if path == inner]
    if times and not any(-0.3 < at - moment < 0.7 for moment in times):
        row["notes"].append(f"{name} was opened {min((at - moment for moment in times), key=abs):+.3f} s from when strace saw it")


def look_at_hash(stage, job, row, inner, entry, name):
    """Whether an edge names the bytes that were read, where that can be told afterwards."""
    hashed, known = entry.get("sha256"), stage.hashes.get(inner)
    same = job.hashes.get((row["output"].removeprefix("O:"), name))
    if same is not None:
        known = stage.hashes[f"production/base/sources/{same}.txt"]
    elif known is None and inner.startswith("production/"):
        made = stage.record(inner)
        known = made and made["artifact"].get("sha256")
    elif known is None and not job.hashes:
        try:
            with open(os.path.join(stage.mount, inner), "rb") as file:
                known = hashlib.sha256(file.read()).hexdigest()
        except OSError:
            return
    if hashed is None:
        row["notes"].append(f"{name} has no sha256")
    elif known is not None and hashed != known:
        row["bytes"].append(name)


def judge(stage, job, troubles, arguments, understand):
    """One job, all its runs."""
    result = {"job": job.name, "problems": list(troubles), "runs": [], "varies": job.varies, "holds": job.holds}
    if arguments.untraced:
        rows = [judge_output(stage, job, "p", long("O:" + output, job.name, "p", stage.session),
                             {long(inner, job.name, "p", stage.session): how for inner, how in edges.items()}, {}, edges)
                for output, edges in job.expected.items()]
        result["runs"].append({"tag": "p", "outputs": rows})
        return result
    try:
        strict, upper, reading = understand(stage, job, "s")
    except (straced.TraceError, OSError) as error:
        result["problems"].append(f"the trace is not understood: {error}")
        return result
    result["problems"] += sorted(set(strict.problems))
    outputs, allowed = strict.outputs(), upper.outputs()
    only_opened = {path: edges.keys() - reading.outputs().get(path, {}).keys() for path, edges in outputs.items()}
    result["opened_only"] = {short(path, job.name, "s"): sorted(short(inner, job.name, "s") for inner in inners)
                             for path, inners in only_opened.items() if inners}
    result["model"] = {short(path, job.name, "s"): {short(inner, job.name, "s"): how for inner, how in edges.items()}
                       for path, edges in outputs.items()}
    result["holding"] = {
        short(path, job.name, "s"): sorted(short(inner, job.name, "s") for inner in edges if inner not in outputs[path])
        for path, edges in allowed.items() if edges.keys() - outputs[path].keys()}
    if not job.varies:
        result["problems"] += by_hand(job, "s", outputs)
    if arguments.model_only:
        return result
    tags = ["s"] + ([f"r{number}" for number in range(arguments.repeat)] if arguments.repeat else ["p"])
    for tag in tags:
        run = {"tag": tag, "outputs": []}
        for path, edges in sorted(outputs.items()):
            here = retag(path, job.name, "s", tag)
            expected = {retag(inner, job.name, "s", tag): how for inner, how in edges.items()}
            may = {retag(inner, job.name, "s", tag) for inner in allowed.get(path, {})}
            if tag != "s":
                # Who holds what when is another matter in another run.
                may |= {retag(inner, job.name, "s", tag) for output, all_edges in allowed.items()
                        for inner in all_edges.keys() - outputs[output].keys()}
            name = short(path, job.name, "s").removeprefix("O:")
            if job.varies and tag != "s":
                # Who did what is not known here; what no output of the traced run could know is wrong still.
                may = {retag(inner, job.name, "s", tag) for all_edges in allowed.values() for inner in all_edges}
                expected = {}
            row = judge_output(stage, job, tag, here, expected, may, job.expected.get(name, {}),
                               strict.open_times if tag == "s" else ())
            if job.varies and tag != "s":
                row["held"] = []
            run["outputs"].append(row)
        strange = set(stage.results(job, tag)) - {retag(path, job.name, "s", tag) for path in outputs}
        result["problems"] += [f"{tag}: the trace has no output {short(path, job.name, tag)}" for path in sorted(strange)]
        result["runs"].append(run)
    return result


def keep_traces(stage, jobs, directory):
    """Keeps the lines that the model needs, with the paths of a mount at /mnt; a kept trace must say the same as the whole."""
    from model import Model
    os.makedirs(directory, exist_ok=True)
    for job in jobs:
        lines = stage.lines(job, "s")
        whole = stage.model(straced.parse(lines), job, "s").outputs()
        kept = reduce(stage, lines)
        text = "".join(kept).replace(stage.mount, "/mnt").replace(stage.session, "20260101_000000")
        text = text.replace(stage.directory, "/tmp/lineage").replace(HERE, "/lineage").replace(sys.prefix, "/usr")
        text = re.sub(r"(\d{10}\.\d{6}) ", lambda m: m[1][6:] + " ", text)
        text = re.sub(r'execve\(("[^"]*"), \[[^]]*\]', r'execve(\1, ["..."]', text)
        events = straced.parse(text.splitlines(keepends=True))
        again = Model("/mnt", {"development/current": "development/20260101_000000"},
                      f"/tmp/lineage/work/{job.name}-s").run(events).outputs()
        same = {path.replace(stage.session, "20260101_000000"): {
            inner.replace(stage.session, "20260101_000000"): how for inner, how in edges.items()}
            for path, edges in whole.items()}
        if again != same:
            raise straced.TraceError(f"{job.name}: the kept trace says {again}, the whole {same}")
        with open(os.path.join(directory, job.name + ".trace"), "w") as file:
            file.write(text)


def reduce(stage, lines):
    """Without what failed, and what is done to files elsewhere."""
    aside = re.compile(r"(openat|open|read|pread64|write|writev|close|mmap|munmap|ioctl|chdir|unlink|unlinkat|rename)\(")
    matters = re.compile(re.escape(stage.mount) + r"|pipe:\[|UNIX|FIFO|/work/\w+-s/(one|two)")
    dropped, pending, mapped = set(), {}, set()
    for number, line in enumerate(lines):
        pid, _, text = line.split(" ", 1)[0], *line.split(None, 2)[1:]
        numbers = [number]
        if "resumed>" in text and pid in pending:
            first, begun = pending.pop(pid)
            numbers, text = [first, number], begun + text.split("resumed>", 1)[1]
        if "<unfinished ...>" in text:
            pending[pid] = numbers[0], text.split("<unfinished ...>")[0]
            continue
        if text.startswith("munmap(") and text[7:].split(",")[0] in mapped:
            continue
        if re.search(r" = (-1 E|\? ERESTART)", text) or aside.match(text) and not matters.search(text):
            dropped.update(numbers)
        elif text.startswith("mmap("):
            mapped.add(text.rsplit("= ", 1)[1].strip())
    return [line for number, line in enumerate(lines) if number not in dropped]


# Reporting


def words(edges):
    return ", ".join(f"{inner} {how}" for inner, how in sorted(edges.items())) or "nothing"


def judgement(result):
    """Counts: outputs, expected and found edges, missing, false, held, other ways."""
    rows = [row for run in result["runs"] for row in run["outputs"]]
    count = {key: sum(len(row[key]) for row in rows) for key in ("expected", "found", "missing", "false", "held",
                                                                 "how", "bytes", "job", "notes")}
    count["outputs"] = len(rows)
    return count


def failed(result, precision_only=False):
    count = judgement(result)
    return bool(result["problems"] or count["false"] or count["bytes"] or (count["missing"] and not precision_only)
                or (count["held"] and not result.get("holds")))


RUNS = {"s": "with strace", "p": "without"}
KINDS = (("missing", "MISSING"), ("false", "FALSE"), ("held", "HELD ONLY"), ("bytes", "SHA-256 OF OTHER BYTES"), ("how", "known otherwise"),
         ("job", "possible (job)"), ("notes", "note"))


def details(result, precision_only, everything=False):
    """What differs, a line each."""
    lines = [f"{result['job']}: {problem}" for problem in result["problems"]]
    for run in result["runs"]:
        for row in run["outputs"]:
            keys = ("false", "held", "bytes") if precision_only else ("missing", "false", "held", "how", "bytes", "notes")
            if not everything and not any(row[key] for key in keys):
                continue
            lines.append(f"{result['job']}, {row['output']}, {RUNS.get(run['tag'], run['tag'])}: "
                         f"expected {words(row['expected'])}; found {words(row['found'])}")
            opened_only = result.get("opened_only", {}).get(row["output"], [])
            for key, label in KINDS:
                if row[key]:
                    shown = [inner + " (opened, never read)" if key == "missing" and inner in opened_only else inner
                             for inner in row[key]]
                    lines.append(f"    {label}: {', '.join(shown)}")
    return lines


def rates(result):
    """Of many runs: how often which edge is missing or false, with strace and without."""
    count, runs = {}, {"s": 0, "": 0}
    for run in result["runs"]:
        kind = run["tag"] if run["tag"] == "s" else ""
        runs[kind] += 1
        for row in run["outputs"]:
            for key, label in KINDS:
                for what in row[key] if key not in ("job", "notes") else ():
                    each = label, row["output"], what
                    count.setdefault(each, {"s": 0, "": 0})[kind] += 1
    lines = [f"{result['job']}: {problem}" for problem in result["problems"]]
    for (label, output, what), times in sorted(count.items()):
        lines.append(f"{result['job']}, {output}: {label} {what}: {times['']} of {runs['']} without strace, "
                     f"{times['s']} of {runs['s']} with it")
    return lines


def report(results, arguments):
    """Prints the table and what differs. Whether all is well, as an exit status."""
    precision_only = bool(arguments.repeat)
    print(f"{'job':26} {'outputs':>7} {'expected':>8} {'found':>6} {'missing':>7} {'false':>6} {'held':>5} {'how':>4} {'job':>4}")
    total, bad = {}, []
    for result in results:
        if "left_out" in result:
            print(f"{result['job']:26} left out: no {', '.join(result['left_out'])}")
            continue
        count = judgement(result)
        for key, value in count.items():
            total[key] = total.get(key, 0) + value
        mark = ""
        if failed(result, precision_only):
            bad.append(result)
            mark = "  FAILED"
        print(f"{result['job']:26} {count['outputs']:7} {count['expected']:8} {count['found']:6} {count['missing']:7} "
              f"{count['false']:6} {count['held']:5} {count['how']:4} {count['job']:4}{mark}")
    if total:
        right = total["found"] - total["false"] - total["held"]
        print(f"{'all':26} {total['outputs']:7} {total['expected']:8} {total['found']:6} {total['missing']:7} "
              f"{total['false']:6} {total['held']:5} {total['how']:4} {total['job']:4}")
        print(f"recall {1 - total['missing'] / total['expected'] if total['expected'] else 1:.3f}, "
              f"precision {right / total['found'] if total['found'] else 1:.3f}")
    for result in results:
        for line in rates(result) if precision_only else details(result, False, arguments.all):
            print(line)
    if bad:
        print(f"FAILED: {len(bad)} of {len([r for r in results if 'left_out' not in r])} jobs: "
              + ", ".join(result["job"] for result in bad))
    return 1 if bad else 0
