"""How long it takes to generate a client."""

import json
import sys
from collections.abc import Iterator

from . import packages, peers
from .catalog import openapi
from .figures import Figure, ratio
from .measure import FOLDER, Pairs, pairs, put_away, python, run


def figures() -> Iterator[Figure]:
    """Generate catalogs of 1,000 and 5,000 models: from nothing, with nothing changed, with one model changed."""
    schemas = packages.schemas(1000)
    packages.schemas(5000)
    document = FOLDER / "openapi.json"
    document.write_text(json.dumps(openapi(1000)))

    def theirs() -> float:
        out = FOLDER / "peers-output"
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
    maxima = iter(range(10_000, 20_000))

    def one_changed() -> float:
        limited = next(part for part in entry["input_schema"]["properties"].values() if "maximum" in part)
        limited["maximum"] = next(maxima)
        edited.write_text(json.dumps(entry, indent=2))
        return packages.generate(1000).seconds

    yield ratio("one of 1,000 models changed", _PASS, 30.0, pairs(one_changed, nothing, 11))


_PASS = f"`python{sys.version_info.major} -c pass`"
