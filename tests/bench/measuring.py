"""What the rows of all front doors need: what is said meanwhile, system calls, the table.

A row is (measurement, figure, what it is called, how it is printed[, what weir is to reach]).
"""
import pathlib
import signal
import statistics
import subprocess
import sys
import time

DIRECT, WEIR = "direct", "weir"
READS = ("read", "readv", "recvfrom", "recvmsg")
WRITES = ("write", "writev", "sendto", "sendmsg")
NOT_TRACED = "TracerPid:\t0\n"


def say(text):
    print(text, file=sys.stderr, flush=True)


def system_calls(pid, trace, work):
    """{name: times} of what the program asked during work(), and what that returned; None where strace may not look.

    trace: a file's path that is free to be written."""
    tracer = subprocess.Popen(["strace", "-c", "-f", "-qq", "-o", trace, "-p", str(pid)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while NOT_TRACED in pathlib.Path(f"/proc/{pid}/status").read_text():
            if tracer.poll() is not None or time.monotonic() > deadline:
                say("system calls are not counted: strace may not look here")
                return None
            time.sleep(0.01)
        result = work()
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
    calls = {}
    for line in trace.read_text().splitlines():
        words = line.split()
        if len(words) >= 5 and words[3].isdigit():
            calls[words[-1]] = int(words[3])
    calls.pop("total", None)
    return calls, result


def table(results, rows, beside):
    """results: {(measurement, target): figures of each round}; beside: the other program's name."""
    names = (DIRECT, beside, WEIR)
    has_targets = any(len(row) > 4 for row in rows)
    heads = [*names, f"{WEIR} / {beside}", f"{WEIR} / {DIRECT}", *(["to reach"] if has_targets else [])]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
    for measure, figure, title, form, *target in rows:
        medians = {}
        for name in names:
            values = [each[figure] for each in results.get((measure, name), []) if figure in each]
            if values:
                medians[name] = statistics.median(values)
        if not medians:
            continue
        cells = [form.format(medians[name]) if name in medians else "–" for name in names]
        cells += [f"{medians[WEIR] / medians[name]:.2f}" if medians.get(name) and WEIR in medians else "–"
                  for name in (beside, DIRECT)]
        if has_targets:
            cells.append(*(target or ["–"]))
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)
