from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ancestral.core import DataError
from ancestral.data import DATASETS, Download, download, get_dataset, load_dataset

BODY = b"rownames,time,value\n1,1871,1120\n2,1872,1160\n"
SHA256 = hashlib.sha256(BODY).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/absent":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[:20] if self.path == "/cut" else BODY)

    def log_message(self, format, *args):
        pass


@pytest.fixture
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def _table(url, sha256=SHA256):
    return {"nile": (Download(url, sha256, "timeseries/nile.csv"),), "private": ()}


def test_a_download_is_checked_and_put_where_loading_finds_it(address, tmp_path, monkeypatch):
    (path,) = download("nile", _table(f"{address}/whole"), tmp_path)
    assert path.read_bytes() == BODY
    monkeypatch.delenv("ANCESTRAL_DATA", raising=False)
    monkeypatch.setenv("ANCESTRAL_CACHE", str(tmp_path))
    assert load_dataset("nile").spec.shape == (2, 1)
    # a second time nothing is fetched: the address would answer 404
    assert download("nile", _table(f"{address}/absent"), tmp_path) == [path]


@pytest.mark.parametrize(
    ("page", "sha256", "message"),
    [
        ("whole", "0" * 64, r"expected sha256 000000000000\.\.\. of http"),
        ("cut", SHA256, rf"expected {len(BODY)} bytes from http.*, got 20"),
        ("absent", SHA256, "got: 404 Not Found"),
    ],
)
def test_a_bad_download_leaves_nothing(address, tmp_path, page, sha256, message):
    with pytest.raises(DataError, match=message):
        download("nile", _table(f"{address}/{page}", sha256), tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_no_server(tmp_path):
    with pytest.raises(DataError, match=r"expected an answer from http://127\.0\.0\.1:9/"):
        download("nile", _table("http://127.0.0.1:9/x"), tmp_path)


def test_nothing_is_overwritten(address, tmp_path):
    (tmp_path / "timeseries").mkdir()
    (tmp_path / "timeseries" / "nile.csv").write_text("mine")
    with pytest.raises(DataError, match="got other content"):
        download("nile", _table(f"{address}/whole"), tmp_path)
    assert (tmp_path / "timeseries" / "nile.csv").read_text() == "mine"


def test_sets_without_a_source_are_named(tmp_path):
    with pytest.raises(DataError, match="expected a data set with a public source, got 'priv"):
        download("private", _table("http://127.0.0.1:9/x"), tmp_path)
    with pytest.raises(DataError, match="got 'freyfaces'"):
        get_dataset("freyfaces", tmp_path)
    with pytest.raises(DataError, match="unknown data set 'mnst'"):
        get_dataset("mnst", tmp_path)


def test_addresses_are_pinned_and_sums_are_sums():
    files = [file for row in DATASETS.values() for file in row.downloads]
    assert files
    assert all(f.url.startswith("https://") and len(bytes.fromhex(f.sha256)) == 32 for f in files)


@pytest.mark.data
def test_the_sums_are_those_of_the_files_at_hand(data_dir):
    rebuilt = "images/mnist/train-images-idx3-ubyte.gz"  # same content, compressed anew
    for row in DATASETS.values():
        for file in row.downloads:
            if file.path != rebuilt:
                content = (data_dir / file.path).read_bytes()
                assert hashlib.sha256(content).hexdigest() == file.sha256, file.path
