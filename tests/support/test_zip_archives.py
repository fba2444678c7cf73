"""What zipfile raises of archives that are damaged: every reader of archives refuses them in one line."""

import io
import zipfile

import numpy as np
import pytest

from patchtst_har.data import read_recording
from patchtst_har.datasets.prepared import content_of
from patchtst_har.errors import DataError
from patchtst_har.support.npz import read_npz

LOCAL, DIRECTORY = b"PK\x03\x04", b"PK\x01\x02"
UNICODE, ENCRYPTED = 0x0800, 0x0001


def archive(member="windows.npy"):
    content, array = io.BytesIO(), io.BytesIO()
    np.save(array, np.arange(300))
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr(member, array.getvalue())
    return bytearray(content.getvalue())


def set_flag(content, flag):
    for at in (content.index(LOCAL) + 6, content.index(DIRECTORY) + 8):
        content[at : at + 2] = (int.from_bytes(content[at : at + 2], "little") | flag).to_bytes(2, "little")


def no_unicode_in_the_directory(content):
    set_flag(content, UNICODE)
    content[content.index(DIRECTORY) + 46] = 0xAB


def no_unicode_in_the_header(content):
    set_flag(content, UNICODE)
    content[content.index(LOCAL) + 30] = 0xAB


def other_names(content):
    content[content.index(LOCAL) + 30] ^= 1


def encrypted(content):
    set_flag(content, ENCRYPTED)


def unknown_compression(content):
    content[content.index(LOCAL) + 8] = content[content.index(DIRECTORY) + 10] = 77


def lzma(content):
    content[content.index(LOCAL) + 8] = content[content.index(DIRECTORY) + 10] = 14


def damaged_samples(content):
    content[60:80] = bytes(20)


def cut_in_the_middle(content):
    del content[100:200]


def an_extra_field_that_is_cut(content):
    """Of 64-bit sizes, which are not there."""
    at = content.index(DIRECTORY)
    content[at + 20 : at + 28] = b"\xff" * 8
    content[at + 30] = 4
    after = at + 46 + content[at + 28]
    content[after:after] = b"\x01\x00\x00\x00"
    end = content.index(b"PK\x05\x06")
    content[end + 12] += 4


DAMAGES = [
    no_unicode_in_the_directory,
    no_unicode_in_the_header,
    other_names,
    encrypted,
    unknown_compression,
    lzma,
    damaged_samples,
    cut_in_the_middle,
    an_extra_field_that_is_cut,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_archives_are_refused(tmp_path, damage):
    path, content = tmp_path / "a.npz", archive()
    path.write_bytes(content)
    assert len(read_npz(path, ["windows"])["windows"]) == 300
    damage(content)
    path.write_bytes(content)
    reasons = r"not an NPZ archive, or a damaged one|(array 'windows' )?cannot be read|'\S+' is encrypted"
    with pytest.raises(DataError, match=rf"^\S*a\.npz: ({reasons})( \(.*\))?$"):
        read_npz(path, ["windows"])


def test_content_of_a_damaged_directory_is_not_known(tmp_path):
    path, content = tmp_path / "a.npz", archive()
    no_unicode_in_the_directory(content)
    path.write_bytes(content)
    assert content_of(path) is None


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_recordings_are_refused(tmp_path, damage):
    path, content = tmp_path / "a.gt3x", archive("info.txt")
    damage(content)
    path.write_bytes(content)
    reasons = r"not a zip archive, or a damaged one|cannot be read|'info\.txt' is (damaged|encrypted)"
    with pytest.raises(DataError, match=rf"^\S*a\.gt3x: ({reasons})( \(.*\))?$"):
        read_recording(path)
