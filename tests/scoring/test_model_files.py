import hashlib

from genolm.scoring.model_files import model_digest, model_name


def test_the_digest_is_that_of_the_weights_file(model_folders):
    weights = (model_folders / "ps" / "model.safetensors").read_bytes()
    assert model_digest(str(model_folders / "ps")) == hashlib.sha256(weights).hexdigest()


def test_files_in_parts_are_joined_in_order_of_their_names(tmp_path):
    for name, content in (("b.safetensors", b"2"), ("a.safetensors", b"1")):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    assert model_digest(str(tmp_path)) == hashlib.sha256(b"12").hexdigest()


def test_a_model_is_called_after_its_folder_or_run(tmp_path, monkeypatch):
    (tmp_path / "run" / "model").mkdir(parents=True)
    assert model_name(str(tmp_path / "run")) == "run"
    assert model_name(str(tmp_path / "run" / "model")) == "run"
    assert model_name("owner/name") == "name"
    monkeypatch.chdir(tmp_path / "run" / "model")
    assert model_name(".") == "run"
