"""Random sequences of calls and faults against both clients: what is paid, told and reported stays true."""

import asyncio
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from conftest import Kind
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from runcomfy import (
    APIConnectionError,
    APIStatusError,
    JobCancelledError,
    JobFailedError,
    SubmissionOutcomeUnknown,
    WaitTimeoutError,
)
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Fault, Job, Sandbox
from runcomfy.sandbox._faults import POSSIBLE

REQUEST = edit.Input(prompt="p", image_url="u")
FAULTS = [fault for endpoint in ("submit", "status", "result", "cancel") for fault in POSSIBLE[endpoint]]
NUMBERS = st.integers(0, 9)
AT_ONCE = 3
"""How many faults may be pending, so that no call has to repeat itself for long."""


class Machine(RuleBasedStateMachine):
    """Submits, waits for, cancels and interrupts jobs of a sandbox in which anything may go wrong."""

    sandbox: ClassVar[Sandbox]
    name: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.sandbox.reset()
        self.kind = Kind(self.name)
        self.client = self.kind.client(self.sandbox, timeout=20.0)
        self.jobs: list[Any] = []

    def teardown(self) -> None:
        self.kind.close()

    def pick(self, number: int) -> Any:
        """A job to go on with: not drawn from a bundle, since what was accepted so far may depend on the clock."""
        while not self.jobs:  # faults are finite
            self.submit()
        return self.jobs[number % len(self.jobs)]

    def submits(self) -> int:
        """How many were received; the reads of calls that were given up may still come in."""
        return sum("/models/" in request.path for request in self.sandbox.requests)

    def truth(self, request_id: str) -> Job:
        (job,) = [job for job in self.sandbox.accepted if job.id == request_id]
        return job

    @rule(fault=st.sampled_from(FAULTS))
    def something_is_to_go_wrong(self, fault: Fault) -> None:
        if len(self.sandbox.faults) < AT_ONCE:
            self.sandbox.faults.append(fault)

    @rule()
    def the_next_job_is_to_fail(self) -> None:
        self.sandbox.fail_next("boom")

    @rule()
    def submit(self) -> None:
        accepted, submits = len(self.sandbox.accepted), self.submits()
        try:
            job = self.kind.settle(self.client.submit(REQUEST))
        except SubmissionOutcomeUnknown:
            assert len(self.sandbox.accepted) - accepted <= 1
            return
        except (APIStatusError, APIConnectionError):
            assert len(self.sandbox.accepted) == accepted
            return
        finally:
            assert self.submits() - submits == 1
        assert [made.id for made in self.sandbox.accepted[accepted:]] == [job.id]
        self.jobs.append(job)

    @precondition(lambda self: self.kind.is_async)
    @rule(verb=st.sampled_from(["submit", "run"]), turns=st.integers(0, 200), cancels=st.booleans())
    def cancel_the_task(self, verb: str, turns: int, cancels: bool) -> None:
        async def interrupted() -> Any:
            options = {"cancel_on_interrupt": cancels} if verb == "run" else {}
            task = asyncio.ensure_future(getattr(self.client, verb)(REQUEST, **options))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            try:
                return await task
            except (asyncio.CancelledError, Exception) as error:
                return error

        accepted, submits = len(self.sandbox.accepted), self.submits()
        outcome = self.kind.settle(interrupted())

        assert self.submits() - submits <= 1
        made = self.sandbox.accepted[accepted:]
        if made and not isinstance(outcome, edit.Output):
            causes = (outcome, getattr(outcome, "__cause__", None))
            is_unknown = any(isinstance(cause, SubmissionOutcomeUnknown) for cause in causes)
            told = getattr(outcome, "id", None) or getattr(outcome, "request_id", None)
            assert is_unknown or [job.id for job in made] == [told]

    @rule(number=NUMBERS)
    def wait(self, number: int) -> None:
        job = self.pick(number)
        reported = "completed"
        try:
            assert self.kind.settle(job.result(timeout=300)).raw["request_id"] == job.id
        except JobFailedError:
            reported = "failed"
        except JobCancelledError:
            reported = "cancelled"
        assert reported == self.truth(job.id).state

    @rule(number=NUMBERS, stalls=st.booleans())
    def wait_briefly(self, number: int, stalls: bool) -> None:
        """A server that does not answer for an hour does not outlast the deadline."""
        job = self.pick(number)
        if stalls:
            self.sandbox.faults.insert(0, Fault("status", delay=3600))
        reported = "completed"
        try:
            self.kind.settle(job.result(timeout=0.05))
        except WaitTimeoutError:
            return
        except JobFailedError:
            reported = "failed"
        except JobCancelledError:
            reported = "cancelled"
        assert reported == self.truth(job.id).state

    @rule(number=NUMBERS)
    def read_the_status(self, number: int) -> None:
        job = self.pick(number)
        state = self.kind.settle(job.status())
        assert not state.done or self.truth(job.id).state in ("completed", "failed", "cancelled")

    @rule(number=NUMBERS)
    def cancel(self, number: int) -> None:
        """A status that is not the true one would be believed: whether a job is cancelled, nothing else can tell."""
        self.sandbox.faults[:] = [fault for fault in self.sandbox.faults if "status" not in fault.changes]
        job = self.pick(number)
        assert self.kind.settle(job.cancel()) is (self.truth(job.id).state == "cancelled")


@pytest.fixture(scope="module", autouse=True)
def _sandbox_of_the_machines() -> Iterator[None]:
    with Sandbox(queue_reads=2, run_reads=1) as Machine.sandbox:
        yield


class Sync(Machine):
    name = "sync"


class Async(Machine):
    name = "async"


LIMITS = settings(max_examples=settings().max_examples // 2, stateful_step_count=12)
TestSync = Sync.TestCase
TestAsync = Async.TestCase
TestSync.settings = TestAsync.settings = LIMITS
