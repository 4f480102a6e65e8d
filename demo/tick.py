"""`python -m demo.tick [--share S]`: changes the generated source tables of the running local workspace."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request

from databricks_client.endpoint import Endpoint, EndpointError, data_folder
from databricks_client.terminal import emit


def main(argv: list[str] | None = None) -> int:
    """Adds and updates source rows, as between two scheduled runs. Exit status 0 done, 1 refused, 2 no workspace."""
    parser = argparse.ArgumentParser(prog="python -m demo.tick", description=__doc__)
    parser.add_argument("--share", type=float, default=0.01, help="share of the entries to add, above 0 and at most 1")
    options = parser.parse_args(argv)
    try:
        endpoint = Endpoint.local(data_folder())
    except EndpointError as e:
        emit(f"tick: {e}", error=True)
        return 2
    request = urllib.request.Request(
        f"{endpoint.host}/emulator/tick",
        json.dumps({"share": options.share}).encode(),
        {"Authorization": f"Bearer {endpoint.token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as e:
        emit(f"tick: {json.load(e).get('message', e)}", error=True)
        return 1
    except OSError as e:
        emit(f"tick: the local workspace does not answer ({e}): start it with `make run`", error=True)
        return 1
    changed = ", ".join(f"{rows:,} of {table}" for table, rows in found["changed"].items() if rows)
    emit(f"tick {found['number']}: {found['entries']:,} entries, {found['folders']:,} folders added; changed {changed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
