"""When log and page images are uploaded, and when an upload that cannot go on is given up."""

UPLOAD_EVERY_S = 2.0
"""Between two pieces of log of a cluster: a request each, so 43,200 a day at most."""
FIRST_AFTER_S = 4.0
"""How old a cluster is before its first image is uploaded: most that go soon never need one."""
COLLECT_EVERY_S = 600.0
IMAGE_LOG_MIN_BYTES = 64 << 20
PENDING_MIN_BYTES = 1 << 30
RETRY_FIRST_S, RETRY_MOST_S = 1.0, 30.0
FRESH_SHARE = 0.5


def image_is_due(log_bytes: int, image_bytes: int) -> bool:
    """Whether a newer page image is worth its upload.

    log_bytes: between the last one that was uploaded and the newest one there is.
    image_bytes: the size of the database. A restore replays so much log at most.
    """
    return log_bytes >= max(IMAGE_LOG_MIN_BYTES, image_bytes // 2)


def is_uploaded_whole(live_bytes: int, packed_bytes: int) -> bool:
    """Whether an image is uploaded as a whole, and shares nothing with the one before.

    live_bytes: of the packs that it would share, what it uses; packed_bytes: what they hold. So
    the packs of an image are never more than twice its size.
    """
    return live_bytes < packed_bytes * FRESH_SHARE


def is_given_up(pending_bytes: int, image_bytes: int) -> bool:
    """Whether log that waits for the bucket is let go, so that a volume stays bounded.

    Restores then are possible up to there, and again from the next image on.
    """
    return pending_bytes > max(PENDING_MIN_BYTES, 2 * image_bytes)


def retry_after_s(failures: int) -> float:
    """How long to wait after so many failures in a row."""
    return min(RETRY_MOST_S, RETRY_FIRST_S * 2.0 ** max(0, failures - 1))
