import pytest

from cxr_edge.serving.admission import Admission
from cxr_edge.serving.refusals import Refusal


def test_only_so_many_requests_are_under_way() -> None:
    admission = Admission(requests=2, n_bytes=10)
    with admission.request(), admission.request():
        with pytest.raises(Refusal) as refusal, admission.request():
            pass
        assert refusal.value.status == 503
        assert int(refusal.value.headers["Retry-After"]) >= 1
    with admission.request():
        pass


def test_bytes_are_shared_and_come_back() -> None:
    admission = Admission(requests=9, n_bytes=10)
    with admission.request() as one, admission.request() as other:
        one.hold(4)
        one.hold(6)  # in all
        one.hold(5)  # less is no news
        other.hold(4)
        with pytest.raises(Refusal, match="try again"):
            other.hold(5)
    with admission.request() as room:
        room.hold(10)


def test_room_comes_back_after_an_error() -> None:
    admission = Admission(requests=1, n_bytes=10)
    with pytest.raises(ZeroDivisionError), admission.request() as room:
        room.hold(10)
        raise ZeroDivisionError
    with admission.request() as room:
        room.hold(10)
