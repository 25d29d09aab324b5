import pytest
from pyarrow import fs

from stacktune.errors import ConfigError, UserError
from stacktune.storage import remote as storage


@pytest.fixture
def folder(tmp_path):
    """A folder with a file and a file in a folder below."""
    made = tmp_path / "made"
    (made / "members").mkdir(parents=True)
    (made / "leader.json").write_text("{}")
    (made / "members" / "model.bin").write_bytes(b"\x00\x01")
    return made


@pytest.fixture
def store(tmp_path):
    """A filesystem that is not the local one to our code, as an object store is not."""
    (tmp_path / "bucket").mkdir()
    return fs.SubTreeFileSystem(str(tmp_path / "bucket"), fs.LocalFileSystem())


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("as_uri", [False, True])
def test_a_folder_is_published_and_fetched_whole(tmp_path, folder, as_uri):
    place = tmp_path / "deep" / "run one"
    uri = place.as_uri() if as_uri else str(place)
    assert not storage.exists(uri)
    storage.publish_folder(folder, uri)
    assert storage.exists(uri)
    assert files_of(place) == files_of(folder)
    storage.fetch_folder(uri, tmp_path / "back")
    assert files_of(tmp_path / "back") == files_of(folder)


def test_publishing_replaces_what_was_there_and_leaves_nothing_beside(tmp_path, folder):
    place = tmp_path / "out" / "run"
    place.mkdir(parents=True)
    (place / "stale").write_text("old")
    storage.publish_folder(folder, str(place))
    assert files_of(place) == files_of(folder)
    assert [path.name for path in place.parent.iterdir()] == ["run"]


def test_a_copy_that_fails_leaves_nothing(tmp_path):
    place = tmp_path / "out" / "run"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        storage.publish_folder(tmp_path / "nowhere", str(place))
    assert list(place.parent.iterdir()) == []


def test_a_folder_that_is_not_there_cannot_be_fetched(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no published folder at '.*none'"):
        storage.fetch_folder(str(tmp_path / "none"), tmp_path / "back")


def test_in_a_store_a_folder_is_one_archive(tmp_path, folder, store):
    assert not storage._is_there(store, "run")
    for content in (b"one", b"two"):
        (folder / "leader.json").write_bytes(content)
        storage._publish_in_store(folder, store, "run")
    assert storage._is_there(store, "run")
    assert storage._archives(store.get_file_info(fs.FileSelector(""))) == ["run"]
    storage._fetch_from_store(store, "run", tmp_path / "back")
    assert files_of(tmp_path / "back") == files_of(folder)


def test_a_folder_that_vanishes_leaves_nothing_in_a_store(tmp_path, store):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        storage._publish_in_store(tmp_path / "nowhere", store, "run")
    assert not storage._is_there(store, "run")


def test_an_archive_that_is_cut_off_is_an_error_of_the_store(tmp_path, folder, store):
    storage._publish_in_store(folder, store, "run")
    archive = tmp_path / "bucket" / "run.tar"
    archive.write_bytes(archive.read_bytes()[:700])
    with pytest.raises(OSError, match="not whole"):
        storage._fetch_from_store(store, "run", tmp_path / "back")


@pytest.mark.parametrize("as_uri", [False, True])
def test_a_file_is_published_and_fetched_and_a_missing_one_is_none(tmp_path, as_uri):
    (tmp_path / "file").write_bytes(b"one")
    place = tmp_path / "deep" / "er"
    uri = place.as_uri() if as_uri else str(place)
    storage.publish_file(tmp_path / "file", storage.join(uri, "file"))
    assert [path.name for path in place.iterdir()] == ["file"]
    assert storage.fetch_file(storage.join(uri, "file"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"one"
    assert not storage.fetch_file(storage.join(uri, "none"), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_whole_folders_are_listed(tmp_path, folder):
    for name in ("b", "a"):
        storage.publish_folder(folder, str(tmp_path / "out" / name))
    assert storage.folders_in(str(tmp_path / "out")) == ["a", "b"]
    assert storage.folders_in(str(tmp_path / "nowhere")) == []


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path):
    storage.check_storage(str(tmp_path / "new"))
    assert list((tmp_path / "new").iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--storage '.*file/below' cannot be written: .*s3://BUCKET/FOLDER"):
        storage.check_storage(str(tmp_path / "file" / "below"))


@pytest.mark.parametrize(
    ("uri", "joined"),
    [
        ("runs/", "runs/a/b"),
        ("s3://bucket/runs", "s3://bucket/runs/a/b"),
        ("s3://bucket?region=x&scheme=http", "s3://bucket/a/b?region=x&scheme=http"),
    ],
)
def test_uris_are_joined_before_their_query(uri, joined):
    assert storage.join(uri, "a", "b") == joined


@pytest.mark.parametrize("uri", ["s3://", "gs:///", "file://", "s3://?region=x"])
def test_a_uri_without_a_place_is_refused_by_whoever_asks(uri):
    """Without its slashes, s3:// was a local folder called s3:, and to read from it asked for a list of buckets."""
    for ask in (storage.join, storage.resolve):
        with pytest.raises(UserError, match="names no place: give"):
            ask(uri)
    assert storage.join("s3://bucket/", "run") == "s3://bucket/run"
    assert storage.join("/tmp/runs/", "run") == "/tmp/runs/run"
