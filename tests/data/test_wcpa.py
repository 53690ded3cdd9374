"""Reading a data root: what is right comes back, what is wrong is told with the file's name."""

import numpy as np
import pytest

from data.wcpa import SampleId, WcpaRoot, read_matrix, read_sample_list

SAMPLE = SampleId("000101", "01_Neutral", "042")
NUM_VERTICES = 99


def test_record_of_the_tiny_root(wcpa_root):
    record = wcpa_root.read(SAMPLE, NUM_VERTICES, labelled=True)
    assert (record.image.shape, record.image.dtype) == ((96, 96, 3), np.uint8)
    assert (record.landmarks.shape, record.landmarks.dtype) == ((68, 2), np.float32)
    assert (record.verts.shape, record.verts.dtype) == ((NUM_VERTICES, 3), np.float32)
    assert (record.R_t.shape, record.R_t.dtype) == ((4, 4), np.float32)
    assert wcpa_root.read(SAMPLE, NUM_VERTICES, labelled=False).verts is None


def test_leading_zeros_stay(wcpa_root):
    samples = wcpa_root.samples("train")
    assert samples[1] == SAMPLE
    assert str(samples[1]) == "000101/01_Neutral/042"
    assert len(samples) == 20


@pytest.mark.parametrize("missing", ["image", "68landmarks", "list", "resources"])
def test_missing_folder_is_told(data_root, missing):
    (data_root / missing).rename(data_root / "elsewhere")
    with pytest.raises(FileNotFoundError, match=f"no folder {missing}"):
        WcpaRoot(data_root)


def test_missing_root_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        WcpaRoot(tmp_path / "none")


@pytest.mark.parametrize("keep", [0, 1, 40, -40, -2])
def test_truncated_jpeg_is_told(data_root, keep):
    path = WcpaRoot(data_root).image_path(SAMPLE)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"042_ar\.jpg: wanted"):
        WcpaRoot(data_root).read_image(SAMPLE)


def test_text_for_a_jpeg_is_told(data_root):
    path = WcpaRoot(data_root).image_path(SAMPLE)
    path.write_text("not a picture")
    with pytest.raises(ValueError, match="cannot decode"):
        WcpaRoot(data_root).read_image(SAMPLE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2\n" * 67, "wanted 68 rows of 2 numbers, got 67 rows of 2"),
        ("1 2\n" * 67 + "1\n", "got 68 rows of 1 or 2"),
        ("1 2\n" * 67 + "1 two\n", "could not convert string to float: .*two"),
        ("1 2\n" * 67 + "1 nan\n", "finite"),
        ("", "got 0 rows of no"),
    ],
)
def test_bad_landmarks_are_told(tmp_path, text, message):
    (tmp_path / "points.txt").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_matrix(tmp_path / "points.txt", (68, 2))
    assert "points.txt" in str(error.value)


def test_landmarks_may_be_negative_and_fractional(tmp_path):
    (tmp_path / "points.txt").write_text("-1.5 900\n" * 68)
    np.testing.assert_array_equal(read_matrix(tmp_path / "points.txt", (68, 2))[0], [-1.5, 900])


def label(**changes):
    good = {"verts": np.zeros((NUM_VERTICES, 3), np.float32), "R_t": np.diag([1.0, 1, 1, 1])}
    good["R_t"][3, 2] = -0.5
    return {**good, **changes}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"R_t": label()["R_t"]}, "wanted the keys verts and R_t, got R_t"),
        (label(verts=np.zeros((98, 3))), r"verts: wanted shape \(99, 3\), got \(98, 3\)"),
        (label(verts=np.full((99, 3), np.nan)), "verts: wanted finite"),
        (label(R_t=np.eye(4)), "tz < 0"),
        (label(R_t=np.diag([2.0, 1, 1, 1])), "wanted a rotation"),
        (label(R_t=np.eye(3)), r"R_t: wanted shape \(4, 4\)"),
        (label(verts=np.full((99, 3), "a")), "wanted numbers"),
    ],
)
def test_bad_labels_are_told(data_root, content, message):
    path = WcpaRoot(data_root).label_path(SAMPLE)
    np.savez(path, **content)
    with pytest.raises(ValueError, match=message) as error:
        WcpaRoot(data_root).read_label(SAMPLE, NUM_VERTICES)
    assert "042_info.npz" in str(error.value)


@pytest.mark.parametrize("keep", [0, 10, -30])
def test_truncated_label_is_told(data_root, keep):
    path = WcpaRoot(data_root).label_path(SAMPLE)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"042_info\.npz"):
        WcpaRoot(data_root).read_label(SAMPLE, NUM_VERTICES)


HEADER = "subject_id,facial_action,img_id\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing subject_id, facial_action, img_id"),
        ("subject_id,facial_action\n1,a\n", "missing img_id"),
        (HEADER, "at least one image"),
        (HEADER + "1,a,\n", "line 2: wanted three non-empty"),
        (HEADER + "1,a\n", "line 2: wanted three non-empty"),
        (HEADER + "1,../../etc,2\n", "without path separators"),
        (HEADER + "1,a,1\n1,a,1\n", "1 repeated"),
        (HEADER + "1,\udcff,1\n", "wanted a csv in UTF-8"),
    ],
)
def test_bad_lists_are_told(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=message) as error:
        read_sample_list(tmp_path / "list.csv")
    assert "list.csv" in str(error.value)


def test_lists_may_have_more_columns_and_a_byte_order_mark(tmp_path):
    (tmp_path / "list.csv").write_text("\ufeffimg_id,subject_id,note,facial_action\n01,007,x,a\n", encoding="utf-8")
    assert read_sample_list(tmp_path / "list.csv") == [SampleId("007", "a", "01")]


def test_fingerprint_knows_a_copy_from_another_root(wcpa_root, data_root):
    copy = WcpaRoot(data_root)
    assert copy.fingerprint() == wcpa_root.fingerprint()
    with open(copy.list_path("test"), "a") as file:
        file.write("9,a,1\n")
    assert copy.fingerprint() != wcpa_root.fingerprint()
