import pytest

from cxr_edge.serving.admission import Admission, Lease
from cxr_edge.serving.app import MOST_BYTES_HELD
from cxr_edge.serving.film_response import LONGEST
from cxr_edge.serving.problems import ProblemResponse
from cxr_edge.serving.uploads import MOST_BYTES


def made(*, uploads: int = 99, requests: int = 99, n_bytes: int = 99) -> Admission:
    return Admission(uploads=uploads, requests=requests, n_bytes=n_bytes)


def arrived(admission: Admission, client: str) -> Lease:
    lease = admission.acquire(client)
    lease.body_arrived()
    return lease


def all_of(admission: Admission, client: str, *, arrive: bool) -> list[Lease]:
    """As many leases as a client gets."""
    leases = []
    while len(leases) < 100:
        try:
            leases.append((arrived if arrive else Admission.acquire)(admission, client))
        except ProblemResponse as refusal:
            assert refusal.status == 503
            assert int(refusal.headers["Retry-After"]) >= 1
            return leases
    raise AssertionError("no end")


@pytest.mark.parametrize("arrive", [False, True], ids=["uploads", "requests"])
def test_no_client_gets_all_places_and_the_next_one_always_gets_some(arrive: bool) -> None:
    admission = made(uploads=40, requests=99) if not arrive else made(requests=40)
    counts = [len(all_of(admission, client, arrive=arrive)) for client in "abcd"]
    assert counts == [20, 10, 5, 3]
    assert not all_of(admission, "a", arrive=arrive)


def test_places_come_back() -> None:
    admission = made(uploads=4, requests=6)
    for _ in range(3):
        leases = all_of(admission, "a", arrive=True)
        assert len(leases) == 3
        for lease in leases:
            lease.release()
    slow = all_of(admission, "a", arrive=False)
    assert len(slow) == 2
    for lease in slow:
        lease.release()
    assert len(all_of(admission, "b", arrive=False)) == 2


def test_uploads_hold_no_place_among_the_requests() -> None:
    admission = made(uploads=99, requests=2)
    slow = [admission.acquire("a") for _ in range(40)]
    quick = arrived(admission, "a")
    with pytest.raises(ProblemResponse, match="as many requests"):
        slow[0].body_arrived()
    slow[0].release()
    quick.release()
    slow[1].body_arrived()


def test_request_is_refused_before_its_body_where_no_worker_will_be_free() -> None:
    admission = made(requests=1)
    lease = arrived(admission, "a")
    with pytest.raises(ProblemResponse):
        admission.acquire("b")
    lease.release()
    arrived(admission, "b")


def test_bytes_are_shared_and_come_back() -> None:
    admission = made(n_bytes=16)
    one, other, third = (admission.acquire(client) for client in "abc")
    one.reserve(3)
    one.reserve(2)
    other.reserve(9)
    with pytest.raises(ProblemResponse, match="try again"):
        third.reserve(3)
    one.release()
    third.reserve(6)
    other.reserve(1)
    other.release()
    admission.acquire("a").reserve(10)


def test_bodies_of_a_client_hold_five_eighths_and_leave_room_for_a_response() -> None:
    admission = made(n_bytes=16)
    one, two = admission.acquire("a"), admission.acquire("a")
    one.reserve(6)
    two.reserve(4)
    with pytest.raises(ProblemResponse):
        two.reserve(1)
    one.change_to_response(8)
    with pytest.raises(ProblemResponse):
        two.change_to_response(5)
    admission.acquire("b").reserve(4)
    one.release()
    two.change_to_response(12)


def test_picture_takes_the_place_of_its_film() -> None:
    admission = made(n_bytes=MOST_BYTES_HELD)
    leases = [admission.acquire(client) for client in "ab"]
    for lease, n_bytes in zip(leases, (MOST_BYTES, MOST_BYTES // 2)):
        lease.reserve(n_bytes)
    for lease in leases:
        lease.change_to_response(LONGEST**2 * 4 // 3)  # in base64
    leases[0].reserve(MOST_BYTES // 2)
    for lease in leases:
        lease.release()
    admission.acquire("a").reserve(MOST_BYTES)
