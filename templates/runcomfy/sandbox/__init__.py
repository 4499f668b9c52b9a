"""A local server of the Model API, driven by schema files: to try things offline, and to test without paying.

::

    from runcomfy import Client
    from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
    from runcomfy.sandbox import Sandbox

    with Sandbox() as sandbox, Client(base_url=sandbox.base_url, token=sandbox.token) as client:
        edit.run(client, prompt="Make it rain", image_url="https://example.com/in.webp")

It needs the extra ``runcomfy[sandbox]``. ``python -m runcomfy.sandbox`` serves until it is stopped, and
``pytest_plugins = ["runcomfy.sandbox.pytest"]`` gives the tests of a project the fixture ``runcomfy_sandbox``.

The sandbox reads schema files and never the generated classes, so that it is a witness of its own: it checks bodies
with jsonschema and fills the schema's defaults, as the real server does.
"""

from importlib.util import find_spec

_MISSING = [name for name in ("av", "jsonschema", "PIL", "starlette", "uvicorn") if find_spec(name) is None]
if _MISSING:
    raise ImportError(f"the sandbox needs {', '.join(_MISSING)}; type: pip install 'runcomfy[sandbox]'")

from ._faults import Drop, Endpoint, Fault, Faults  # noqa: E402  # the check above speaks first
from ._jobs import Job  # noqa: E402  # the check above speaks first
from ._server import ReceivedRequest, Sandbox  # noqa: E402  # the check above speaks first
from ._variant import Variant  # noqa: E402  # the check above speaks first

__all__ = ["Drop", "Endpoint", "Fault", "Faults", "Job", "ReceivedRequest", "Sandbox", "Variant"]
