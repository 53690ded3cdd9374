"""Trains for hours and watches whether the process grows: resident memory, open files, threads, and the run's folder.

    python -m benchmarks.soak --hours 2 --table soak.csv -- --data_root DIR --name soak --epochs 100000 ...

What stands behind -- is for step02_train.py. Writes a row every half minute; Linux only, as it reads /proc.
"""

import argparse
import csv
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tqdm import tqdm

HOUSE = Path(__file__).parents[1]
SECONDS = 30
COLUMNS = ("hours", "resident_mb", "open_files", "threads")
# What is fetched once, at the start, is not growth.
SETTLED = 0.25


def look_at(process: int) -> tuple[float, int, int]:
    """Resident megabytes, open files and threads of a process."""
    folder = Path("/proc") / str(process)
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) / 1024, len(list((folder / "fd").iterdir())), int(status["Threads"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--hours", type=float, default=2.0, help="how long to train (default: 2)")
    parser.add_argument("--table", type=Path, default=Path("soak.csv"), help="where the rows go (default: soak.csv)")
    parser.add_argument("training", nargs="+", help="options of step02_train.py, behind --")
    options = parser.parse_args()
    with open(options.table, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        command = [sys.executable, HOUSE / "step02_train.py", *options.training]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        rows, start = [], time.monotonic()
        for _ in tqdm(range(int(options.hours * 3600 / SECONDS)), unit="row"):
            time.sleep(SECONDS)
            if process.poll() is not None:
                sys.exit(f"the training ended by itself, with status {process.returncode}")
            rows.append(((time.monotonic() - start) / 3600, *look_at(process.pid)))
            writer.writerow(rows[-1])
            file.flush()
        process.send_signal(signal.SIGTERM)
        print(f"status after SIGTERM: {process.wait()}")
    settled = [row for row in rows if row[0] > SETTLED * options.hours]
    hours = [row[0] for row in settled]
    for name, *values in zip(COLUMNS[1:], *[row[1:] for row in settled], strict=True):
        slope = statistics.linear_regression(hours, values).slope
        print(
            f"{name:>12}: {min(values):.1f} to {max(values):.1f}, median {statistics.median(values):.1f}, "
            f"{slope:+.2f} an hour"
        )


if __name__ == "__main__":
    main()
