import pytest

from cxr_edge.serving.admission import Admission
from cxr_edge.serving.problems import ProblemResponse


def test_only_so_many_requests_are_under_way() -> None:
    admission = Admission(requests=2, n_bytes=10)
    rooms = [admission.acquire(), admission.acquire()]
    with pytest.raises(ProblemResponse) as refusal:
        admission.acquire()
    assert refusal.value.status == 503
    assert int(refusal.value.headers["Retry-After"]) >= 1
    rooms[0].release()
    admission.acquire()


def test_bytes_are_shared_and_come_back() -> None:
    admission = Admission(requests=9, n_bytes=10)
    one, other = admission.acquire(), admission.acquire()
    one.reserve(4)
    one.reserve(2)
    other.reserve(4)
    with pytest.raises(ProblemResponse, match="try again"):
        other.reserve(1)
    one.release()
    other.reserve(6)
    other.release()
    admission.acquire().reserve(10)
