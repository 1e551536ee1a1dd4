"""An object store that is busy, slow, cut off, closed to us or not there: what is retried, what is told."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest

from orchestrator.store.claims import SettledStorage
from orchestrator.store.errors import InputError, StorageError
from orchestrator.store.objects import READ_TIMEOUT_S, ObjectStorage
from orchestrator.store.open import FIRST_ANSWER_S, ProbedStorage, open_storage
from orchestrator.store.redact import has_secrets, without_secrets
from tests.support.bad_line import DELAY_S, FAULTS, SILENT, bad_line
from tests.support.object_server import SECRET, bucket_storage, new_bucket, object_server
from tests.support.waiting import PatientClock


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_server() as address:
        yield address


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.store.objects.FIRST_PAUSE_S", 0.02)


def first_only(fault: str, methods: str = "PUT GET DELETE", times: int = 1):  # type: ignore[no-untyped-def]
    """A plan: the first `times` requests of these methods fail so."""
    count = itertools.count()
    return lambda method, _path: fault if method in methods.split() and next(count) < times else ""


@pytest.mark.parametrize("fault", FAULTS)
def test_every_call_outlives_a_fault(endpoint: str, fault: str) -> None:
    content = bytes(range(256)) * 400
    bucket = new_bucket(endpoint)
    acts = {
        "replace": lambda storage: storage.replace("a/b", content),
        "create": lambda storage: storage.create("a/c", content),
        "read": lambda storage: storage.read("a/b"),
        "list": lambda storage: storage.list("a"),
        "delete": lambda storage: storage.delete("a/c"),
    }
    expected = {"replace": None, "create": True, "read": content, "list": ["b", "c"], "delete": None}
    for name, act in acts.items():
        with bad_line(endpoint, first_only(fault)) as (line, happened):
            assert act(bucket_storage(line, bucket)) == expected[name], name
        assert happened == [fault], name
    assert bucket_storage(endpoint, bucket).list("a") == ["b"]


def test_a_create_whose_answer_was_lost_is_ones_own_and_another_is_not(endpoint: str) -> None:
    bucket = new_bucket(endpoint)
    with bad_line(endpoint, first_only("cut before the answer", "PUT", times=2)) as (line, happened):
        storage = bucket_storage(line, bucket)
        assert storage.create("lease-1.json", b"the same bytes") is True
        assert storage.create("lease-1.json", b"the same bytes") is False
    assert len(happened) == 2


def test_it_gives_up_within_its_time_and_says_what_was_the_matter(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = new_bucket(endpoint)
    with bad_line(endpoint, lambda *_: "503") as (line, happened):
        storage = bucket_storage(line, bucket, give_up_after_s=2.0)
        with pytest.raises(StorageError):
            storage.read("a")  # the first call makes the client, which on a busy machine may take all of the time
        clock = PatientClock(monkeypatch)
        for act in (
            lambda: storage.read("a"),
            lambda: storage.list("a"),
            lambda: storage.create("a", b"x"),
            lambda: storage.replace("a", b"x"),
            lambda: storage.delete("a"),
        ):
            clock.slept_s = 0.0
            with pytest.raises(StorageError, match=r"s3://.*/studies/a: SlowDown.*\(\d tries\)") as raised:
                act()
            assert 0.0 < clock.slept_s <= 2.0
            assert "run the same command again" in raised.value.advice
    assert len(happened) > 10


def test_a_slow_store_is_waited_for(endpoint: str) -> None:
    with bad_line(endpoint, lambda *_: "delayed") as (line, _):
        started = time.monotonic()
        bucket_storage(line, new_bucket(endpoint)).replace("a", b"x")
        assert time.monotonic() - started >= DELAY_S


def test_a_store_that_takes_a_question_and_does_not_answer_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    """Asked again it would take as long once more, which is beyond the time for a first answer."""
    assert READ_TIMEOUT_S <= FIRST_ANSWER_S < 2 * READ_TIMEOUT_S
    monkeypatch.setattr("orchestrator.store.objects.READ_TIMEOUT_S", 0.6)
    with bad_line(endpoint, lambda *_: SILENT) as (line, happened):
        monkeypatch.setenv("AWS_ENDPOINT_URL", line)
        with pytest.raises(StorageError, match="ReadTimeout") as raised:
            open_storage("s3://bucket/studies", give_up_after_s=0.6).read("a")
    assert happened == [SILENT]
    assert "tries" not in str(raised.value)


def test_a_store_that_is_not_there_is_told_in_time(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    storage = open_storage("s3://bucket/studies", give_up_after_s=1.0)
    clock = PatientClock(monkeypatch)
    for act in (lambda: storage.create("a", b"x"), lambda: storage.read("a")):
        with pytest.raises(StorageError, match=r"s3://bucket/studies.*Could not connect"):
            act()
    assert 0.0 < clock.slept_s <= 2.0


def test_a_bucket_that_is_not_there(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(StorageError, match="NoSuchBucket") as raised:
        open_storage("s3://no-such-bucket/studies").create("a", b"x")
    assert raised.value.advice == "Make the bucket first, or correct its name."
    storage = bucket_storage(endpoint, "no-such-bucket")
    for act in (lambda: storage.read("a"), lambda: storage.list("a"), lambda: storage.delete("a")):
        with pytest.raises(StorageError, match="NoSuchBucket"):
            act()


def test_a_store_is_probed_when_something_is_created_and_once(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    bucket = new_bucket(endpoint)
    storage = open_storage(f"s3://{bucket}/my/studies")
    assert isinstance(storage, ProbedStorage)
    created: list[str] = []
    create = ObjectStorage.create
    monkeypatch.setattr(ObjectStorage, "create", lambda self, path, c: created.append(path) or create(self, path, c))
    assert storage.list("") == []
    storage.replace("a/b", b"x")
    assert storage.read("a/b") == b"x"
    assert created == []
    assert [storage.create(path, b"y") for path in ("a/b", "a/c", "a/c")] == [False, True, False]
    assert len(created) == 3 + 2, "two to probe, of a name that no reader sees"
    assert storage.inner.files.find(bucket) == [f"{bucket}/my/studies/a/b", f"{bucket}/my/studies/a/c"]


def test_a_store_that_overwrites_is_used_in_the_claiming_way(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setattr("orchestrator.store.open.creates_exclusively", lambda _: False)
    storage = open_storage(f"s3://{new_bucket(endpoint)}/studies", settle_s=0.2)
    assert storage.create("lease-1.json", b"x")
    assert not storage.create("lease-1.json", b"y")
    assert storage.list("") == ["lease-1.json"]
    assert isinstance(storage, ProbedStorage)
    assert isinstance(storage._creator, SettledStorage)


def test_what_is_refused_is_not_tried_again(endpoint: str) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(f"Access Denied, signed with {SECRET}")

    storage = bucket_storage(endpoint, new_bucket(endpoint))
    storage.files.pipe_file = denied
    with pytest.raises(StorageError) as raised:
        storage.replace("a", b"x")
    assert SECRET not in str(raised.value)
    assert "tries" not in raised.value.message
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://AKIAX:hunter2hunter2@bucket/studies", "s3://…@bucket/studies"),
        ("s3://bucket/studies?X-Amz-Signature=abcdef123&b=1", "s3://bucket/studies?X-Amz-Signature=…&b=1"),
        ("https://host/x?sig=abc%2Fdef&se=1", "https://host/x?sig=…&se=1"),
        ("gs://b/x?access_token=ya29.abc", "gs://b/x?access_token=…"),
    ],
)
def test_secrets_in_an_address_are_refused_and_never_shown(address: str, shown: str) -> None:
    assert has_secrets(address)
    assert without_secrets(f"cannot open {address} today") == f"cannot open {shown} today"
    with pytest.raises(InputError) as raised:
        open_storage(address)
    for secret in ("hunter2", "abcdef123", "abc%2F", "ya29"):
        assert secret not in str(raised.value)
    assert "AWS_ACCESS_KEY_ID" in raised.value.advice


def test_values_of_secret_variables_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_STORE_PASSWORD", "correct horse")
    monkeypatch.setenv("MY_STORE_TOKEN", "x")
    assert without_secrets("sent correct horse to x") == "sent … to x"
