"""What a map yields and tells."""

from dataclasses import dataclass, field
from typing import Generic

from ._errors import JobCancelledError, JobFailedError, RunComfyError
from ._inputs import Input, OutT_co
from ._numbers import dollars
from ._status import Status


@dataclass(frozen=True, slots=True)
class MapUpdate:
    """A new status of one job of a map."""

    index: int
    """The position of its input, from 0."""
    request_id: str
    model_id: str
    status: Status


@dataclass(frozen=True)
class MapResult(Generic[OutT_co]):
    """What became of one input of a map. It can be pickled."""

    index: int
    """The position of the input, from 0."""
    input: Input[OutT_co]
    request_id: str | None
    """The job's id, or None where no job was accepted, or none is known of."""
    error: RunComfyError | None
    """Why there is no output, or None where there is one."""
    _output: OutT_co | None = field(default=None, repr=False)

    @property
    def output(self) -> OutT_co:
        """The output of the job.

        Raises:
            RunComfyError: the `error`, where there is one.
        """
        if self.error is not None:
            raise self.error
        assert self._output is not None, "without an error there is an output"
        return self._output

    @property
    def cost_usd(self) -> float | None:
        """What the job cost in US dollars, as its result tells; None where it does not."""
        told = self.error if isinstance(self.error, JobFailedError | JobCancelledError) else self._output
        return None if told is None else dollars(told.raw.get("cost"))
