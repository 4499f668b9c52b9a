"""What polling costs, by the seeded simulation that the tests use, too: these figures are the same in every run."""

from collections.abc import Iterator

from simulation import fixed, learned, log_normal, oracle

from .figures import Figure, single


def figures() -> Iterator[Figure]:
    """Poll 4,000 jobs of images and 1,000 of videos, whose durations are spread as 8 and 90 seconds with sigma 0.5."""
    images, videos = log_normal(8.0, 0.5, 4000), log_normal(90.0, 0.5, 1000)
    ours, half, fal = learned(images), fixed(images, 0.5), fixed(images, 0.1)
    yield single("polling images: requests a job", "every 0.5 s", 0.8, ours.requests, "", half.requests)
    yield single("the same: seconds from its end to the result", "every 0.5 s", 1.0, ours.wait, "s", half.wait)
    yield single("the same: requests a job", "fal's every 0.1 s", 0.3, ours.requests, "", fal.requests)
    for what, durations, median in (("images", images, 8.0), ("videos", videos, 90.0)):
        known = oracle(durations, median).product
        what = f"polling {what}: requests × seconds"
        yield single(what, "with the distribution known", 1.15, learned(durations).product, "", known)
