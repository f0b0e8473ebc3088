"""Does a large ingest stay bounded, survive a kill, and let people search all along?

    python benchmarks/scale.py --data DIR [--passages 215631] [--batch 2000] [--kill-at 0.5] [--model NAME]

DIR holds ``techdocs/corpus.jsonl.gz``. A mesh with the toy models is started over an empty home. One caller adds the
passages, each a document, and follows the jobs; another searches twice a second. The worker of the Index service is
killed with SIGKILL when so large a part is ready, and started again by the launcher. Each ten seconds a line tells
what is ready, how many documents are embedded and not yet to be found, how much memory that worker holds, and how much
processor time it takes for a document. At the end the stores are compared with the records.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from clients import Ragq  # noqa: E402
from clients.errors import RagqError  # noqa: E402
from clients.index import Chunking, Text  # noqa: E402

NAME = "techdocs"
SAMPLE_S = 10.0
PAUSE_S = 0.5
FSCK_S = 600.0
START_S = 120.0
WORDS = ("kernel module memory", "create index concurrently", "asyncio event loop", "a kind of tree", "signal handler")


def passages(path: Path, count: int) -> list[Text]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for _, line in zip(range(count), file, strict=False)]
    return [Text(line["_id"], f"{line['title']}\n{line['text']}") for line in lines]


def started(home: Path, offset: int, model: str) -> tuple[subprocess.Popen[bytes], Path]:
    """The launcher, and the configuration that callers need."""
    config = home / "ragq.yml"
    (home / "data").mkdir()
    if model:
        (home / "data" / "models").symlink_to(Path(os.environ["RAGQ_HOME"]).resolve() / "models")
    toy = "{name: toy, backend: toy}"
    embed = f"{{name: {model}}}" if model else toy
    config.write_text(
        f"data_dir: {home / 'data'}\nport_offset: {offset}\nllm:\n  embed: {embed}\n  rerank: {toy}\n"
        f"  generate: {{name: none}}\nindex:\n  sample: false\nui:\n  enabled: false\n",
        encoding="utf-8",
    )
    command = [sys.executable, str(ROOT / "service.py"), "--config", str(config), "up"]
    environment = {key: value for key, value in os.environ.items() if key != "RAGQ_HOME"}
    with (home / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=environment), config


def index_worker() -> int:
    """The process of the worker among our own descendants; 0 when there is none."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                parents[int(entry.name)] = (int((entry / "stat").read_text().rpartition(")")[2].split()[1]), words)
            except OSError:
                continue
    for pid, (parent, words) in parents.items():
        above = parent
        while above in parents and above != os.getpid():
            above = parents[above][0]
        if above == os.getpid() and b"worker" in words and b"index" in words:
            return pid
    return 0


