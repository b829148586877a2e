import errno

import pytest

from genolm.atomic import remove_leftovers, replace_when_done, temporary_name, write_text


def test_a_finished_block_replaces_the_file(tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("old")
    write_text(target, "new")
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "out.vcf.gz"
    target.write_text("old")

    def write_half() -> None:
        with replace_when_done(target) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_said_of_the_file(tmp_path):
    def fill_the_disk(target):
        with replace_when_done(target):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*out\.vcf'"):
        fill_the_disk(tmp_path / "out.vcf")


def test_the_temporary_name_keeps_the_suffixes_that_writers_look_at(tmp_path):
    with replace_when_done(tmp_path / "out.vcf.gz") as partial:
        assert partial.name.endswith(".vcf.gz")
        partial.write_text("x")


def test_only_leftovers_of_the_very_file_are_removed(tmp_path):
    target = tmp_path / "o.vcf"
    own = [temporary_name(target), temporary_name(tmp_path / "o.vcf.tbi")]
    others = [temporary_name(tmp_path / name) for name in ("o.vcf.gz", "xo.vcf", "o.vcf.tbi.tbi")]
    others += [target, tmp_path / ".o.vcf.genolm-journal", tmp_path / ".partial.o.vcf"]
    for path in own + others:
        path.touch()
    remove_leftovers(target, (".tbi", ".csi"))
    assert sorted(tmp_path.iterdir()) == sorted(others)
