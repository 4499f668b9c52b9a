"""How long it takes until a model can be used."""

from collections.abc import Iterator
from functools import partial
from statistics import median

from . import packages
from .figures import Figure, ratio, single
from .measure import pairs, python
from .servers import server

_SIZES = (2, 1000, 5000)
_MODEL = "from runcomfy.models.acestep_ai.edition_1.ace_step import audio_inpaint"
_FIELDS = 'audio="https://example.com/in.mp3", tags="rain"'
_FIRST_USE = f"""
from runcomfy import Client
{_MODEL}
client = Client("token")
audio_inpaint.Input({_FIELDS})
"""
_FIRST_JOB = f"""
from runcomfy import Client
{_MODEL}
audio_inpaint.run(Client("token", "URL"), {_FIELDS})
"""
_FIRST_JOB_OF_HTTPX = f"""
import httpx, pydantic
with httpx.Client(base_url="URL/v1") as client:
    request = client.post("/models/acme/model", json=dict({_FIELDS})).json()["request_id"]
    client.get(f"/requests/{{request}}/status").json()
    client.get(f"/requests/{{request}}/result").json()
"""
_MORE = """
from importlib import import_module
from pathlib import Path
from time import perf_counter
import runcomfy
models = Path(runcomfy.__file__).parent / "models"
files = [file for file in sorted(models.rglob("*.py")) if file.name != "__init__.py"][::4]
names = [".".join(("runcomfy.models", *file.relative_to(models).with_suffix("").parts)) for file in files]
import_module(names.pop())
for name in names:
    started = perf_counter()
    import_module(name)
    print(1000 * (perf_counter() - started))
"""


def figures() -> Iterator[Figure]:
    """Import the package, then one model, then one more."""
    environments = {size: packages.package(size) for size in _SIZES}

    def ours(program: str, size: int) -> float:
        return python(program, **environments[size]).seconds

    def theirs(program: str) -> float:
        return python(program).seconds

    for size in _SIZES:
        found = pairs(partial(ours, "import runcomfy", size), lambda: theirs("import httpx"), 21)
        yield ratio(f"`import runcomfy`, {size:,} models", "`import httpx`", 0.25, found)

    found = pairs(lambda: ours(_FIRST_USE, 1000), lambda: theirs("import httpx, pydantic"), 21)
    yield ratio("first use of one model, with a client", "`import httpx, pydantic`", 1.3, found)

    with server() as url:
        job, job_of_httpx = _FIRST_JOB.replace("URL", url), _FIRST_JOB_OF_HTTPX.replace("URL", url)
        found = pairs(lambda: ours(job, 1000), lambda: theirs(job_of_httpx), 21)
    yield ratio("a program that runs one job", "one with httpx and pydantic", 1.3, found)

    each = [float(line) for line in python(_MORE, **environments[1000]).output.split()]
    yield single("import of one more model", "", 3.0, median(each), "ms")
