#!/usr/bin/env python3
"""Draws what `fermata-bench sweep --json` has measured.

    build/release/tests/bench/fermata-bench sweep --json > sweep.jsonl
    python3 tests/bench/draw_sweep.py sweep.jsonl tests/bench/sweep.svg

Needs Debian's python3-matplotlib.
"""

import json
import re
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402


def read(path):
    """Measurements by group ("in flight", "transactions") and quantity, in the order of counts."""
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            name = re.fullmatch(r"(?:(\d+) in flight|transactions of (\d+)): (.*)", line["line"])
            if name is None:
                sys.exit(f"{path}: not a line of the subject sweep: {line['line']!r}")
            group = "in flight" if name[1] else "transactions"
            count = int(name[1] or name[2])
            found.setdefault((group, name[3]), []).append((count, line))
    return found


def curve(axes, measured, label, marker, scale=1.0, of="value"):
    """One line of medians; where they vary, the range from least to most."""
    counts = [count for count, _ in measured]
    axes.plot(counts, [line[of] * scale for _, line in measured], marker=marker, label=label)
    if of == "value":
        axes.fill_between(
            counts,
            [line["min"] * scale for _, line in measured],
            [line["max"] * scale for _, line in measured],
            alpha=0.15,
        )


def draw(found, path):
    plt.rcParams.update({"svg.hashsalt": "fermata", "svg.fonttype": "none", "font.size": 9})
    figure, ((rate, latency), (store_rate, store_time)) = plt.subplots(2, 2, figsize=(9, 6.4))

    curve(rate, found["in flight", "throughput"], "Fermata", "o")
    curve(rate, found["in flight", "throughput"], "plain LMDB, same bytes and batches", "s", of="limit")
    rate.set(title="Durable resumes a second", xlabel="sessions in flight", ylim=(0, None))

    curve(latency, found["in flight", "median latency"], "median", "o", 1e-3)
    curve(latency, found["in flight", "p99 latency"], "99th percentile", "^", 1e-3)
    latency.set(title="From result to receipt, milliseconds", xlabel="sessions in flight", yscale="log")

    curve(store_rate, found["transactions", "throughput"], "Fermata's store", "o")
    curve(store_rate, found["transactions", "throughput"], "plain LMDB, same bytes", "s", of="limit")
    store_rate.set(title="The store alone, commits a second", xlabel="commits in a transaction", ylim=(0, None))

    curve(store_time, found["transactions", "latency"], "a transaction", "o", 1e-3)
    store_time.set(title="The store alone, milliseconds", xlabel="commits in a transaction", yscale="log")

    for axes in (rate, latency, store_rate, store_time):
        axes.set_xscale("log")
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    draw(read(sys.argv[1]), sys.argv[2])
