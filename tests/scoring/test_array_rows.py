import numpy as np
import pytest

from genolm.scoring.array_rows import open_rows


@pytest.mark.parametrize("heights", [[], [0], [1], [3, 0, 5], [70_000, 2]])
def test_rows_come_back_in_order(tmp_path, heights):
    pieces = [np.random.default_rng(i).normal(size=(h, 3)) for i, h in enumerate(heights)]
    with open_rows(tmp_path / "a.npy", 3) as write:
        for piece in pieces:
            write(piece)
        assert not (tmp_path / "a.npy").exists()
    found = np.load(tmp_path / "a.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(
        found, np.concatenate([np.zeros((0, 3)), *pieces]).astype(np.float32)
    )
    assert np.load(tmp_path / "a.npy", mmap_mode="r").shape == found.shape


def fail_after_some_rows(path):
    with open_rows(path, 3) as write:
        write(np.zeros((2, 3)))
        raise RuntimeError


def test_a_failure_leaves_the_old_array(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(2))
    with pytest.raises(RuntimeError):
        fail_after_some_rows(tmp_path / "a.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.ones(2))
