import pytest

from cxr_edge.serving.admission import Admission
from cxr_edge.serving.refusals import Refusal


def test_only_so_many_requests_are_under_way() -> None:
    admission = Admission(requests=2, n_bytes=10)
    rooms = [admission.enter(), admission.enter()]
    with pytest.raises(Refusal) as refusal:
        admission.enter()
    assert refusal.value.status == 503
    assert int(refusal.value.headers["Retry-After"]) >= 1
    rooms[0].leave()
    admission.enter()


def test_bytes_are_shared_and_come_back() -> None:
    admission = Admission(requests=9, n_bytes=10)
    one, other = admission.enter(), admission.enter()
    one.hold(4)
    one.hold(2)
    other.hold(4)
    with pytest.raises(Refusal, match="try again"):
        other.hold(1)
    one.leave()
    other.hold(6)
    other.leave()
    admission.enter().hold(10)
