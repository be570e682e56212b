from collections.abc import Iterator

import pytest

from cxr_edge.scoring.backlog import Backlog, batch_size
from cxr_edge.writers.csv_file import name_in_row
from cxr_edge_runtime.errors import CxrEdgeError

AWKWARD = ["/b.png", "/a\nb.png", "/\udcff.png", "/ä.png", "s3://bucket/c.png"]


@pytest.fixture
def backlog() -> Iterator[Backlog]:
    with Backlog.opened() as opened:
        yield opened


def test_films_come_once_in_the_order_they_were_named(backlog: Backlog) -> None:
    assert backlog.add([*AWKWARD, *AWKWARD]) == 10
    assert len(backlog) == 5
    [batch] = backlog.batches(10)
    assert batch.names == AWKWARD


def test_films_with_a_row_are_passed_over_by_the_name_that_the_row_has(backlog: Backlog) -> None:
    backlog.pass_over(map(name_in_row, AWKWARD[:3]))
    backlog.add(AWKWARD)
    assert [name for batch in backlog.batches(1) for name in batch.names] == AWKWARD[3:]


def test_batches_keep_their_borders_when_others_are_done(backlog: Backlog) -> None:
    backlog.add(f"/{number}" for number in range(10))
    first, second, third, last = backlog.batches(3)
    assert [len(batch.names) for batch in (first, second, third, last)] == [3, 3, 3, 1]
    backlog.remove(second)
    backlog.remove(last)
    assert list(backlog.batches(3)) == [first, third]
    assert len(backlog) == 6


def test_batches_are_small_where_films_are_few_and_never_large() -> None:
    assert [batch_size(films, 2) for films in (1, 15, 160, 10_000_000)] == [1, 1, 10, 1000]


def test_full_temporary_folder_is_one_line() -> None:
    with (
        pytest.raises(CxrEdgeError, match=r"database or disk is full\); set SQLITE_TMPDIR"),
        Backlog.opened() as backlog,
    ):
        backlog._database.execute("PRAGMA max_page_count = 10")
        backlog.add(f"/some/folder/film{number}.png" for number in range(10_000))