def megabytes(pid: int) -> float:
    """Resident memory without pages of files; 0 for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far; 0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Searches:
    """A caller who asks all along."""

    def __init__(self, mesh: Ragq) -> None:
        self._mesh = mesh
        self._is_over = threading.Event()
        self.seconds: list[float] = []
        self.failures: list[str] = []
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        number = 0
        while not self._is_over.wait(PAUSE_S):
            began = time.perf_counter()
            try:
                self._mesh.index.find(NAME, WORDS[number % len(WORDS)], 10, rerank=False)
            except RagqError as error:
                self.failures.append(f"{type(error).__name__}: {error.message}")
            self.seconds.append(time.perf_counter() - began)
            number += 1

    def stop(self) -> None:
        self._is_over.set()
        self.thread.join()


def made(mesh: Ragq) -> None:
    """Make the collection as soon as the mesh is there."""
    end = time.monotonic() + START_S
    while True:
        try:
            mesh.index.create_collection(NAME, exist_ok=True)
        except RagqError:
            if time.monotonic() > end:
                raise
            time.sleep(1)
        else:
            return


class Sample:
    """What the worker had done when it was looked at: documents, seconds of its processor time."""

    def __init__(self, ready: int, pid: int) -> None:
        self.ready, self.pid, self.cpu_s = ready, pid, cpu_seconds(pid)

    def ms_per_document(self, before: Sample) -> str:
        """Processor time for each document since then; of another process nothing is known."""
        if self.pid != before.pid or self.ready <= before.ready:
            return ""
        return f"{1000 * (self.cpu_s - before.cpu_s) / (self.ready - before.ready):.2f}"


def run(mesh: Ragq, texts: list[Text], batch: int, kill_at: float) -> Iterator[str]:
    """Lines of a Markdown report."""
    made(mesh)
    searches, began, sampled_at, has_killed = Searches(mesh), time.monotonic(), 0.0, kill_at <= 0
    searches.thread.start()
    yield "| seconds | ready | embedded or being embedded | worker MB | worker ms a document | longest search, s |"
    yield "|---|---|---|---|---|---|"
    sent, last, num_told = 0, Sample(0, 0), 0
    while True:
        now_s = time.monotonic() - began
        try:
            found = next(c for c in mesh.index.collections() if c.name == NAME)
            if sent < len(texts) and sent - found.num_documents < batch:
                mesh.index.add(NAME, texts=texts[sent : sent + batch], chunking=Chunking(4000, 0))
                sent += batch
            ready = mesh.index.documents(NAME, limit=1, status="ready").total
            under_way = mesh.index.documents(NAME, limit=1, status="embedding").total
        except RagqError as error:
            yield f"| {now_s:.0f} | {type(error).__name__} | | | | |"
            time.sleep(1)
            continue
        if not has_killed and ready > kill_at * len(texts):
            os.kill(index_worker(), signal.SIGKILL)
            has_killed = True
            yield f"| {now_s:.0f} | killed at {ready} | | | | |"
        if now_s - sampled_at > SAMPLE_S or ready >= len(texts):
            sampled_at, pid = now_s, index_worker()
            sample, longest = Sample(ready, pid), max(searches.seconds[num_told:], default=0.0)
            num_told = len(searches.seconds)
            yield (
                f"| {now_s:.0f} | {ready} | {under_way} | {megabytes(pid):.0f} | {sample.ms_per_document(last)} "
                f"| {longest:.2f} |"
            )
            last = sample
        if ready >= len(texts):
            break
        time.sleep(1)
    searches.stop()
    yield from ended(mesh, searches)


def ended(mesh: Ragq, searches: Searches) -> Iterator[str]:
    """How the searches went, and whether the stores hold what the records say."""
    p50, p95, worst = np.percentile(searches.seconds, [50, 95, 100])
    yield ""
    yield f"{len(searches.seconds)} searches: p50 {p50:.3f} s, p95 {p95:.3f} s, longest {worst:.2f} s; "
    yield f"{len(searches.failures)} failed {searches.failures[:3]}"
    began = time.monotonic()
    findings = mesh.index.check(timeout_s=FSCK_S).findings
    yield f"fsck: {findings or 'clean'}, {time.monotonic() - began:.1f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--passages", type=int, default=215_631)
    parser.add_argument("--batch", type=int, default=2000)
    parser.add_argument("--kill-at", type=float, default=0.5, help="share that is ready then; 0 never kills")
    parser.add_argument("--model", default="", help="one of $RAGQ_HOME that embeds; empty means the toy")
    parser.add_argument("--port-offset", type=int, default=5200)
    given = parser.parse_args()
    corpus = given.data / "techdocs" / "corpus.jsonl.gz"
    if not corpus.is_file():
        print(f"skipped: no {corpus}")
        return 0
    with tempfile.TemporaryDirectory() as home:
        launcher, config = started(Path(home), given.port_offset, given.model)
        try:
            with Ragq(str(config), timeout_s=60.0) as mesh:
                for line in run(mesh, passages(corpus, given.passages), given.batch, given.kill_at):
                    print(line, flush=True)
        finally:
            launcher.send_signal(signal.SIGTERM)
            launcher.wait(60)
            print((Path(home) / "log").read_text(encoding="utf-8", errors="replace")[-2000:], file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
