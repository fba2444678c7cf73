"""Which recordings are meant, and what they are called."""

import os
import shutil

import pytest

from cohorts import write_npz
from patchtst_har.cohort.sources import find_sources, is_single_file, parse_shard, shard_of, source_state
from patchtst_har.errors import DataError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return folder


def names(*arguments, **more):
    return [source.name for source in find_sources(arguments, **more)]


def test_files_of_a_folder_are_named_after_their_way_below_it(tmp_path):
    touch(tmp_path, "b/P2.cwa.gz", "b/c/P1.csv", "P3.NPZ", "notes.txt", ".hidden.csv", ".git/P4.csv")
    assert names(tmp_path) == ["P3", "b/P2", "b/c/P1"]
    paths = [source.path for source in find_sources([tmp_path])]
    assert paths == [tmp_path / "P3.NPZ", tmp_path / "b" / "P2.cwa.gz", tmp_path / "b" / "c" / "P1.csv"]


def test_a_name_does_not_depend_on_the_other_recordings(tmp_path):
    touch(tmp_path, "a/P1.csv")
    alone = names(tmp_path)
    touch(tmp_path, "b/P1.csv")
    assert set(alone) < set(names(tmp_path)) == {"a/P1", "b/P1"}


def test_a_glob_names_after_what_its_wildcards_match(tmp_path, monkeypatch):
    touch(tmp_path, "d/a/P1.csv", "d/b/P1.csv", "d/b/P1.cwa", "d/b/x/P2.csv", "d/b/note.txt")
    assert names(f"{tmp_path}/d/*/P1.csv") == ["a/P1", "b/P1"]
    assert names(f"{tmp_path}/d/**/*.csv") == ["a/P1", "b/P1", "b/x/P2"]
    monkeypatch.chdir(tmp_path)
    assert names("d/?/*.csv") == ["a/P1", "b/P1"]
    with pytest.raises(DataError, match=r"d/b/\*\.txt: matches no recording, but 1 \.txt file, which is not"):
        find_sources(["d/b/*.txt"])
    with pytest.raises(DataError, match="nothing\\*: matches no recording"):
        find_sources(["nothing*"])


def test_a_file_whose_name_has_wildcards_is_a_file(tmp_path):
    touch(tmp_path, "P[1].csv")
    assert is_single_file([str(tmp_path / "P[1].csv")])
    assert names(tmp_path / "P[1].csv") == ["P[1]"]
    assert not is_single_file([str(tmp_path / "P*.csv")])
    assert not is_single_file([str(tmp_path)])
    assert not is_single_file(["a.csv", "b.csv"])


@pytest.mark.parametrize("way", ["files", "folder", "list"])
def test_two_recordings_of_one_name_are_refused(tmp_path, way):
    touch(tmp_path, "a/P1.csv", "b/P1.csv", "c/P2.cwa", "c/P2.csv")
    (tmp_path / "list.txt").write_text("a/P1.csv\nb/P1.csv\n")
    given = {
        "files": ([tmp_path / "a" / "P1.csv", tmp_path / "b" / "P1.csv"], None),
        "folder": ([tmp_path / "c"], None),
        "list": ([], tmp_path / "list.txt"),
    }[way]
    with pytest.raises(DataError, match=r"same name: \S+ and \S+ \(both P[12]\); give the folder above"):
        find_sources(*given)


def test_a_recording_that_is_named_twice_counts_once(tmp_path):
    touch(tmp_path, "a/P1.csv")
    assert names(tmp_path, tmp_path / "a", tmp_path / "a" / "P1.csv") == ["a/P1"]


def test_a_list_of_paths(tmp_path):
    touch(tmp_path, "data/P1.csv", "data/P, 2.cwa")
    (tmp_path / "list.txt").write_text(f"\ufeff# two\n\n  data/P1.csv\r\n{tmp_path}/data/P, 2.cwa\n")
    found = find_sources([], tmp_path / "list.txt")
    assert [source.name for source in found] == ["P, 2", "P1"]
    assert [source.path for source in found] == [tmp_path / "data/P, 2.cwa", tmp_path / "data/P1.csv"]


