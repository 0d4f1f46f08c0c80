"""Converts archived logs on the machines of an Apache Spark cluster: one katalog for each archive.

    spark-submit --master spark://HOST:7077 spark.py --output DIR ARCHIVE... -- --threads 1
    python3 spark.py --output DIR ARCHIVE...        # local mode, with pyspark from pip

An archive is what katalog takes as an input: a log file, compressed or not, a journal file, a directory of journals. Each
becomes a file in DIR. It is written under a temporary name and renamed when katalog has ended with 0, so what has its
name is whole: a run that was stopped is started again and does the rest. What katalog could not read to its end is kept
as NAME.failed, and tried again by the next run. DIR, the archives and katalog are at the same paths on all machines, and
only one run at a time writes to DIR.

Prints a JSON object a line for each archive; ends with 1 if one failed.
"""

import argparse
import json
import os
import subprocess
import sys
import uuid


def output_name(archive):
    """The archive's path as the name of a file: /logs/node-1/kata.log.gz becomes logs_node-1_kata.log.gz.ndjson."""
    return archive.strip("/").replace("/", "_") + ".ndjson"


def convert(archive, output, katalog, options):
    """Lets katalog convert an archive, and tells how it went."""
    final = os.path.join(output, output_name(archive))
    if os.path.exists(final):
        return {"archive": archive, "state": "present", "output": final}
    part = os.path.join(output, f".{uuid.uuid4().hex}.part")
    command = [katalog, "print", *options, "--progress=never", "--stats=json", "--output", part, "--", archive]
    # Nobody is there to type anything.
    process = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    messages = process.stderr.splitlines()
    counters = [line for line in messages if line.startswith("{")]
    result = {
        "archive": archive,
        "state": "failed" if process.returncode else "converted",
        "output": final + ".failed" if process.returncode else final,
        "exit": process.returncode,
        "messages": [line for line in messages if not line.startswith("{")],
        "counters": json.loads(counters[-1]) if counters else {},
    }
    if os.path.exists(part):
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, result["output"])
    if result["state"] == "converted" and os.path.exists(final + ".failed"):
        os.remove(final + ".failed")
    return result


def main():
    parser = argparse.ArgumentParser(description="Converts archived logs with Apache Spark and katalog.")
    parser.add_argument("--output", required=True, metavar="DIR", help="the directory of the converted files")
    parser.add_argument("--katalog", default="katalog", metavar="PROGRAM", help="katalog on the machines")
    parser.add_argument("archives", nargs="+", metavar="ARCHIVE")
    ours, options = sys.argv[1:], []
    if "--" in ours:
        options = ours[ours.index("--") + 1 :]
        ours = ours[: ours.index("--")]
    arguments = parser.parse_args(ours)

    names = [output_name(archive) for archive in arguments.archives]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        parser.error(f"several archives would be written to {', '.join(sorted(twice))}")
    os.makedirs(arguments.output, exist_ok=True)
    for name in os.listdir(arguments.output):
        if name.startswith(".") and name.endswith(".part"):
            os.remove(os.path.join(arguments.output, name))

    from pyspark.sql import SparkSession

    spark = SparkSession.builder.appName("katalog").getOrCreate()
    output, katalog = os.path.abspath(arguments.output), arguments.katalog
    # A partition for each archive: a large one keeps no others waiting.
    archives = spark.sparkContext.parallelize(arguments.archives, len(arguments.archives))
    results = archives.mapPartitions(lambda part: [convert(archive, output, katalog, options) for archive in part])
    failed = False
    for result in results.collect():
        failed |= result["state"] == "failed"
        print(json.dumps(result))
    spark.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
