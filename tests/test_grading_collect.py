"""Finding what a class handed in: layouts of learning platforms, archives (also hostile ones), and rosters."""

import io
import os
import stat
import struct
import unicodedata
import zipfile
from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest

from vae_course.grading import collect as module
from vae_course.grading.collect import Student, collect, read_roster
from vae_course.grading.submissions import GradingError, Unreadable, read_bytes
from vae_course.tasks import EXERCISES

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="marking forks")
KL, ELBO = "ex04_kl_divergence", "ex05_jensen_elbo"
BOOK = b'{"cells": []}'
JANE, ANN = Student("jane", "Jane Doe", "12345", "jane"), Student("ann", "Ann Lee", "777", "ann")


def put(folder, *names, data=BOOK):
    """Write files; a name that ends in "/" is an empty folder."""
    for name in names:
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_bytes(data)
    return folder


def pack(path, *names, data=BOOK, **more):
    """Write an archive of these files, and of files with other contents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, data)
        for name, contents in more.pop("contents", {}).items():
            archive.writestr(name, contents)
    return path


@pytest.fixture
def source(tmp_path):
    (tmp_path / "class").mkdir()
    return tmp_path / "class"


@pytest.fixture
def run(tmp_path):
    """Collect into a fresh folder, and see that nothing was written elsewhere."""
    calls = Counter()

    def run(source, roster=()):
        calls["all"] += 1
        unpacked = tmp_path / f"unpacked{calls['all']}"
        unpacked.mkdir()
        before = files_outside(tmp_path, unpacked)
        collected = collect(source, EXERCISES, unpacked, roster)
        assert files_outside(tmp_path, unpacked) == before
        return collected

    return run


def files_outside(folder, unpacked):
    return sorted(path for path in folder.rglob("*") if unpacked not in (path, *path.parents))


def found(collected):
    """Each hand-in's student, place and exercise."""
    return [(one.student, one.shown, one.exercise) for one in collected.hand_ins]


def remarked(collected, kind):
    """The details of one kind of remark, by place."""
    return {place: remark.detail for place, remark in collected.remarks if remark.kind == kind}


def refused(path):
    try:
        read_bytes(path)
    except Unreadable as error:
        return str(error)
    return ""


# --- Layouts ---


@pytest.mark.parametrize(
    "place",
    [
        f"{KL}.ipynb",
        f"{KL}/{KL}.ipynb",
        f"Version 1/{KL}.ipynb",
        f"a/b/c/d/{KL}.ipynb",
        f"{KL}/work.ipynb",
        "Lab 4/Version 2/Untitled.ipynb",
    ],
)
@pytest.mark.parametrize("wrapper", ["", "submissions/", "lab/submissions/"])
def test_students_folders(source, run, place, wrapper):
    put(source, f"{wrapper}Jane Doe/{place}", f"{wrapper}李小明/{place}")
    collected = run(source)
    assert found(collected) == [(name, f"{wrapper}{name}/{place}", KL) for name in ("Jane Doe", "李小明")]
    assert collected.remarks == []
    assert list(collected.students) == ["Jane Doe", "李小明"]


@pytest.mark.parametrize(
    "place", ["ann/ex04.ipynb", f"ann/{KL}/{KL}.ipynb", "ann/Version 1/x.ipynb", "ann/ex04/a.ipynb", "sub/ann/x.ipynb"]
)
def test_a_class_of_one(source, run, place):
    assert [one.student for one in run(put(source, place)).hand_ins] == ["ann"]


def test_a_folder_too_deep_is_remarked_and_the_rest_goes_on(source, run):
    put(source, "ann/ex04.ipynb", "ann/1/2/3/4/5/6/7/8/ex04.ipynb", "bob/x.ipynb")
    collected = run(source)
    assert len(collected.hand_ins) == 2
    assert remarked(collected, "unknown file") == {"ann": "1: ann/1/2/3/4/5/6/7 (too deep)"}


PLATFORMS = [  # name, student, student's id, exercise, date, late
    (f"doejane_12345_67890_{KL}.ipynb", "doejane", "12345", KL, None, False),
    (f"doejane_LATE_12345_67890_{KL}-1.ipynb", "doejane", "12345", KL, None, True),
    ("blue_team_12345_67890_lab04.ipynb", "blue_team", "12345", KL, None, False),
    ("anon_12345_67890_ex04.ipynb", "anon_12345", "12345", KL, None, False),
    ("anon_LATE_x7Kp2_67890_ex04.ipynb", "anon_x7Kp2", "x7Kp2", KL, None, True),
    ("doejane_40412_40504_work.ipynb", "doejane", "40412", None, None, False),
    (f"Jane Doe_123456_assignsubmission_file_/{KL}.ipynb", "Jane Doe", "123456", KL, None, False),
    ("Jane Doe_123456_assignsubmission_file/04.ipynb", "Jane Doe", "123456", KL, None, False),
    (f"Jane Doe_123456_assignsubmission_file_{KL}.ipynb", "Jane Doe", "123456", KL, None, False),
    ("Jane_Mary Doe_123456_assignsubmission_file_x.ipynb", "Jane_Mary Doe", "123456", None, None, False),
    ("Participant_123456_assignsubmission_file_/x.ipynb", "Participant_123456", "123456", None, None, False),
    (
        f"Lab 4_doejane_attempt_2026-10-05-23-59-10_{KL}.ipynb",
        *("doejane", "", KL, datetime(2026, 10, 5, 23, 59, 10), False),
    ),
    (
        "Lab 4_jane_doe_attempt_2026-10-05-23-59-10_x.ipynb",
        *("jane_doe", "", None, datetime(2026, 10, 5, 23, 59, 10), False),
    ),
    (
        f"12345-67890 - Jane Doe - Oct 5, 2026 1159 PM - {KL}.ipynb",
        *("Jane Doe", "12345", KL, datetime(2026, 10, 5, 23, 59), False),
    ),
    (
        f"12345-67890 - Jane Doe - Oct 5, 2026 105 AM/{KL}.ipynb",
        *("Jane Doe", "12345", KL, datetime(2026, 10, 5, 1, 5), False),
    ),
    (
        "12345-67890 - Jane Doe- 5 October, 2026 11-59 PM - ex04 - new.ipynb",
        *("Jane Doe", "12345", KL, datetime(2026, 10, 5, 23, 59), False),
    ),
]


