import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import fsspec.config
import pytest

from cxr_edge.scoring.backlog import Backlog, Batch
from cxr_edge.scoring.results import ResultsFolder
from cxr_edge.scoring.worker import Job, Worker, packed, unpacked
from cxr_edge.writers.csv_file import ResultRow
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.errors import ImageError

MakeJob = Callable[..., Job]


def a_batch(names: list[str]) -> Batch:
    with Backlog.opened() as backlog:
        backlog.add(names)
        [batch] = backlog.batches(1000)
    return batch


def test_rows_are_those_of_classify(
    make_job: MakeJob, films: list[str], golden_bundle: Path, tmp_path: Path
) -> None:
    broken, absent = tmp_path / "broken.png", tmp_path / "absent.png"
    broken.write_bytes(b"no film")
    names = [*films, str(broken), str(absent), str(tmp_path)]
    report = unpacked(Worker(make_job())(packed(a_batch(names))))
    assert (report.classified, report.rejected, report.failed) == (12, 0, 3)
    assert report.error == f"{broken}: not a JPEG, PNG, TIFF, BMP, WebP or DICOM image"
    bundle = Bundle.load(golden_bundle)
    classifier, expected = Classifier(bundle), []
    for name in names:
        try:
            expected.append(
                ResultRow.of(name, classifier.classify(Path(name), hashed=True), bundle)
            )
        except ImageError as error:
            expected.append(ResultRow.of(name, error, bundle))
    rows = ResultsFolder(str(tmp_path / "results")).read(names, bundle.digest)
    assert rows == expected


def test_log_rows_come_with_the_report_only_when_asked_for(
    make_job: MakeJob, films: list[str], golden_bundle: Path
) -> None:
    batch = a_batch(films)
    assert Worker(make_job()).score(batch).logged == ()
    logged = Worker(make_job(logged=True)).score(batch).logged
    hashes = [hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in films]
    assert [film.image_sha256 for film in logged] == hashes
    assert {film.bundle_sha256 for film in logged} == {Bundle.load(golden_bundle).digest}


def test_what_keeps_a_worker_from_any_work_is_a_report(
    make_job: MakeJob, films: list[str], tmp_path: Path
) -> None:
    batch = a_batch(films)
    unknown = Worker(make_job(engine="onnxruntime")).score(batch)
    assert unknown.stop is not None
    assert "onnxruntime" in unknown.stop
    elsewhere = Worker(make_job(mark=".score-other")).score(batch)
    assert elsewhere.stop is not None
    assert "not the same folder in every process" in elsewhere.stop
    no_package = Worker(make_job()).score(a_batch(["s3://bucket/film.png"]))
    assert no_package.stop == "s3://bucket/film.png: Install s3fs to access S3"
    assert list((tmp_path / "results").iterdir()) == []


def test_worker_of_a_run_that_another_replaced_writes_nothing(
    make_job: MakeJob, films: list[str], tmp_path: Path
) -> None:
    results = ResultsFolder(str(tmp_path / "results"))
    with results.in_use() as mark:
        worker = Worker(make_job(mark=mark))
    report = worker.score(a_batch(films))
    assert report.stop is not None
    assert "a later run of score has taken over this folder" in report.stop
    assert list((tmp_path / "results").glob("*.parquet")) == []


def test_many_films_of_which_none_can_be_fetched_end_the_run_and_get_no_row(
    make_job: MakeJob, films: list[str], tmp_path: Path
) -> None:
    worker = Worker(make_job())
    gone = [str(tmp_path / "gone" / f"{number}.png") for number in range(50)]
    report = worker.score(a_batch(gone))
    assert report.stop is not None
    assert "none of 50 films in a row could be fetched" in report.stop
    assert list((tmp_path / "results").glob("*.parquet")) == []
    assert worker.score(a_batch(gone[:49])).failed == 49
    assert worker.score(a_batch([*gone, films[0]])).classified == 1


def test_output_that_goes_away_stops_the_work(
    make_job: MakeJob, films: list[str], tmp_path: Path
) -> None:
    worker = Worker(make_job())
    shutil.rmtree(tmp_path / "results")
    (tmp_path / "results").write_text("in the way")
    report = worker.score(a_batch(films))
    assert report.films == 0
    assert report.stop is not None
    assert report.stop.startswith(f"{tmp_path / 'results'}: ")


def test_configuration_of_storage_travels_and_is_not_shown(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fsspec.config, "conf", {"s3": {"secret": "hush"}})
    job = make_job()
    monkeypatch.setattr(fsspec.config, "conf", {})
    Worker(job)
    assert fsspec.config.conf == {"s3": {"secret": "hush"}}
    assert "hush" not in repr(job)
