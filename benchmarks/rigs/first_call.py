"""How long a new program needs to its first answer: ``python -m benchmarks.rigs.first_call FRONT``."""

import sys
import time

began = time.perf_counter()
from benchmarks.rigs.contract import ECHO, Blob  # noqa: E402
from clients import Client  # noqa: E402

with Client(sys.argv[1]) as client:
    client.call(ECHO, Blob(b"first"))
    print(time.perf_counter() - began, time.process_time())
