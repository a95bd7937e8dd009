"""How fast leaderboards answer: the program over records, and the view over a store of a million measurements.

    python benchmarks/store_speed.py [--records 5000] [--measurements 1000000] [--rounds 5]

Records are of 10 suites, 5 seed blocks and 20 metrics each; the million stands in a store without record files. The
best of the rounds is told, in seconds of wall time and of processor time: the second is what a busy machine does not
inflate.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from genbench import __version__
from genbench.provenance import collect
from genbench.records import (
    Costs,
    ImageFacts,
    MeasurementFacts,
    Record,
    ReferenceFacts,
    RunFacts,
    SuiteFacts,
    write_record,
)
from genbench.store import Store, ddl
from genbench.store.store import FILE, SCHEMA_VERSION

SUITES, BLOCKS, METRICS = 10, 5, 20
START = datetime(2026, 1, 1, tzinfo=UTC)
N = 5000
PROGRAM = "from genbench.cli.main import main; main()"


def write_records(results: Path, count: int) -> None:
    """`count` records of runs whose FD are a few standard errors apart."""
    draw = random.Random(0)
    provenance = collect("cpu")
    for number in range(count):
        suite, block, run = number % SUITES, number // SUITES % BLOCKS, number // (SUITES * BLOCKS)
        level = 10 + run / 10
        record = Record(
            id=f"20260101T000000Z-{number:08x}",
            created=START + timedelta(seconds=number),
            kind="run",
            limited=False,
            block=block,
            suite=SuiteFacts(id=f"suite{suite}", digest=f"{suite:064x}"),
            run=RunFacts(
                name=f"model{run}@preset",
                method="toy",
                variant=f"model{run}",
                preset="preset",
                digest=f"{run:064x}",
                given={},
                settings={},
                weights_sha256=None,
            ),
            images=ImageFacts(source="sampler", digest=f"{number:064x}", n=N, first_seed=block * 1_000_000),
            reference=ReferenceFacts(name="toy", sha256={}, n={}),
            spaces={},
            measurements=tuple(
                MeasurementFacts(
                    metric=f"fd@space{metric}",
                    statistic="fd",
                    space=f"space{metric}",
                    version=1,
                    direction="lower",
                    value=level + draw.gauss(0, 0.1),
                    stderr=0.1,
                    n=N,
                    n_reference=50_000,
                )
                for metric in range(METRICS)
            ),
            costs=Costs(nfe=50, seconds_per_image=0.1, wall_seconds=1.0),
            provenance=provenance,
        )
        write_record(record, results)


def build_store(file: Path, measurements: int) -> None:
    """A store of so many measurements, filled in SQL. Columns that no view reads hold what fits their type."""
    with duckdb.connect(str(file)) as connection:
        connection.execute(ddl.script())
        info = [SCHEMA_VERSION, ddl.schema_digest(), __version__]
        connection.execute("INSERT INTO store_info VALUES (?, ?, ?)", info)
        columns = connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'runs' AND NOT is_nullable"
        ).fetchall()
        known = {
            "record_id": "format('20260101T000000Z-{:08x}', i)",
            "created": "TIMESTAMP '2026-01-01' + to_seconds(i)",
            "limited": "false",
            "block": f"i // {SUITES} % {BLOCKS}",
            "n": f"{N}",
        }
        fillers = {"VARCHAR": "'x'", "VARCHAR[]": "[]", "JSON": "'{}'", "BOOLEAN": "false"}
        values = [f"{known.get(name) or fillers.get(kind, '1')} AS {name}" for name, kind in columns]
        run = f"i // {SUITES * BLOCKS}"
        connection.execute(
            f"""
            INSERT INTO runs BY NAME
            SELECT
                {", ".join(values)},
                format('suite{{}}', i % {SUITES}) AS suite,
                sha256(suite) AS suite_digest,
                format('model{{}}@preset', {run}) AS run,
                sha256(run) AS run_digest
            FROM range({measurements // METRICS}) AS records(i)
            """
        )
        connection.execute(
            f"""
            INSERT INTO measurements BY NAME
            SELECT
                record_id, m AS position, format('fd@space{{}}', m) AS metric, 'fd' AS statistic,
                format('space{{}}', m) AS space, 1 AS version, 'lower' AS direction, 10 + random() AS value,
                0.1 AS stderr, {N} AS n, 50000 AS n_reference
            FROM runs, range({METRICS}) AS metrics(m)
            """
        )
        connection.execute(
            "INSERT INTO costs BY NAME "
            "SELECT record_id, 50 AS nfe, 0.1 AS seconds_per_image, 1 AS wall_seconds FROM runs"
        )


def best(rounds: int, work: Callable[[], object]) -> str:
    """Least wall time and least processor time of the rounds, children's included."""
    walls, processors = [], []
    for _ in range(rounds):
        wall, processor = time.perf_counter(), _processor_seconds()
        work()
        walls.append(time.perf_counter() - wall)
        processors.append(_processor_seconds() - processor)
    return f"{min(walls):.2f} s wall, {min(processors):.2f} s processor"


def _processor_seconds() -> float:
    return sum(os.times()[:4])


def measure_program(folder: Path, records: int, rounds: int) -> None:
    """`genbench leaderboard` as a process of its own."""
    write_records(folder, records)
    started = time.perf_counter()
    Store.open(folder).close()
    print(f"{records:,} records of {METRICS} measurements read into a store: {time.perf_counter() - started:.1f} s")
    for suites in (["suite3"], [f"suite{number}" for number in range(SUITES)]):
        command = [sys.executable, "-c", PROGRAM, "leaderboard", *suites, "--results", str(folder)]

        def call(command: list[str] = command) -> None:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        what = (
            f"genbench leaderboard, {len(suites)} of {SUITES} suites, {records * METRICS:,} measurements in the store"
        )
        print(f"{what}: {best(rounds, call)}")


def measure_view(folder: Path, measurements: int, rounds: int) -> None:
    """Queries on the view."""
    build_store(folder / FILE, measurements)
    queries = {
        "every row of the view, all columns": "SELECT count(*), sum(hash(rows)) FROM leaderboard AS rows",
        "one suite, fetched": "FROM leaderboard WHERE suite = 'suite3' AND is_current",
        "the three best of each suite in one metric": "FROM leaderboard WHERE metric = 'fd@space1' AND rank <= 3",
    }
    with Store.open(folder, read_only=True) as store:
        for name, sql in queries.items():
            rows = len(store.query(sql).rows)
            seconds = best(rounds, lambda sql=sql: store.query(sql))  # type: ignore[misc]
            print(f"view leaderboard, {measurements:,} measurements, {name} ({rows:,} rows): {seconds}")


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=5000)
    parser.add_argument("--measurements", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as program, tempfile.TemporaryDirectory() as view:
        measure_view(Path(view), options.measurements, options.rounds)
        measure_program(Path(program), options.records, options.rounds)


if __name__ == "__main__":
    main()
