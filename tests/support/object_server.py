"""An S3 server of its own on loopback (moto's), and storages in fresh buckets of it."""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections.abc import Iterator

import fsspec
import pytest

from orchestrator.store.objects import GIVE_UP_AFTER_S, ObjectStorage, s3_options

SECRET = "wJalrXUtnFEMI-loopback-only"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "loopback-key",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextlib.contextmanager
def object_server() -> Iterator[str]:
    """Address of a running server; credentials for it are in the environment meanwhile."""
    pytest.importorskip("moto.server", reason="moto[server] is not installed")
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    before = {name: os.environ.get(name) for name in CREDENTIALS}
    os.environ.update(CREDENTIALS)
    try:
        yield f"http://{host}:{port}"
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        server.stop()


def new_bucket(endpoint: str) -> str:
    """Name of a new, empty bucket."""
    name = f"b{uuid.uuid4().hex[:12]}"
    fsspec.filesystem("s3", **s3_options(endpoint)).mkdir(name)
    return name


def bucket_storage(endpoint: str, bucket: str, give_up_after_s: float = GIVE_UP_AFTER_S) -> ObjectStorage:
    """A storage below `studies` of a bucket, reached through `endpoint`."""
    files = fsspec.filesystem("s3", **s3_options(endpoint))
    return ObjectStorage(files, f"{bucket}/studies", give_up_after_s)
