"""Where a model's files come from, and what is said when they cannot come."""

from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

from genolm.errors import UsageError
from genolm.models import hub


@pytest.fixture
def asked(monkeypatch):
    """Stand in for the hub: record what it is asked, and answer as told."""
    questions = []

    def answer_with(answer):
        def download(name, allow_patterns):
            questions.append((name, allow_patterns))
            if isinstance(answer, Exception):
                raise answer
            return str(answer)

        monkeypatch.setattr(hub, "snapshot_download", download)
        return questions

    return answer_with


def make_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").touch()
    return folder


def test_the_hub_is_asked_only_for_what_is_no_folder(asked, tmp_path, monkeypatch):
    questions = asked(make_folder(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "owner" / "name")
    assert hub.find_folder("owner/name") == Path("owner/name")
    assert questions == []
    assert hub.find_folder("owner/other") == tmp_path / "cache"
    assert questions[0][0] == "owner/other"
    assert not any(pattern.endswith(".py") for pattern in questions[0][1])


def test_no_network_is_said_plainly(asked):
    for failure in (LocalEntryNotFoundError("offline"), ConnectionError("no route")):
        asked(failure)
        with pytest.raises(UsageError, match=r"^no network: .*owner/name"):
            hub.find_folder("owner/name")


def test_a_model_the_hub_does_not_have_is_said_plainly(asked):
    # Made without the response that its constructor wants.
    asked(RepositoryNotFoundError.__new__(RepositoryNotFoundError))
    with pytest.raises(UsageError, match="the hub has no model of that name"):
        hub.find_folder("owner/name")
