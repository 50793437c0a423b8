"""Runs jobs on a mount under strace and without it, and compares the certain edges of their outputs' records with what strace saw.

    python3 Tests/MountedTests/Lineage/main.py [--job NAME]...            every job, twice: with strace and without
    python3 Tests/MountedTests/Lineage/main.py --repeat 50 --load         without strace, many times, on a busy machine: precision only
    python3 Tests/MountedTests/Lineage/main.py --untraced                 every job once, without strace, against its comments
    python3 Tests/MountedTests/Lineage/main.py --model-only               the traces against what the jobs' comments say, no records

The binary is $ARTIFACTFS_BINARY, or --binary. Exit status 1: an edge is missing or false, or a job could not be judged.
"""

import argparse
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import compare
import room
import straced
from job import all_jobs
from stage import Stage, Trouble, prepare


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.environ.get("ARTIFACTFS_BINARY", "artifactfs"))
    parser.add_argument("--job", action="append", help="only this one; may be given again")
    parser.add_argument("--list", action="store_true", help="print the names of the jobs")
    parser.add_argument("--json", metavar="FILE", help="also write all results there")
    parser.add_argument("--ordinary-user", action="store_true", help="as root: mount and run as nobody")
    parser.add_argument("--no-passthrough", action="store_true")
    parser.add_argument("--parallel", type=int, default=2, help="so many jobs at once (2)")
    parser.add_argument("--repeat", type=int, default=0, metavar="N", help="run each job N times without strace")
    parser.add_argument("--load", action="store_true", help="with busy loops beside")
    parser.add_argument("--untraced", action="store_true",
                        help="without strace: against the jobs' comments, of those where all is certain")
    parser.add_argument("--model-only", action="store_true", help="do not look at records")
    parser.add_argument("--record", metavar="DIRECTORY", help="keep the traces there, without what does not matter")
    parser.add_argument("--keep", action="store_true", help="leave the directory with store and traces")
    parser.add_argument("--all", action="store_true", help="print every output, not only what differs")
    return parser.parse_args()


class Load:
    """Busy loops that end by themselves."""

    def __init__(self, count, seconds):
        self.loops = [subprocess.Popen(["nice", "-n", "10", "timeout", str(seconds), "sh", "-c", "while :; do :; done"],
                                       stdin=subprocess.DEVNULL) for _ in range(count)]

    def end(self):
        for loop in self.loops:
            loop.terminate()
            loop.wait()


def run_one(stage, job, tag, prepared, strace):
    """Runs a job once; what went wrong, or nothing."""
    try:
        stage.finish(stage.begin(job, tag, prepared, strace), job, tag)
    except Trouble as trouble:
        return f"{tag}: {trouble}"
    return None


def understand(stage, job, tag):
    """The trace's edges, those that holding alone would give too, and what was not understood."""
    events = straced.parse(stage.lines(job, tag))
    strict = stage.model(events, job, tag)
    upper = stage.model(events, job, tag, holds=True)
    reading = stage.model(events, job, tag, opens=False)
    return strict, upper, reading


def main():
    arguments = parse_arguments()
    if arguments.list:
        print("\n".join(job.name for job in all_jobs()))
        return 0
    binary = shutil.which(arguments.binary)
    if binary is None:
        raise SystemExit(f"no program {arguments.binary}: name the artifactfs to test with --binary or ARTIFACTFS_BINARY")
    arguments.binary = os.path.abspath(binary)
    if arguments.ordinary_user and os.geteuid() == 0:
        return room.run_as_nobody(arguments)
    strace = shutil.which("strace")
    if strace is None and not arguments.untraced:
        raise SystemExit("strace is not here: mount-scripts/setup.sh --tests installs it")
    directory = tempfile.mkdtemp(prefix="artifactfs-lineage-")
    load = None
    try:
        jobs = all_jobs(arguments.job)
        prepared = prepare(directory)
        left_out = {job.name: absent for job in jobs if (absent := job.missing(prepared))}
        if arguments.untraced:
            left_out.update({job.name: ["trace"] for job in jobs if job.varies or job.holds})
        jobs = [job for job in jobs if job.name not in left_out]
        options = ["--no-passthrough"] if arguments.no_passthrough else []
        results = []
        with Stage(arguments.binary, directory, options) as stage:
            troubles = {job.name: [] for job in jobs}

            def run_tags(job, tags):
                for tag, tracer in tags:
                    trouble = run_one(stage, job, tag, prepared, tracer)
                    if trouble:
                        troubles[job.name].append(trouble)
                return job

            tags = [] if arguments.untraced else [("s", strace)]
            if not arguments.model_only and not arguments.repeat:
                tags.append(("p", None))
            with concurrent.futures.ThreadPoolExecutor(arguments.parallel) as pool:
                list(pool.map(lambda job: run_tags(job, tags), jobs))
            if arguments.repeat:
                if arguments.load:
                    load = Load(2 * (os.cpu_count() or 1), 30 + 10 * arguments.repeat)
                tags = [(f"r{number}", None) for number in range(arguments.repeat)]
                with concurrent.futures.ThreadPoolExecutor(max(4, arguments.parallel)) as pool:
                    for tag in tags:
                        list(pool.map(lambda job: run_tags(job, [tag]), jobs))
            if not arguments.model_only:
                stage.settle()
            for job in jobs:
                results.append(compare.judge(stage, job, troubles[job.name], arguments, understand))
            if arguments.record:
                compare.keep_traces(stage, jobs, arguments.record)
        for name, absent in left_out.items():
            results.append({"job": name, "left_out": absent, "problems": [], "runs": []})
        results.sort(key=lambda result: result["job"])
        for result in results:
            result["failed"] = "left_out" not in result and compare.failed(result, bool(arguments.repeat))
            result["details"] = compare.details(result, bool(arguments.repeat))
        if arguments.json:
            with open(arguments.json, "w") as file:
                json.dump(results, file, indent=1)
        return compare.report(results, arguments)
    finally:
        if load:
            load.end()
        if arguments.keep:
            print("kept:", directory, file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Trouble, straced.TraceError) as trouble:
        sys.exit(f"lineage: {trouble}")
