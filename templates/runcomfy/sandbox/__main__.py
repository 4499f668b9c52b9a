"""``python -m runcomfy.sandbox``: serve until stopped."""

import argparse
import signal
from contextlib import ExitStack
from pathlib import Path
from threading import Event

from ._server import Sandbox


def main() -> None:
    parser = argparse.ArgumentParser(
        f"python -m {__package__}", description="Serve the Model API on this machine until Ctrl-C."
    )
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--schemas", type=Path, metavar="DIR", help="default: the schemas of the package")
    parser.add_argument("--queue-seconds", type=float, default=1.0, metavar="S", help="default: 1")
    parser.add_argument("--run-seconds", type=float, default=2.0, metavar="S", help="default: 2")
    parser.add_argument("--token", help="the token to accept; default: a new one")
    options = parser.parse_args()
    try:
        sandbox = Sandbox(
            options.schemas,
            queue_seconds=options.queue_seconds,
            run_seconds=options.run_seconds,
            token=options.token,
            port=options.port,
        ).start()
    except (OSError, OverflowError, ValueError) as error:
        parser.error(str(error))
    with ExitStack() as stack:
        stack.callback(sandbox.stop)
        stopped = Event()
        for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started it in the background
            signal.signal(number, lambda *_: stopped.set())
        print(f"# RunComfy sandbox, models: {len(sandbox.models)}; Ctrl-C stops it")
        print(f"export RUNCOMFY_MODEL_API_BASE={sandbox.base_url}")
        print(f"export RUNCOMFY_TOKEN={sandbox.token}", flush=True)
        stopped.wait()


if __name__ == "__main__":
    main()
