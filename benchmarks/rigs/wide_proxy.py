"""A proxy of ours whose queue has room for ten thousand calls: ``python -m benchmarks.rigs.wide_proxy CONFIG``."""

from __future__ import annotations

import sys

from proxies import limits

limits.USUAL = limits.Limits(20_000, 256 << 20, 20_000, 256 << 20)  # before anybody takes it as a default


def main(path: str) -> int:
    from clients.settings import load
    from proxies.proxy import run

    return run(load(path, env={}).config, "bench")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