@pytest.mark.parametrize("wrapper", ["", "lab4/"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("name", "student", "id_", "exercise", "date", "late"), PLATFORMS)
def test_platforms(tmp_path, source, run, name, student, id_, exercise, date, late, packed, wrapper):
    source = pack(tmp_path / "lab4.zip", wrapper + name) if packed else put(source, wrapper + name)
    collected = run(source)
    (one,) = collected.hand_ins
    assert (one.student, one.shown, one.exercise) == (student, wrapper + name, exercise)
    assert (one.handed_in, one.late) == (date, late)
    assert one.path.read_bytes() == BOOK
    assert collected.students[student].id == id_
    assert collected.remarks == []


@pytest.mark.parametrize(
    "name",
    [
        "Lab 4_doejane_attempt_2026-10-05-23-59-10.txt",
        "index.html",
        "Jane Doe_123456_assignsubmission_onlinetext_/onlinetext.html",
        "Jane Doe_123456_assignsubmission_onlinetext_onlinetext.html",
        ".DS_Store",
        "__MACOSX/._x.ipynb",
        "ann/._ex04.ipynb",
        "ann/.ipynb_checkpoints/ex04-checkpoint.ipynb",
        "ann/Thumbs.db",
        "ann/DESKTOP.INI",
        "ann/__pycache__/x.ipynb",
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_says_nothing_is_ignored_quietly(tmp_path, source, run, name, packed):
    names = "ann/ex04.ipynb", "bob/ex04.ipynb", name
    source = pack(tmp_path / "lab4.zip", *names) if packed else put(source, *names)
    collected = run(source)
    assert [one.student for one in collected.hand_ins] == ["ann", "bob"]
    assert collected.remarks == []


def test_two_students_of_one_name_are_kept_apart(source, run):
    put(source, "doejane_111_5_ex04.ipynb", "doejane_222_6_ex04.ipynb", "leeann_333_7_ex04.ipynb")
    assert [one.student for one in run(source).hand_ins] == ["doejane_111", "doejane_222", "leeann"]


def test_moodles_numbers_differ_between_assignments(source, run):
    for lab, jane in (("lab4", 11), ("lab5", 22)):
        for name in (f"Jane Doe_{jane}", f"Ann Lee_{jane + 1}"):
            put(source, f"{lab}/{name}_assignsubmission_file_/x.ipynb")
    assert Counter(one.student for one in run(source).hand_ins) == {"Jane Doe": 2, "Ann Lee": 2}


def test_several_downloads_in_one_folder(source, run):
    pack(source / "lab4.zip", "doejane_1_2_ex04.ipynb", "leeann_2_3_ex04.ipynb")
    pack(source / "lab5.zip", "doejane_1_8_ex05.ipynb", "leeann_2_9_ex05.ipynb")
    collected = run(source)
    assert ("doejane", "lab4.zip/doejane_1_2_ex04.ipynb", KL) in found(collected)
    assert Counter(one.student for one in collected.hand_ins) == {"doejane": 2, "leeann": 2}


def test_a_student_cannot_hand_in_as_others(source, run):
    put(source, "ann/bob_1_2_ex04.ipynb", "ann/cy_3_4_ex04.ipynb", "dan/x.ipynb")
    pack(source / "eve.zip", "bob_1_2_ex04.ipynb", "cy_3_4_ex04.ipynb")
    assert [one.student for one in run(source).hand_ins] == ["ann", "ann", "dan", "eve", "eve"]


@pytest.mark.parametrize(
    "start", ["doejane_1_2_", "Doe Jane_1_assignsubmission_file_", "1-2 - Doe Jane - Oct 5, 2026 900 AM - "]
)
@pytest.mark.parametrize(
    "name",
    [
        "ann_777_8_ex04.ipynb",
        "Ann Lee_777_assignsubmission_file_ex04.ipynb",
        "Lab_ann_attempt_2026-10-05-23-59-10_ex04.ipynb",
    ],
)
def test_a_file_named_as_another_platform_would(source, run, start, name):
    roster = [ANN, Student("jane", "Jane Doe", "1", "jane")]
    assert [one.student for one in run(put(source, start + name), roster).hand_ins] == ["jane"]


@pytest.mark.parametrize(
    ("names", "students"),
    [
        (("Lab_4_jane", "Lab_4_ann", "Lab_4_j_doe"), ["4_j_doe", "ann", "jane"]),
        (("Lab 4_jane", "Lab 4_x_ann", "Lab 4_x_jane"), ["jane", "x_ann", "x_jane"]),
        (("Lab 4_x_ann",), ["x_ann"]),
    ],
)
def test_titles_and_logins_with_underscores(source, run, names, students):
    """A part of a login is no login, unless all names begin alike."""
    put(source, *(f"{name}_attempt_2026-10-05-23-59-10_x.ipynb" for name in names))
    assert sorted(one.student for one in run(source, [JANE, ANN]).hand_ins) == students


def test_an_attempt_within_the_name_of_an_attempt(source, run):
    attempt = "_attempt_2026-10-05-23-59-10_"
    (one,) = run(put(source, f"Lab 4_jane{attempt}x_ann{attempt}ex04.ipynb"), [JANE, ANN]).hand_ins
    assert one.student == "jane"


def test_a_date_in_a_name_is_no_platform(source, run):
    put(source, "ann/ex04.ipynb", "ann/notes_2026_10_05.ipynb")
    assert {one.student for one in run(source).hand_ins} == {"ann"}


def test_a_folder_for_each_exercise(source, run):
    put(source, "ex04/ann/x.ipynb", "ex04/bob/x.ipynb", "ex05/ann/x.ipynb")
    assert [one.student for one in run(source).hand_ins] == ["ann", "ann", "bob"]


def test_a_name_of_the_roster_with_another_number_is_explained(source, run):
    put(source, *(f"{name}_{n}_assignsubmission_file_/x.ipynb" for name, n in (("Jane Doe", 777), ("Ann Lee", 12345))))
    collected = run(source, [ANN, JANE])
    assert [one.student for one in collected.hand_ins] == ["Ann Lee", "Jane Doe"]
    assert remarked(collected, "unknown student") == {
        "Jane Doe": "jane has this name, but another number than 777",
        "Ann Lee": "ann has this name, but another number than 12345",
    }


def test_files_without_students(source, run):
    put(source, "jane_ex04.ipynb", "Copy of 123456 lab 5 (2).ipynb", "Li Ming.ipynb", f"{KL}.ipynb", "config.json")
    collected = run(source)
    assert [(one.student, one.exercise) for one in collected.hand_ins] == [
        ("123456", ELBO),
        ("Li Ming", None),
        ("jane", KL),
    ]
    assert remarked(collected, "unknown file") == {"class": f"2: config.json, {KL}.ipynb"}


# --- Names ---


@pytest.mark.parametrize(
    "name",
    [
        f"{KL} (1).ipynb",
        f"{KL}(2).ipynb",
        f"{KL}-Copy1.ipynb",
        f"Copy of {KL}.ipynb",
        f"Kopie von {KL}.ipynb",
        f"{KL} - Copy.ipynb",
        f"{KL.upper()}.IPYNB",
        "ex04.ipynb",
        "ex4.ipynb",
        "04.ipynb",
        "04 (1).ipynb",
        "4.ipynb",
        "lab04.ipynb",
        "lab-4.ipynb",
        "Lab 4 Jane.ipynb",
        f"{KL}.ipynb.txt",
        f"{KL}.ipynb.json",
        f"{KL}.json",
        KL,
        "ex04%20kl%20divergence.ipynb",
        "ex04+kl+divergence.ipynb",
        "ex04 kl divergence.ipynb",
        "ex04KLDivergence.ipynb",
        "kl_divergence.ipynb",
        "kl%20divergence.ipynb",
        "04_kl_divergence.ipynb",
        f"{KL}_LATE.ipynb",
        f"{KL}-LATE-2.ipynb",
        f"{KL} lab 5.ipynb",
        "ex04 kl divergance.ipynb",
    ],
)
def test_renamed(source, run, name):
    assert found(run(put(source, f"ann/{name}"))) == [("ann", f"ann/{name}", KL)]


@pytest.mark.parametrize(
    "name", ["doejane_40412_x.ipynb", "2004.ipynb", "ex04 ex05.ipynb", "x04.ipynb", "Untitled.ipynb", "ex99.ipynb"]
)
def test_names_that_say_no_exercise(source, run, name):
    assert found(run(put(source, f"ann/{name}"))) == [("ann", f"ann/{name}", None)]


def test_names_in_other_unicode_forms(tmp_path, source):
    name = unicodedata.normalize("NFD", "ex04_übung")
    collected = collect(put(source, f"ann/{name}.ipynb"), [unicodedata.normalize("NFC", name)], tmp_path)
    assert collected.hand_ins[0].exercise == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    ("name", "data", "marked"),
    [
        ("work.json", b"  \n{}", True),
        ("work.json", b"[]", False),
        ("work.txt", b"\xef\xbb\xbf {}", True),
        ("work.txt", "{}".encode("utf-16"), True),
        ("work.txt", "\n{}".encode("utf-16-be"), True),
        ("work.txt", b"dear teacher", False),
        ("work", b"{}", True),
        ("work", b"", False),
        ("work.py", b"{}", False),
        ("work.iPyNb", b"garbage", True),
        ("work.ipynb.7z", b"7z", False),
        (".work.ipynb", b"{}", False),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_may_be_a_notebook(source, run, name, data, marked, packed):
    put(source, "bob/ex04.ipynb")
    if packed:
        pack(source / "ann.zip", contents={name: data})
    else:
        put(source, f"ann/{name}", data=data)
    collected = run(source)
    assert [one.student for one in collected.hand_ins] == ["ann"] * marked + ["bob"]
    assert list(remarked(collected, "unknown file")) == ([] if marked else ["ann"])
    assert list(remarked(collected, "nothing")) == ([] if marked else ["ann"])


def test_one_remark_for_all_unknown_files(source, run):
    put(source, "ann/ex04.ipynb", "bob/x.ipynb", "bob/data.tar.gz", *(f"ann/{n:04}.png" for n in range(3000)))
    put(source, ".git/config", "bob/.hidden/x.ipynb", "todo.md")
    collected = run(source)
    assert remarked(collected, "unknown file") == {
        "ann": "3,000: ann/0000.png, ann/0001.png, ann/0002.png, …",
        "bob": "2: bob/.hidden (a hidden folder), bob/data.tar.gz (only zip archives are opened)",
        "class": "2: .git (a hidden folder), todo.md",
    }
    assert len(collected.remarks) == 3


def test_an_empty_folder_is_a_student_without_a_hand_in(source, run):
    collected = run(put(source, "ann/", "bob/x.ipynb", "cy/notes.pdf"))
    assert list(collected.students) == ["ann", "bob", "cy"]
    assert remarked(collected, "nothing") == {"ann": "", "cy": ""}


# --- Odd files and folders ---


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_called_a_notebook_is_refused_when_read(tmp_path, source, run, kind):
    path = put(source, "ann/", "bob/x.ipynb") / "ann" / f"{KL}.ipynb"
    if kind == "link":
        path.symlink_to(tmp_path / "secret")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    first = run(source).hand_ins[0]
    assert (first.student, first.exercise, first.path) == ("ann", KL, path)
    assert refused(first.path)


def test_a_pipe_without_a_suffix_stops_nothing(source, run):
    os.mkfifo(put(source, "ann/", "bob/x.ipynb") / "ann" / "work")
    assert remarked(run(source), "unknown file") == {"ann": "1: ann/work (not a regular file)"}


def test_a_folder_with_the_name_of_a_notebook_may_hold_one(source, run):
    put(source, f"ann/{KL}.ipynb/{KL}.ipynb", "bob/x.ipynb")
    assert found(run(source))[0] == ("ann", f"ann/{KL}.ipynb/{KL}.ipynb", KL)


def test_links_to_folders_and_archives_are_not_followed(tmp_path, source, run):
    put(tmp_path / "elsewhere", "x.ipynb", "deep/x.ipynb")
    archive = pack(tmp_path / "elsewhere.zip", "x.ipynb")
    put(source, "ann/x.ipynb", "bob/x.ipynb")
    (source / "cy").symlink_to(tmp_path / "elsewhere")
    (source / "ann" / "more").symlink_to(tmp_path / "elsewhere")
    (source / "ann" / "more.zip").symlink_to(archive)
    collected = run(source)
    assert [one.shown for one in collected.hand_ins] == ["ann/x.ipynb", "bob/x.ipynb"]
    assert remarked(collected, "unknown file") == {
        "class": "1: cy (a link)",
        "ann": "2: ann/more (a link), ann/more.zip (a link)",
    }


@pytest.mark.parametrize("closed", ["ann", "ann/sub"])
def test_a_closed_folder_is_remarked_and_the_rest_goes_on(source, run, monkeypatch, closed):
    put(source, "ann/sub/x.ipynb", "bob/x.ipynb")
    scandir = os.scandir

    def refusing(path):
        if str(path) == str(source / closed):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    collected = run(source)
    assert [one.student for one in collected.hand_ins] == ["bob"]
    assert collected.students.keys() == {"ann", "bob"}
    assert remarked(collected, "no access") == {"ann": f"{closed}: Permission denied"}
    assert remarked(collected, "nothing") == {}


def test_names_that_are_no_utf8_stay_unique(source, run):
    for name in (b"a\xff", b"a\xfe", rb"a\xff"):
        folder = os.path.join(os.fsencode(source), name)
        try:
            os.mkdir(folder)
        except OSError:
            pytest.skip("this file system holds UTF-8 only")
        with open(os.path.join(folder, b"ex04.ipynb"), "wb") as file:
            file.write(BOOK)
    keys = [one.student for one in run(source).hand_ins]
    assert len(set(keys)) == 3
    assert rb"a\xff".decode() in keys
    assert all("-".join(keys).encode() and key.startswith("a\\x") for key in keys)


def test_names_that_differ_in_case_or_form_are_different_students(source, run):
    names = ["Ann", "ann", "Zoë", unicodedata.normalize("NFD", "Zoë")]
    if len(os.listdir(put(source, *(f"{name}/x.ipynb" for name in names)))) < 4:
        pytest.skip("this file system takes them for one")
    assert sorted(one.student for one in run(source).hand_ins) == sorted(names)
    roster = [Student("ann", login="ann"), Student("zoe", "Zoë", login="zoe")]
    assert Counter(one.student for one in run(source, roster).hand_ins) == {"ann": 2, "zoe": 2}


# --- Attempts ---


@pytest.mark.parametrize(
    "names",
    [
        ("doejane_1_2_ex04.ipynb", "doejane_1_2_ex04-1.ipynb", "doejane_1_2_ex04-2.ipynb", "doejane_1_2_ex04-10.ipynb"),
        ("doejane_1_20_ex04.ipynb", "doejane_1_100_ex04.ipynb"),
        ("ann/ex04.ipynb", "ann/ex04 (1).ipynb", "ann/ex04 (2).ipynb", "ann/ex04 (10).ipynb"),
        ("ann/ex04.ipynb", "ann/ex04-Copy1.ipynb", "ann/ex04-Copy2.ipynb"),
        ("ann/ex04.ipynb", "ann/ex04 - Copy.ipynb", "ann/ex04 - Copy (2).ipynb"),
        ("ann/ex04.ipynb", "ann/Copy of ex04.ipynb"),
        ("ann/Version 2/x.ipynb", "ann/Version 10/x.ipynb"),
        (
            "Lab 4_ann_attempt_2026-10-05-23-59-10_b.ipynb",
            "Lab 4_ann_attempt_2026-10-06-03-00-00_a.ipynb",
        ),
        ("1-2 - Ann - Oct 9, 2026 900 AM - b.ipynb", "1-2 - Ann - Oct 10, 2026 900 AM - a.ipynb"),
        ("ann/b.ipynb", "ann/a.ipynb"),  # by the time alone
    ],
)
@pytest.mark.parametrize("newest", ["first", "last", "same"])
def test_order_of_attempts(source, run, names, newest):
    by_time = {"first": range(10, 0, -1), "last": range(10), "same": [5] * 10}[newest]
    for name, age in zip(names, by_time, strict=False):
        os.utime(put(source, name) / name, (age, age))
    expected = list(names)
    if names[0] == "ann/b.ipynb" and newest != "last":  # nothing but time and name to go by
        expected = ["ann/a.ipynb", "ann/b.ipynb"]
    assert [one.shown for one in run(source).hand_ins] == expected


def test_orders_of_all_hand_ins_compare(source, run):
    put(source, *(name for name, *_ in PLATFORMS), "ann/ex04 (1).ipynb")
    pack(source / "bob.zip", "x.ipynb")
    collected = run(source)
    assert len({one.order for one in collected.hand_ins}) == len(PLATFORMS) + 2
    sorted(one.order for one in collected.hand_ins)


# --- Archives ---


def test_archives_in_students_folders_and_one_for_each(source, run):
    pack(source / "ann.zip", f"{KL}.ipynb")
    pack(source / "bob" / "work.ZIP", f"deep/{KL}.ipynb")
    pack(source / "doejane_LATE_1_2_ex04.zip", "work.ipynb")
    pack(source / "Jane Doe_123_assignsubmission_file_" / "lab.zip", "ex05.ipynb")
    collected = run(source)
    assert found(collected) == [
        ("Jane Doe", "Jane Doe_123_assignsubmission_file_/lab.zip/ex05.ipynb", ELBO),
        ("ann", f"ann.zip/{KL}.ipynb", KL),
        ("bob", f"bob/work.ZIP/deep/{KL}.ipynb", KL),
        ("doejane", "doejane_LATE_1_2_ex04.zip/work.ipynb", KL),
    ]
    assert [one.late for one in collected.hand_ins] == [False, False, False, True]
    assert collected.remarks == []


def test_an_archive_of_archives(tmp_path, source, run):
    inner = pack(tmp_path / "inner.zip", "ex04.ipynb").read_bytes()
    middle = pack(tmp_path / "middle.zip", contents={"inner.zip": inner, "ex05.ipynb": BOOK}).read_bytes()
    archive = pack(tmp_path / "lab4.zip", contents={"ann/lab.zip": inner, "bob/lab.zip": middle})
    outer = pack(tmp_path / "outer.zip", contents={"middle.zip": middle, "ex07.ipynb": BOOK}).read_bytes()
    put(source, "eve/lab.zip", data=outer)
    archive = pack(tmp_path / "lab4.zip", contents={"ann/lab.zip": inner, "bob/lab.zip": middle, "eve/lab.zip": outer})
    put(source, "ann/lab.zip", data=inner)
    put(source, "bob/lab.zip", data=middle)
    for place in (archive, source):  # whether the outer archive is unpacked makes no difference
        collected = run(place)
        assert [(student, shown) for student, shown, _ in found(collected)] == [
            ("ann", "ann/lab.zip/ex04.ipynb"),
            ("bob", "bob/lab.zip/ex05.ipynb"),
            ("bob", "bob/lab.zip/inner.zip/ex04.ipynb"),
            ("eve", "eve/lab.zip/ex07.ipynb"),
            ("eve", "eve/lab.zip/middle.zip/ex05.ipynb"),
        ]
        deep = "1: eve/lab.zip/middle.zip/inner.zip (an archive too deep in others)"
        assert remarked(collected, "unknown file") == {"eve": deep}


@pytest.mark.parametrize(
    "name",
    [
        "../evil.ipynb",
        "a/../../evil.ipynb",
        "..\\evil.ipynb",
        "/tmp/evil.ipynb",
        "\\evil.ipynb",
        "C:\\evil.ipynb",
        "c:evil.ipynb",
        "../evil.zip",
        "x" * 300 + ".ipynb",
    ],
)
def test_names_that_lead_out_of_an_archive(source, run, name):
    pack(source / "ann.zip", name, "ex04.ipynb")
    collected = run(source)
    assert found(collected) == [("ann", "ann.zip/ex04.ipynb", KL)]
    assert any(why in remarked(collected, "unknown file")["ann"] for why in ("leads out", "too long"))


def test_backslashes_of_old_systems_are_folders(tmp_path, run):
    archive = pack(tmp_path / "lab4.zip", "ann\\ex04.ipynb", "bob\\ex04.ipynb")
    assert found(run(archive)) == [("ann", "ann/ex04.ipynb", KL), ("bob", "bob/ex04.ipynb", KL)]


def test_links_and_special_files_in_archives(source, run):
    link, pipe = zipfile.ZipInfo("link.ipynb"), zipfile.ZipInfo("pipe.ipynb")
    link.external_attr, pipe.external_attr = (stat.S_IFLNK | 0o777) << 16, (stat.S_IFIFO | 0o777) << 16
    pack(source / "ann.zip", "ex04.ipynb")
    with zipfile.ZipFile(source / "ann.zip", "a") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr(pipe, "")
    collected = run(source)
    assert [one.shown for one in collected.hand_ins] == ["ann.zip/ex04.ipynb"]
    assert remarked(collected, "unknown file")["ann"].count("a link or special file") == 2


def test_one_name_twice_and_a_file_as_folder(source, run):
    with pytest.warns(UserWarning, match="Duplicate"):
        pack(source / "ann.zip", "ex04.ipynb", "ex04.ipynb", "x.ipynb", "x.ipynb/ex05.ipynb")
    assert len({one.path for one in run(source).hand_ins}) == 4


def encrypted(path):
    data = bytearray(pack(path, "ex04.ipynb").read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + place] |= 1
    path.write_bytes(data)


def cut_off(path):
    path.write_bytes(pack(path, "ex04.ipynb").read_bytes()[:40])


def no_archive(path):
    path.write_bytes(b"hello")


def empty(path):
    path.write_bytes(b"")


def wrong_checksum(path):
    data = bytearray(pack(path, "ex04.ipynb").read_bytes())
    data[data.index(b"PK\x01\x02") + 16] ^= 255
    data[data.index(b"PK\x03\x04") + 14] ^= 255
    path.write_bytes(data)


def wrong_name(path):
    data = bytearray(pack(path, "ä.ipynb").read_bytes())
    place = data.index("ä".encode(), data.index(b"PK\x01\x02"))
    data[place : place + 2] = b"\xff\xff"
    path.write_bytes(data)


def garbage_inside(path):
    data = bytearray(pack(path, "ex04.ipynb").read_bytes())
    data[40:50] = b"\xff" * 10
    path.write_bytes(data)


def large(path):
    pack(path, "ex04.ipynb", data=b"0" * 3000)


def lying(path):
    """The headers say that it is small."""
    data = bytearray(pack(path, "ex04.ipynb", data=b"0" * 3000).read_bytes())
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.index(signature) + place
        data[start : start + 4] = struct.pack("<I", 10)
    path.write_bytes(data)


def much(path):
    pack(path, *(f"{n}.ipynb" for n in range(20)), data=b"0" * 900)


def many(path):
    pack(path, *(f"{n}.json" for n in range(50)))


def long_list(path):
    pack(path, *(f"{n}{'x' * 200}.png" for n in range(40)))


def lzma(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("ex04.ipynb", BOOK)


HOSTILE = {
    encrypted: "encrypted",
    cut_off: "broken",
    no_archive: "not a zip archive",
    empty: "not a zip archive",
    wrong_checksum: "broken",
    wrong_name: "broken",
    garbage_inside: "broken",
    large: "larger than",
    lying: "broken",
    much: "in archives",
    many: "more than 40 files",
    long_list: "list of files is too long",
    lzma: "unusual",
}


@pytest.fixture
def small_limits(monkeypatch):
    for name, limit in {
        "MAX_MEMBER": 1000,
        "MAX_UNPACKED": 5000,
        "MAX_MEMBERS": 40,
        "MAX_INDEX": 8000,
        "PIECE": 100,
    }.items():
        monkeypatch.setattr(module, name, limit)


@pytest.mark.parametrize("make", HOSTILE)
@pytest.mark.parametrize("place", ["ann.zip", "ann/work.zip"])
def test_a_bad_archive_is_remarked_and_the_rest_goes_on(source, tmp_path, run, small_limits, make, place):
    put(source, "ann/", "bob/ex04.ipynb")
    (source / "ann").rmdir() if place == "ann.zip" else None
    make(source / place)
    pack(source / "cy.zip", "ex04.ipynb")
    collected = run(source)
    assert [one.student for one in collected.hand_ins] == ["bob", "cy"]
    assert HOSTILE[make] in remarked(collected, "no access")["ann"]
    assert remarked(collected, "nothing") == {}
    left = [path for path in (tmp_path / "unpacked1").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in left if path.read_bytes() == BOOK] == [BOOK]
    assert sum(path.stat().st_size for path in left) < 1000


@pytest.mark.parametrize("make", HOSTILE)
def test_a_bad_archive_as_the_source(tmp_path, run, small_limits, make):
    make(tmp_path / "lab4.zip")
    with pytest.raises(GradingError, match=f"lab4.zip: .*{HOSTILE[make]}"):
        run(tmp_path / "lab4.zip")


def test_one_bad_file_in_an_archive_leaves_the_others(tmp_path, run, small_limits):
    archive = pack(tmp_path / "lab4.zip", contents={"ann/ex04.ipynb": b"0" * 3000, "bob/ex04.ipynb": BOOK})
    collected = run(archive)
    assert [one.student for one in collected.hand_ins] == ["bob"]
    assert remarked(collected, "no access") == {"ann": "ann/ex04.ipynb: it is larger than 0 MiB"}


def test_what_cannot_be_a_notebook_is_not_unpacked(tmp_path, source, run, small_limits):
    pack(source / "ann.zip", contents={"faces.npy": b"0" * 10_000, "ex04.ipynb": BOOK})
    assert len(run(source).hand_ins) == 1
    assert [path.stat().st_size for path in tmp_path.glob("unpacked1/*/*")] == [len(BOOK)]


def test_a_full_disk_is_not_the_archives_fault(source, run, monkeypatch):
    pack(source / "ann.zip", "ex04.ipynb")

    def full(self, *_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipExtFile, "read", full)
    with pytest.raises(GradingError, match="disk is full"):
        run(source)


# --- Nothing there ---


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "it is empty"),
        (("a.pdf", "b.pdf"), "holds a.pdf, b.pdf"),
        (tuple(f"{n}.pdf" for n in range(9)), "and 4 more"),
        (("ann/", "bob/x.pdf"), "holds ann/, bob/"),
        ((f"{KL}.ipynb",), f"holds {KL}.ipynb. Expected: .*Canvas"),
        (("a\x1b[2J.pdf",), r"holds a\\x1b\[2J.pdf"),
    ],
)
def test_nothing_to_mark(source, run, names, message):
    with pytest.raises(GradingError, match=message) as error:
        run(put(source, *names))
    assert "ann/ex01_autoencoder.ipynb" in str(error.value)


def test_no_source(tmp_path, run):
    with pytest.raises(GradingError, match="no such folder"):
        run(tmp_path / "missing")
    (tmp_path / "text.txt").write_text("hello", encoding="utf-8")
    with pytest.raises(GradingError, match="neither a folder nor a zip archive"):
        run(tmp_path / "text.txt")


# --- Rosters ---


def roster(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "roster.csv"
    path.write_bytes(text.encode(encoding))
    return read_roster(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_delimiters_and_encodings_of_rosters(tmp_path, delimiter, encoding):
    lines = ["Login;Full Name;ID;Group;Due", "zoe;Zoë Müller;7;B;2026-10-05 23:59", ";;;;", "", 'ann;"Lee; Ann";8;A;']
    text = "\r\n".join(lines).replace(";", delimiter)
    assert roster(tmp_path, text, encoding) == [
        Student("zoe", "Zoë Müller", "7", "zoe", "B", datetime(2026, 10, 5, 23, 59)),
        Student("ann", f"Lee{delimiter} Ann", "8", "ann", "A"),
    ]


def test_excels_line_about_the_delimiter_is_no_header(tmp_path):
    assert [student.key for student in roster(tmp_path, "sep=;\r\nlogin;name\r\nann;Lee, Ann")] == ["ann"]


CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,Lab 4 (99)
,,,,,Manual Posting
    Points Possible,,,,,14
"Doe, Jane",12345,S-1,jdoe,Lab A,
"Lee, Ann",777,S-2,alee,Lab B,12
"""
MOODLE = """Identifier,Full name,Email address,Status,Grade,Last modified (submission)
Participant 12345,Jane Doe,jdoe@uni.example,Submitted,-,"Monday, 5 October 2026, 11:59 PM"
Participant 777,Ann Lee,alee@uni.example,No submission,-,-
"""
BRIGHTSPACE = """OrgDefinedId,Username,Last Name,First Name,Email,End-of-Line Indicator
#12345,#jdoe,Doe,Jane,jane@uni.example,#
"""


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (CANVAS, Student("jdoe", "Doe, Jane", "12345", "jdoe", "Lab A")),
        (MOODLE, Student("jdoe@uni.example", "Jane Doe", "12345", "jdoe@uni.example")),
        (BRIGHTSPACE, Student("jdoe", "Jane Doe", "12345", "jdoe")),
        ("name\nDoe, Jane\n", Student("Doe, Jane", "Doe, Jane")),
        ("Surname,First_Name\n't Hooft,Gerard\n", Student("Gerard 't Hooft", "Gerard 't Hooft")),
        ("\n\nMatriculation number\n007\n", Student("007", id="007")),
        ("folder,section\nann,2\n", Student("ann", section="2")),
        ("User Name,Name\nann,Ann\n", Student("ann", "Ann", login="ann")),
    ],
)
def test_columns_of_rosters(tmp_path, text, first):
    assert roster(tmp_path, text)[0] == first


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2026-10-05 23:59", datetime(2026, 10, 5, 23, 59)),
        ("2026-10-05T23:59:00+02:00", datetime(2026, 10, 5, 23, 59, tzinfo=timezone(timedelta(hours=2)))),
        ("2026-10-05", datetime(2026, 10, 5, 23, 59, 59)),  # the whole day
        ("", None),
        ("-", None),
    ],
)
def test_deadlines(tmp_path, text, date):
    due = roster(tmp_path, f"login,extension\nann,{text}\n")[0].due
    assert due == date
    assert due is None or due.tzinfo == date.tzinfo


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a column id, login, folder or name; its first line has: nothing"),
        ("colour,taste\n1,2\n", "first line has: colour, taste"),
        ("login\nann\nbob\n\nAnn\n", "line 5: the login Ann is already in line 2"),
        ("login,id\nann,1\nbob,1\n", "line 3: the id 1 is already in line 2"),
        ("name\nJane Doe\nJane Doe\n", "line 3: the name or id Jane Doe is already in line 2"),
        ("login,folder\nann,x\nbob,x\n", "line 3: the folder x is already in line 2"),
        ("login,due\nann,tomorrow\n", "line 2: tomorrow is no date"),
        ("login,handed in\nann,5/10/26\n", "line 2: 5/10/26 is no date"),
        ("PK\x03\x04...", "save it as CSV"),
        ("login\n" + "x" * 200_000, "cannot be read"),
    ],
)
def test_errors_in_rosters(tmp_path, text, message):
    with pytest.raises(GradingError, match=message):
        roster(tmp_path, text)


def test_a_missing_roster(tmp_path):
    with pytest.raises(GradingError, match=r"roster none.csv cannot be read \(No such file"):
        read_roster(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "name",
    [
        "jane/x.ipynb",
        "JANE/x.ipynb",
        "12345/x.ipynb",
        "Jane Doe/x.ipynb",
        "Doe, Jane/x.ipynb",
        "doe_jane/x.ipynb",
        "DoeJane/x.ipynb",
        "Dóe Jané/x.ipynb",
        "doejane_12345_67890_x.ipynb",
        "doejane_99_67890_x.ipynb",
        "anon_12345_67890_x.ipynb",
        "Jane Doe_99_assignsubmission_file_/x.ipynb",
        "Group B-2-Jane Doe_99_assignsubmission_file_/x.ipynb",
        "Participant_12345_assignsubmission_file_/x.ipynb",
        "12345-1 - J. Doe - Oct 5, 2026 1159 PM - x.ipynb",
        "Lab 4_jane_attempt_2026-10-05-23-59-10_x.ipynb",
        "jane.zip",
        "jane_ex04.ipynb",
        "lab4/jane.ipynb",
        "Jane Doe.ipynb",
    ],
)
def test_students_are_found_on_the_roster(tmp_path, source, run, name):
    if name.endswith(".zip"):
        pack(source / name, "x.ipynb")
    else:
        put(source, name)
    collected = run(source, [ANN, JANE])
    assert [one.student for one in collected.hand_ins] == ["jane"]
    assert list(collected.students.values()) == [ANN, JANE]
    assert collected.remarks == [("ann", ("nothing", ""))]


def test_the_only_folder_is_a_students_if_the_roster_says_so(source, run):
    put(source, "jane/work/x.ipynb")
    assert [one.student for one in run(source).hand_ins] == ["work"]
    assert [one.student for one in run(source, [JANE]).hand_ins] == ["jane"]


@pytest.mark.parametrize(
    "name",
    [
        "bob/x.ipynb",
        "Jan Doe/x.ipynb",
        "Bob Ray_12345_assignsubmission_file_/x.ipynb",  # Moodle's number is another's id by chance
        "raybob_12345_1_x.ipynb",
        "Bob Ray-jane_99_assignsubmission_file_/x.ipynb",  # a part of a name that is another's login by chance
    ],
)
def test_somebody_who_is_not_on_the_roster_is_marked_too(source, run, name):
    collected = run(put(source, name), [JANE])
    (one,) = collected.hand_ins
    assert one.student != "jane"
    assert one.student in collected.students
    assert remarked(collected, "unknown student") == {one.student: ""}
    assert remarked(collected, "nothing") == {"jane": ""}


def test_by_folder_first_then_login_then_id_then_name(source, run):
    students = [
        Student("a", login="a", folder="bob"),
        Student("bob", "x", "c", "bob"),
        Student("c", "bob", "e", "c"),
        Student("d", "e", "5", "d"),
    ]
    put(source, "bob/x.ipynb", "c/x.ipynb", "e/x.ipynb", "x/x.ipynb")
    assert {one.shown[0]: one.student for one in run(source, students).hand_ins if one.shown[1] == "/"} == {
        "c": "c",
        "e": "c",
        "x": "bob",
    }
    assert {one.shown: one.student for one in run(source, students).hand_ins}["bob/x.ipynb"] == "a"


def test_an_ambiguous_name_is_nobody(source, run):
    students = [Student("jd1", "Jane Doe", login="jd1"), Student("jd2", "Doe, Jane", login="jd2")]
    collected = run(put(source, "doejane_9_1_x.ipynb"), students)
    assert [one.student for one in collected.hand_ins] == ["doejane"]
    assert remarked(collected, "unknown student") == {"doejane": "fits jd1 and jd2"}


@pytest.mark.parametrize("other", ["doejane_222_6_x.ipynb", "leeann_777_6_x.ipynb"])
def test_a_name_decides_nothing_where_numbers_do(source, run, other):
    """Another Jane Doe handed in; the number shows it, or that of somebody else shows that the roster has numbers."""
    put(source, "doejane_111_5_x.ipynb", other)
    collected = run(source, [Student("doejane", "Jane Doe", "12345", "doejane"), ANN])
    others = {"doejane_111"} | ({"doejane_222"} if "222" in other else set())
    assert remarked(collected, "unknown student").keys() == others
    assert {one.student for one in collected.hand_ins} == others | ({"ann"} if "777" in other else set())


@pytest.mark.parametrize("name", ["Anna Maria Berg", "Berg, Anna Maria"])
def test_the_words_of_a_name_in_any_order(source, run, name):
    put(source, "Maria Anna Berg/x.ipynb", "bergannamaria_1_2_x.ipynb")
    assert {one.student for one in run(source, [Student("am", name), ANN]).hand_ins} == {"am"}


def test_the_key_of_a_stranger_is_nobodys_on_the_roster(source, run):
    put(source, "doejane_111_5_x.ipynb", "leeann_777_6_x.ipynb")
    students = [Student("doejane", "Jane Doe", "12345", "doejane"), Student("doejane_111", "Al Ray", "9"), ANN]
    (stranger,) = remarked(run(source, students), "unknown student")
    assert stranger not in {student.key for student in students}


def test_folders_of_one_student_are_joined(source, run):
    put(source, "jane/a.ipynb", "Jane Doe/b.ipynb", "doejane_12345_1_c.ipynb", "12345/")
    collected = run(source, [JANE])
    assert [one.student for one in collected.hand_ins] == ["jane"] * 3
    assert collected.remarks == []


def test_aliases_and_the_roster_of_a_platform(tmp_path, source, run):
    put(source, "jdoe/x.ipynb", "S-2/x.ipynb", "doejane_12345_9_x.ipynb")
    assert Counter(one.student for one in run(source, roster(tmp_path, CANVAS)).hand_ins) == {"jdoe": 2, "alee": 1}
    put(source, "alee/x.ipynb")
    keys = {one.student for one in run(source, roster(tmp_path, MOODLE)).hand_ins}
    assert {"jdoe@uni.example", "alee@uni.example"} <= keys


def test_dates_of_the_roster(tmp_path, source, run):
    students = roster(
        tmp_path,
        "login,submitted,Handed in ex04,handed in ex05_jensen_elbo\n"
        "ann,2026-10-01,2026-10-04 12:00,2026-10-05T12:00:00+00:00\n"
        "bob,,2026-10-04,\n",
    )
    put(source, "ann/ex04.ipynb", "ann/ex05.ipynb", "ann/work.ipynb", "bob/ex04.ipynb", "bob/work.ipynb")
    put(source, "Lab_ann_attempt_2026-10-09-01-02-03_ex04.ipynb")
    dates = {one.shown: one.handed_in for one in run(source, students).hand_ins}
    assert dates == {
        "ann/ex04.ipynb": datetime(2026, 10, 4, 12),
        "ann/ex05.ipynb": datetime(2026, 10, 5, 12, tzinfo=timezone.utc),  # noqa: UP017
        "ann/work.ipynb": datetime(2026, 10, 1),
        "bob/ex04.ipynb": datetime(2026, 10, 4),
        "bob/work.ipynb": None,
        "Lab_ann_attempt_2026-10-09-01-02-03_ex04.ipynb": datetime(2026, 10, 9, 1, 2, 3),
    }


def test_one_archive_that_takes_everything_costs_the_others_nothing(tmp_path, monkeypatch):
    """The first to come may not use up what all may take together."""
    monkeypatch.setattr(module, "MAX_MEMBERS", 40)
    monkeypatch.setattr(module, "MAX_UNPACKED", 5000)
    source = tmp_path / "in"
    source.mkdir()
    greedy = {"a_1_2_work.zip": {f"{n}.json": b"{}" for n in range(38)} | {"ex04.ipynb": b"{}"}}
    greedy |= {"b_1_2_work.zip": {"ex04.ipynb": b"{" + b" " * 4500 + b"}"}}
    honest = {f"h{n}_1_2_work.zip": {"ex04.ipynb": b"{" + b" " * 900 + b"}"} for n in range(4)}
    for name, files in (greedy | honest).items():
        with zipfile.ZipFile(source / name, "w") as archive:
            for path, data in files.items():
                archive.writestr(path, data)
    (tmp_path / "unpacked").mkdir()
    collected = collect(source, ["ex04_kl_divergence"], tmp_path / "unpacked")
    assert [hand_in.student for hand_in in collected.hand_ins] == ["h0", "h1", "h2", "h3"]
    assert {place for place, remark in collected.remarks if remark.kind == "no access"} == {"a", "b"}


def test_many_files_of_one_are_one_remark(source, run, monkeypatch):
    monkeypatch.setattr(module, "MAX_MEMBERS", 40)
    put(source, "ann/ex04.ipynb")
    pack(source / "eve" / "work.zip", *(f"{n}.json" for n in range(500)))
    pack(source / "eve" / "inner.zip", contents={f"{n}.zip": b"PK" for n in range(50)})
    collected = run(source)
    assert [one.student for one in collected.hand_ins] == ["ann"]
    assert 1 <= len([place for place, remark in collected.remarks if place == "eve"]) <= 4


def test_files_that_nobody_needs_do_not_count(tmp_path, monkeypatch):
    """Somebody hands in a whole folder, with its environment and history."""
    monkeypatch.setattr(module, "MAX_MEMBERS", 40)
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
        for student in ("ann", "bob", "eve"):
            archive.writestr(f"{student}/ex04_kl_divergence.ipynb", "{}")
        for n in range(100):
            archive.writestr(f"eve/.git/{n}.json", "{}")
            archive.writestr(f"eve/pictures/{n}.png", "")
    (tmp_path / "unpacked").mkdir()
    collected = collect(tmp_path / "class.zip", ["ex04_kl_divergence"], tmp_path / "unpacked")
    assert [hand_in.student for hand_in in collected.hand_ins] == ["ann", "bob", "eve"]


def test_many_small_archives_of_one_count_together(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_UNPACKED", 20_000)
    source = tmp_path / "in"
    source.mkdir()
    for n in range(2):
        with zipfile.ZipFile(source / f"h{n}_1_2_work.zip", "w") as archive:
            archive.writestr("ex04.ipynb", "{" + " " * 3000 + "}")
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", "{" + " " * 2000 + "}")
    with zipfile.ZipFile(source / "a_1_2_work.zip", "w") as archive:
        for n in range(10):
            archive.writestr(f"{n}.zip", inner.getvalue())
    (tmp_path / "unpacked").mkdir()
    collected = collect(source, ["ex04_kl_divergence"], tmp_path / "unpacked")
    assert [hand_in.student for hand_in in collected.hand_ins] == ["h0", "h1"]


@pytest.mark.parametrize("others", [0, 4])
def test_a_whole_name_counts_more_than_a_number_and_a_part_of_the_name(tmp_path, others):
    """A platform's number may happen to be somebody else's number at the university."""
    roster = [Student("op", "Soo Park", "123458"), Student("skim", "Kim Soo", "7"), Student("x", "Other", "123460")]
    names = ["Soo Kim_123458", *(f"Jane {'Roe' * n}_{123459 + n}" for n in range(1, others + 1))]
    source = tmp_path / "in"
    for name in names:
        folder = source / f"{name}_assignsubmission_file_"
        folder.mkdir(parents=True)
        (folder / "ex04.ipynb").write_text("{}")
    (tmp_path / "unpacked").mkdir()
    collected = collect(source, ["ex04_kl_divergence"], tmp_path / "unpacked", roster)
    found = {hand_in.student for hand_in in collected.hand_ins}
    assert "skim" in found
    assert "op" not in found