def test_a_list_with_names(tmp_path):
    (tmp_path / "list.csv").write_text('name,visit,Path\nsite1/P1,1,a/x.csv\n,2,"b/x, y.csv"\n')
    found = find_sources([], tmp_path / "list.csv")
    assert [(source.name, source.path) for source in found] == [
        ("site1/P1", tmp_path / "a/x.csv"),
        ("x, y", tmp_path / "b/x, y.csv"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no recording"),
        ("# nothing\n\n", "lists no recording"),
        ("path,name\n", "no recording is named"),
        ("path,name\na.csv\n", "line 2: has 1 columns, the header 2"),
        ("path,name\n# a\n,P1\n", "line 3: column path is empty"),
        ("path,name\na.csv,../P1\n", r"line 2: column name: '\.\./P1' must be a name"),
        ("path,name\na.csv,/etc/P1\n", "line 2: column name: '/etc/P1' must be a name"),
        ("path,name\na.csv,P1\nb.csv,P1\n", "same name"),
    ],
)
def test_a_malformed_list_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        find_sources([], tmp_path / "list.csv")


def test_a_list_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(OSError, match="gone"):
        find_sources([], tmp_path / "gone.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"binary\.txt"):
        find_sources([], tmp_path / "binary.txt")


def test_an_empty_folder_says_what_it_holds(tmp_path):
    with pytest.raises(DataError, match=r"holds no recordings \(\.csv, .*\)$"):
        find_sources([tmp_path])
    touch(tmp_path, "a.txt", "b.agd")
    with pytest.raises(DataError, match=r"it holds 1 \.agd file, 1 \.txt file, which are not read yet"):
        find_sources([tmp_path])


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "a/P1.csv", "b/P2.csv")
    scan = os.scandir

    def refuse(folder):
        if folder == tmp_path / "b":
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    # Permission bits do not stop root.
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match=str(tmp_path / "b")):
        find_sources([tmp_path])


def test_results_are_no_recordings(tmp_path):
    touch(
        tmp_path,
        "P1.csv",
        "P1_labels.csv",
        "P1_windows.csv",
        "P1_daily.csv",
        "P1_summary.json",
        "P2_labels.csv",
    )
    touch(tmp_path, "out/cohort.json", "out/recordings/P1_labels.csv", "out/recordings.csv")
    # Without a summary next to it, the name says nothing.
    assert names(tmp_path) == ["P1", "P2_labels"]
    assert names(f"{tmp_path}/**/*.csv") == ["P1", "P2_labels"]


def test_links_to_folders_are_followed_once(tmp_path):
    touch(tmp_path, "a/P1.csv", "elsewhere/P2.csv")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a" / "P3.csv").symlink_to(tmp_path / "gone.csv")
    found = names(tmp_path / "a")
    assert [name for name in found if name.endswith("P2")] == ["link/P2"]
    # A broken link is a recording that fails, rather than one that nobody misses.
    assert "P3" in found


def test_shards_share_out_all_recordings(tmp_path):
    touch(tmp_path, *(f"P{number}.csv" for number in range(7)))
    sources = find_sources([tmp_path])
    parts = [shard_of(sources, (number, 3)) for number in (1, 2, 3)]
    assert sorted((source for part in parts for source in part), key=lambda source: source.name) == sources
    assert [len(part) for part in parts] == [3, 2, 2]
    assert parse_shard("3/10") == (3, 10)
    for wrong in ("0/3", "4/3", "3", "a/b", "1/0", "-1/3", ""):
        with pytest.raises(DataError, match="--shard must be like 3/10"):
            parse_shard(wrong)


def test_a_file_is_recognised_by_size_time_and_ends(tmp_path):
    path = write_npz(tmp_path / "a.npz")
    state = source_state(path)
    shutil.copy2(path, tmp_path / "b.npz")
    assert source_state(tmp_path / "b.npz") == state
    content = bytearray(path.read_bytes())
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    for position in (0, len(content) - 1):
        changed = bytearray(content)
        changed[position] ^= 1
        path.write_bytes(changed)
        os.utime(path, ns=times)
        assert source_state(path) != state
    path.write_bytes(content)
    os.utime(path, ns=(times[0], times[1] + 1000))
    assert source_state(path) != state


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_list_may_be_a_table_of_any_usual_form(tmp_path, delimiter):
    (tmp_path / "a b.csv").write_text("time,x,y,z\n")
    (tmp_path / "list.csv").write_text(f"Name{delimiter}Path\nsite1/P01{delimiter}a b.csv\n")
    (source,) = find_sources([], tmp_path / "list.csv")
    assert (source.name, source.path.name) == ("site1/P01", "a b.csv")
