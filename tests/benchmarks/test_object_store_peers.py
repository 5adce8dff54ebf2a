"""The benchmark beside peers on an object store runs, checks results, and prints ratios."""

import json

import pytest

pytest.importorskip("obstore")


@pytest.mark.slow
@pytest.mark.leaks("Dask keeps its threads")
def test_peers_are_measured_on_one_server(tmp_path, capsys, monkeypatch):
    from benchmarks import object_store_peers
    from benchmarks.object_store_peers import Load, main

    load = Load("small", (128, 128), (64, 64))
    monkeypatch.setattr(object_store_peers, "loads", lambda *, quick: [load])
    main(["--repeat", "1", "--latency", "0", "--json", str(tmp_path / "f.json")])
    found = json.loads((tmp_path / "f.json").read_text())["results"]["small, 0 ms"]
    assert found["zarr-python, 64"]["ratio"] == 1.0
    assert {"asyncexec, threads", "asyncexec, processes"} <= set(found)
    # Each reads every chunk at least once, and writes it.
    assert all(one["requests"]["PUT"] >= 4 for one in found.values())
    assert "| asyncexec, threads | " in capsys.readouterr().out
