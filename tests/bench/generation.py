"""How long it takes to generate a client."""

import json
import sys
from collections.abc import Iterator
from itertools import count

from . import packages, peers
from .catalog import openapi
from .figures import Figure, ratio
from .measure import OUTPUTS, Pairs, pairs, put_away, python, run


def figures() -> Iterator[Figure]:
    """Generate catalogs of 1,000 and 5,000 models: from nothing, with nothing changed, with one model changed."""
    schemas = packages.schemas(1000)
    packages.schemas(5000)
    document = OUTPUTS / "openapi.json"
    document.write_text(json.dumps(openapi(1000)))

    def theirs() -> float:
        out = OUTPUTS / "peers-output"
        put_away(out)
        command = [peers.program_of("openapi-python-client"), "generate", "--path", document, "--output-path", out]
        done = run([*command, "--meta", "none"], PATH=peers.PATH)
        if "WARNING" in done.output:
            raise RuntimeError(f"openapi-python-client left something out:\n{done.output[:3000]}")
        return done.seconds

    yield ratio(
        "generate 1,000 models, nothing cached",
        "openapi-python-client",
        0.5,
        pairs(lambda: packages.generate_anew(1000).seconds, theirs, 5),
    )

    large = [(packages.generate_anew(5000), packages.generate_anew(1000)) for _ in range(2)]
    seconds = Pairs([ours.seconds for ours, _ in large], [theirs.seconds for _, theirs in large])
    memory = Pairs([ours.peak_mib for ours, _ in large], [theirs.peak_mib for _, theirs in large])
    yield ratio("generate 5,000 models", "our 1,000", 5.0, seconds)
    yield ratio("the same, peak memory of the largest process", "our 1,000", 2.0, memory, "MiB")

    def nothing() -> float:
        return python("pass").seconds

    packages.generate(1000)
    yield ratio(
        "nothing changed, 1,000 models", _PASS, 12.0, pairs(lambda: packages.generate(1000).seconds, nothing, 21)
    )

    edited = min(schemas.rglob("*.json"))
    entry = json.loads(edited.read_text())
    properties = entry["input_schema"]["properties"]
    limited = next(part for part in properties.values() if "maximum" in part)
    numbers = count(10_000)

    def limit_changed() -> float:
        limited["maximum"] = next(numbers)
        edited.write_text(json.dumps(entry, indent=2))
        return packages.generate(1000).seconds

    def kind_added() -> float:
        properties["code"] = {"type": "string", "pattern": f"^{next(numbers)}$"}
        edited.write_text(json.dumps(entry, indent=2))
        return packages.generate(1000).seconds

    yield ratio("one of 1,000 models changed: a limit", _PASS, 30.0, pairs(limit_changed, nothing, 15))
    yield ratio("the same: a field of a kind that no model had", _PASS, None, pairs(kind_added, nothing, 5))


_PASS = f"`python{sys.version_info.major} -c pass`"
