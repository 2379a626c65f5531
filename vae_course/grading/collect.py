"""Find what a class handed in: students' folders, downloads of learning platforms, zip archives; and read a roster.

Everything found is a tree of `_Item`s first, whether it lies in a folder or in an archive. Names in archives stay in
memory: on the disk, unpacked files have numbers for names, so that no name can lead anywhere. The name of an entry then
says whose it is (`_Owner`), a roster says who that is, and names and numbers say which exercise and attempt it is.
"""

import csv
import errno
import hashlib
import io
import os
import re
import shutil
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote_plus
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo, is_zipfile

from vae_course.grading.remarks import Remark, printable
from vae_course.grading.submissions import GradingError

__all__ = ["Collected", "HandIn", "Student", "collect", "read_roster", "roster_date"]

MAX_DEPTH = 7  # folders in folders: two around the students' folders, the student's own, and four in it
MAX_ARCHIVES = 2  # archives in archives
MAX_MEMBERS = 20_000  # files that are unpacked from all archives together
MAX_UNPACKED = 2 << 30  # bytes of all archives together
MAX_MEMBER = 200 << 20
MAX_INDEX = 32 << 20  # bytes of an archive's list of files
PIECE = 1 << 16  # bytes unpacked at a time
MAX_NAME = 255  # characters; longer names are possible in archives only
NAMED = 3  # names of unknown files in a remark

QUIET = {".ds_store", "__macosx", ".ipynb_checkpoints", "thumbs.db", "desktop.ini", "__pycache__", "timestamp.txt"}
OTHER_ARCHIVES = (".gz", ".tgz", ".tar", ".7z", ".rar", ".bz2", ".xz")
KINDS_OF_WORK = {"ex", "exercise", "lab", "lesson", "assignment", "homework", "hw", "notebook"}  # followed by a number
COPY = ("copy of ", "kopie von ", "copie de ", "copia de ")
DIGITS = "0123456789"
COLUMNS = {  # without case, spaces and punctuation, the best first
    "id": "id studentid sisuserid idnumber identifier orgdefinedid userid studentnumber matriculation "
    "matriculationnumber matrikelnummer",
    "name": "name student fullname studentname displayname",
    "first": "firstname givenname forename",
    "last": "lastname surname familyname",
    "folder": "folder",
    "login": "login username sisloginid loginid netid email emailaddress",
    "section": "section group",
    "due": "due duedate deadline extension",
    "handed in": "handedin submitted lastmodifiedsubmission date timestamp",
}
DATES = ("%A, %d %B %Y, %I:%M %p", "%A, %d %B %Y, %H:%M")  # Moodle's, beside ISO 8601


@dataclass(frozen=True)
class Student:
    """Somebody on the roster, or somebody who handed in.

    Args:
        key: what results call the student: the roster's login, else its id, else the folder's or file's own name.
        name: the full name, if known.
        id: the number or name that a learning platform or the university gives.
        login: the name for logging in.
        section: the group.
        due: the student's own deadline.
        folder: the name of the student's folder, if the roster has it.
        aliases: other logins and ids.
        handed_in: dates of the roster, each with the exercise as the roster names it ("" for any).
    """

    key: str
    name: str = ""
    id: str = ""
    login: str = ""
    section: str = ""
    due: datetime | None = None
    folder: str = field(default="", compare=False, repr=False)
    aliases: tuple[str, ...] = field(default=(), compare=False, repr=False)
    handed_in: tuple[tuple[str, datetime], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class HandIn:
    """A file that may be a notebook.

    Args:
        student: the key of the student.
        path: the file. It may be a link, a folder or a special file, which `read_bytes` refuses.
        shown: where it was found, relative to the source, for people.
        exercise: the exercise that its name says, if any.
        order: sorts a student's attempts, the latest last.
        handed_in: when, if the platform's name or the roster says so.
        late: the platform says that it is late.
    """

    student: str
    path: Path
    shown: str
    exercise: str | None
    order: tuple
    handed_in: datetime | None
    late: bool = False


@dataclass
class Collected:
    """What a class handed in.

    Args:
        hand_ins: every attempt, sorted by student, the latest last.
        students: everybody on the roster and everybody found, by key.
        remarks: places and remarks.
    """

    hand_ins: list[HandIn]
    students: dict[str, Student]
    remarks: list[tuple[str, Remark]]


def collect(source: Path, exercises: Collection[str], unpacked: Path, roster: Sequence[Student] = ()) -> Collected:
    """Find all hand-ins in a folder or a zip archive.

    Args:
        source: the folder or archive.
        exercises: the names of all exercises.
        unpacked: an empty folder for the contents of archives; needed as long as the hand-ins are.
        roster: everybody in the class, if known.

    Returns:
        The hand-ins, the students, and remarks on everything else.

    Raises:
        GradingError: there is nothing to collect, or the source cannot be read.
    """
    source = Path(source)
    tree = _Reader(Path(unpacked)).read_source(source)
    class_list = _ClassList(roster)
    owned, stray = _sort_out(tree, class_list, exercises)
    collected = Collected([], {student.key: student for student in roster}, [])
    keys = _identify(owned, class_list, collected)
    left = [(_shown(source.absolute().name), item) for item in stray]
    for owner, item in owned:
        student = collected.students[keys[owner]]
        for parents, leaf in _leaves(item):
            if _may_be_notebook(leaf):
                collected.hand_ins.append(_hand_in(student, owner, parents, leaf, exercises))
            else:
                left.append((student.key, leaf))
    if not collected.hand_ins:
        raise GradingError(_nothing_found(source, tree, exercises, left))
    collected.hand_ins.sort(key=lambda hand_in: (hand_in.student, hand_in.order))
    _remark(collected, left)
    return collected


def _remark(collected: Collected, left: list[tuple[str, "_Item"]]) -> None:
    """Remark what could not be opened, what is no notebook, and who handed in nothing.

    Args:
        collected: the hand-ins and students.
        left: all other files and closed folders, with the key of the student.
    """
    unknown, closed = defaultdict(list), defaultdict(list)
    for key, item in left:
        if item.trouble:
            closed[key, item.trouble].append(item)
        else:
            unknown[key].append(item)
    for (key, trouble), items in closed.items():
        shown = items[0].shown if len(items) == 1 else _listed(items)
        collected.remarks.append((key, Remark("no access", f"{shown}: {trouble}")))
    there = {hand_in.student for hand_in in collected.hand_ins} | {key for key, _ in closed}
    collected.remarks += [(key, Remark("unknown file", _listed(items))) for key, items in unknown.items()]
    collected.remarks += [(key, Remark("nothing")) for key in collected.students if key not in there]


# --- Reading folders and archives ---


@dataclass(eq=False)
class _Item:
    """A file or folder.

    Args:
        name: its name, as the system gives it.
        shown: where it is, for people.
        path: where its bytes are; None if it is in an archive and was not unpacked.
        depth: how many folders are around it.
        kind: "file", "folder" (or an archive that was unpacked), or "special" (which includes links).
        items: what a folder holds.
        time: when it was changed, in seconds.
        trouble: why it could not be read.
        note: why it is left alone.
    """

    name: str
    shown: str
    path: Path | None
    depth: int
    kind: str = "file"
    items: list["_Item"] = field(default_factory=list)
    time: float = 0.0
    trouble: str = ""
    note: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it is a folder to look into."""
        return self.kind == "folder" and not self.note


class _Refused(Exception):
    """An archive cannot be unpacked. The message says why."""


class _MemberRefused(Exception):
    """One file of an archive cannot be unpacked. The message says why."""


class _SmallReads(io.BufferedReader):
    """A file that refuses to read much at once, as `zipfile` does for an archive with a huge list of files."""

    def read(self, size=-1):
        if size is None or size < 0:  # the end of an archive, which is short
            size = MAX_INDEX
        if size > MAX_INDEX:
            raise _Refused("its list of files is too long")
        return super().read(size)


class _Reader:
    """Reads folders and archives, and counts what it unpacks."""

    def __init__(self, unpacked: Path):
        self.unpacked, self.archives = unpacked, 0
        self.around = ""  # the folder around everything, if there is one
        self.files: dict[str, dict[_Item, int]] = defaultdict(dict)  # sizes of unpacked files, by whose they are
        self.refused: dict[str, str] = {}  # why somebody's files are not unpacked

    def read_source(self, source: Path) -> _Item:
        """The tree of everything in the source."""
        root, shown = _Item(source.name, "", source, 0, "folder"), printable(_shown(str(source)))
        try:
            is_folder, is_file, exists = source.is_dir(), source.is_file(), source.exists()
        except OSError as error:
            raise GradingError(f"{shown}: cannot be opened ({error.strerror})") from error
        if is_folder:
            self.read_folder(root, nested=0)
        elif is_file and (_is_zip(source.name) or is_zipfile(source)):
            self.read_archive(root, nested=-1)  # as if it were unpacked
        elif exists:
            raise GradingError(f"{shown}: neither a folder nor a zip archive")
        else:
            raise GradingError(f"{shown}: there is no such folder or file")
        if root.trouble:
            advice = "" if is_folder else "; if it is sound, unpack it and give the folder"
            raise GradingError(f"{shown}: cannot be opened ({printable(root.trouble)}){advice}")
        return root

    def read_folder(self, folder: _Item, nested: int) -> None:
        """Fill in what a folder holds. It lies in so many nested archives."""
        try:
            with os.scandir(folder.path) as listed:
                entries = sorted(listed, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            folder.trouble = error.strerror or str(error)
            return
        for entry in entries:
            if not _is_quiet(entry.name):
                item = _Item(entry.name, _join(folder.shown, entry.name), Path(entry.path), folder.depth + 1)
                folder.items.append(item)
                self.read_entry(item, nested)

    def read_entry(self, item: _Item, nested: int) -> None:
        """Fill in what an entry of a folder is."""
        try:
            status = os.lstat(item.path)
        except OSError as error:
            item.trouble = error.strerror or str(error)
            return
        item.time = status.st_mtime
        if stat.S_ISLNK(status.st_mode):
            item.kind, item.note = "special", "a link"
        elif stat.S_ISDIR(status.st_mode):
            item.kind, item.note = "folder", _why_closed(item.name, item.depth)
            if item.is_open:
                self.read_folder(item, nested)
        elif not stat.S_ISREG(status.st_mode):
            item.kind, item.note = "special", "not a regular file"
        elif _is_zip(item.name):
            self.read_archive(item, nested)

    def read_archive(self, item: _Item, nested: int) -> None:
        """Fill in what an archive holds; it becomes a folder."""
        if nested == MAX_ARCHIVES or item.depth > MAX_DEPTH:
            item.note = "an archive too deep in others"
            return
        folder = self.unpacked / str(self.archives)
        folder.mkdir()
        self.archives += 1
        item.kind = "folder"
        try:
            with open(item.path, "rb", buffering=0) as raw, ZipFile(_SmallReads(raw)) as archive:
                self.unpack(archive, item, folder)
        except Exception as error:  # too many possible errors to list
            shutil.rmtree(folder, ignore_errors=True)
            for files in self.files.values():
                for file in [file for file in files if file.path.parent == folder]:
                    del files[file]
            item.items, item.trouble = [], _why_refused(error)
        for inner in [inner for inner in _all_items(item) if _is_zip(inner.name) and inner.path]:
            if not inner.trouble:  # it may be removed to make room for one before it
                self.read_archive(inner, nested + 1)

    def unpack(self, archive: ZipFile, root: _Item, folder: Path) -> None:
        """Unpack what may be a notebook or an archive; list everything else."""
        folders, copied, refused = {(): root}, 0, []
        members = archive.infolist()
        if not root.shown:
            tops = {member.filename.partition("/")[0] for member in members} - {"__MACOSX"}
            self.around = f"{tops.pop()}/" if len(tops) == 1 else ""
        for number, member in enumerate(members):
            item = _place(member, folders)
            if item and not item.note and (_is_zip(item.name) or _notebook_name(item.name) is not False):
                item.path = folder / str(number)
                try:
                    self.copy(archive, member, item)
                    copied += 1
                except _MemberRefused as error:
                    item.path.unlink(missing_ok=True)
                    item.trouble = str(error)
                    refused.append(item.trouble)
        if refused and not copied:
            raise _Refused(refused[0])

    def copy(self, archive: ZipFile, member: ZipInfo, item: _Item) -> None:
        """Unpack one file, piece by piece, and count what is really there."""
        if member.flag_bits & 1:
            raise _MemberRefused("it is encrypted")
        if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # others may need much memory
            raise _MemberRefused("it is compressed in an unusual way")
        whose = item.shown.removeprefix(self.around).partition("/")[0]
        files = self.files[whose]
        try:
            files[item] = 0
            self.make_room(whose)
            with archive.open(member) as source, open(item.path, "xb") as file:
                while piece := source.read(PIECE):
                    files[item] += len(piece)
                    if files[item] > MAX_MEMBER:
                        raise _MemberRefused(f"it is larger than {MAX_MEMBER >> 20} MiB")
                    self.make_room(whose)
                    file.write(piece)
        except Exception as error:  # too many possible errors to list
            files.pop(item, None)
            raise _MemberRefused(_why_refused(error)) from None

    def make_room(self, whose: str) -> None:
        """Keep to the limits on all archives. Whoever takes most has to go, so that nobody can use up others' share."""
        for what, most, shown in (
            (len, MAX_MEMBERS, f"{MAX_MEMBERS:,} files"),
            (lambda files: sum(files.values()), MAX_UNPACKED, f"{MAX_UNPACKED >> 20:,} MiB"),
        ):
            while sum(map(what, self.files.values())) > most:
                largest = max(self.files, key=lambda one: what(self.files[one]))
                self.refused[largest] = f"more than {shown} in archives, and these are the most of one student"
                for item in self.files.pop(largest):
                    item.path.unlink(missing_ok=True)
                    item.items, item.trouble = [], self.refused[largest]
                self.files.setdefault(largest, {})
        if whose in self.refused:
            raise _MemberRefused(self.refused[whose])


def _place(member: ZipInfo, folders: dict[tuple, _Item]) -> _Item | None:
    """Put a file of an archive into the tree. None if there is nothing to unpack.

    Args:
        member: the file, or a folder.
        folders: the folders so far, by the names on their path.
    """
    name = member.filename.replace("\\", "/")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if not parts or any(map(_is_quiet, parts)):
        return None
    kind, note = stat.S_IFMT(member.external_attr >> 16), ""
    if ".." in parts or name[0] == "/" or parts[0][1:2] == ":":
        parts, note = (name[:MAX_NAME],), "its name leads out of the archive"
    elif max(map(len, parts)) > MAX_NAME:
        parts, note = (name[:MAX_NAME],), "its name is too long"
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        note = "a link or special file"
    is_folder = not note and (name[-1] == "/" or kind == stat.S_IFDIR)
    above = folders[()]
    for end in range(1, len(parts) + is_folder):
        above = _folder_at(parts[:end], above, folders)
        if above.note:  # it is listed, and what it holds is not
            return None
    if is_folder:
        return None
    time = _seconds(member.date_time)
    item = _Item(parts[-1], _join(above.shown, parts[-1]), None, above.depth + 1, time=time, note=note)
    above.items.append(item)
    return item


def _folder_at(parts: tuple[str, ...], above: _Item, folders: dict[tuple, _Item]) -> _Item:
    """A folder of an archive, which is made if necessary."""
    if parts not in folders:
        note = _why_closed(parts[-1], above.depth + 1)
        folder = _Item(parts[-1], _join(above.shown, parts[-1]), None, above.depth + 1, "folder", note=note)
        above.items.append(folder)
        folders[parts] = folder
    return folders[parts]


def _seconds(date: tuple) -> float:
    try:
        return datetime(*date).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _why_refused(error: Exception) -> str:
    """Why an archive or a file in it cannot be read.

    Raises:
        GradingError: the disk is full, which is not the archive's fault.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise GradingError("the disk is full, so the archives cannot be unpacked; set TMPDIR to another folder")
    if isinstance(error, GradingError):
        raise error
    if isinstance(error, _Refused | _MemberRefused):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "it is not a zip archive, or broken" if isinstance(error, BadZipFile) else "it is broken"


def _why_closed(name: str, depth: int) -> str:
    """Why a folder is not read, if so."""
    return "a hidden folder" if name.startswith(".") else "too deep" if depth > MAX_DEPTH else ""


def _is_quiet(name: str) -> bool:
    return name.casefold() in QUIET or name.startswith("._")


def _is_zip(name: str) -> bool:
    return name.casefold().endswith(".zip")


def _all_items(item: _Item) -> Iterator[_Item]:
    for inner in item.items:
        yield inner
        yield from _all_items(inner)


def _leaves(item: _Item, parents: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], _Item]]:
    """What is to be marked or remarked of a student, and the names of the folders around it."""
    if not item.is_open or item.trouble or (parents and _is_called_notebook(item)):
        yield parents, item
        return
    for inner in item.items:
        yield from _leaves(inner, (*parents, item.name))


def _is_called_notebook(folder: _Item) -> bool:
    """Whether a folder has the name of a notebook, and holds none."""
    return bool(folder.path and _notebook_name(folder.name)) and not any(map(_may_be_notebook, folder.items))


def _join(folder: str, name: str) -> str:
    return f"{folder}/{_shown(name)}" if folder else _shown(name)


def _shown(name: str) -> str:
    """A name as text, with bytes that are no UTF-8 escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


# --- Whose it is ---


@dataclass(frozen=True)
class _Owner:
    """Whose a file or folder is, as its name says.

    Args:
        text: the student's login or name, as the platform writes it.
        platform: the learning platform, if any.
        id: the platform's number for the student.
        scope: where this number is valid.
        whole: the whole name of the file or folder.
        rest: the name that the student gave the file.
        date: when it was handed in.
        attempt: a number that grows with each attempt.
        late: the platform says that it is late.
        quiet: it holds nothing to mark.
    """

    text: str
    platform: str = ""
    id: str = ""
    scope: str = ""
    whole: str = ""
    rest: str = ""
    date: datetime | None = None
    attempt: int = 0
    late: bool = False
    quiet: bool = False

    @property
    def nameless(self) -> bool:
        """The platform hides the name."""
        return self.text.casefold() in ("anon", "anonymous", "participant")


def _canvas(name: str) -> _Owner | None:
    """`doejane_LATE_12345_67890_ex04.ipynb`: the numbers of the student and of the file."""
    parts = name.split("_")
    hidden = parts[0] == "anon"
    for place in range(1, len(parts) - 2):
        student, file = parts[place : place + 2]
        if (_is_number(student) or (hidden and student not in ("", "LATE"))) and _is_number(file):
            late = place > 1 and parts[place - 1] == "LATE"
            text = "_".join(parts[: place - late])
            rest = "_".join(parts[place + 2 :])
            return _Owner(text, "canvas", student, rest=rest, attempt=int(file), late=late) if text and rest else None
    return None


def _moodle(name: str) -> _Owner | None:
    """`Jane Doe_123456_assignsubmission_file_`, or this and the name of the file."""
    who, found, rest = name.partition("_assignsubmission_")
    text, _, number = who.rpartition("_")
    if not found or not text or not _is_number(number):
        return None
    kind, _, file = rest.partition("_")
    return _Owner(text, "moodle", number, rest=file, quiet=kind == "onlinetext")


def _blackboard(name: str) -> _Owner | None:
    """`Lab 4_doejane_attempt_2026-10-05-23-59-10_ex04.ipynb`, and a text about the attempt."""
    before, _, after = name.partition("_attempt_")
    _, _, text = before.partition("_")
    date = _parsed(after[:19], "%Y-%m-%d-%H-%M-%S")
    if not text or not date:
        return None
    return _Owner(text, "blackboard", rest=after[20:], date=date, quiet=after[19:] == ".txt")


def _brightspace(name: str) -> _Owner | None:
    """`12345-67890 - Jane Doe - Oct 5, 2026 1159 PM`, or this and the name of the file."""
    numbers, *others = re.split(r" ?- ", name, maxsplit=3)
    student, _, other = numbers.partition("-")
    if len(others) < 2 or not _is_number(student) or not _is_number(other) or not others[0].strip():
        return None
    date = _brightspace_date(others[1])
    return _Owner(others[0].strip(), "brightspace", student, rest="".join(others[2:]), date=date) if date else None


def _brightspace_date(text: str) -> datetime | None:
    """A date such as "Oct 5, 2026 1159 PM" or "5 October, 2026 11-59 PM"."""
    words = text.replace(",", " ").split()
    half = words.pop().upper() if words and words[-1].upper() in ("AM", "PM") else ""
    if len(words) != 4:
        return None
    clock = re.sub("[-.:]", "", words[3]).zfill(4)
    if _is_number(words[0]):
        words[:2] = words[1::-1]
    text = f"{words[0][:3]} {words[1]} {words[2]} {clock} {half}".strip()
    return _parsed(text, "%b %d %Y %I%M %p" if half else "%b %d %Y %H%M")


def _parsed(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


def _is_number(text: str) -> bool:
    return 0 < len(text) <= 20 and text.isascii() and text.isdecimal()


def _owner(item: _Item, place: str, exercises: Collection[str]) -> _Owner | None:
    """Whose an entry of a class's folder is. None if its name does not say.

    Args:
        item: the entry.
        place: the class's folder.
        exercises: the names of all exercises.
    """
    name = item.name
    is_file = item.kind != "folder" or _is_zip(name)
    parsers = (_brightspace, _moodle, _blackboard, _canvas) if is_file else (_brightspace, _moodle, _blackboard)
    owners = [owner for parse in parsers if (owner := parse(name))]
    if owners:  # a student may have named the file as another platform would: what comes first counts
        owner = max(owners, key=lambda owner: len(owner.rest))
        # Moodle's numbers are others for each assignment
        return replace(owner, whole=name, scope=f"{owner.platform} {place if owner.platform == 'moodle' else ''}")
    if not is_file or _is_zip(name):
        return _Owner(name if not is_file else name[: -len(".zip")] or name, whole=name)
    text = _without_exercise(name, exercises) if ".ipynb" in name.casefold() else ""
    return _Owner(text, whole=name, rest=name) if text else None


def _sort_out(
    tree: _Item, class_list: "_ClassList", exercises: Collection[str]
) -> tuple[list[tuple[_Owner, _Item]], list[_Item]]:
    """The entries of all classes' folders with their owners, and entries that nobody owns."""
    owned, stray, folders = [], [], [tree]
    while folders:
        folder = folders.pop(0)
        inner = [item for item in folder.items if item.is_open]
        beside = any(_may_be_notebook(item) for item in folder.items if not item.is_open)
        alone = len(inner) == 1
        around = not beside and all(_is_class(item, alone, class_list, exercises) for item in inner)
        for item in folder.items:
            owner = _owner(item, folder.shown, exercises)
            if item.is_open and around:
                folders.append(item)
            elif (owner and owner.quiet) or item.name.casefold() == "index.html":  # Brightspace's
                continue
            elif owner and (owner.platform or item.is_open or (item.kind != "folder" and _may_be_notebook(item))):
                owned.append((owner, item))
            else:
                stray.append(item)
    return owned, stray


def _is_class(folder: _Item, alone: bool, class_list: "_ClassList", exercises: Collection[str]) -> bool:
    """Whether a folder holds a class's hand-ins, and not one student's.

    The folders beside it must be alike, or a student could hand in under other names.

    Args:
        folder: the folder.
        alone: it is the only folder.
        class_list: the roster.
        exercises: the names of all exercises.
    """
    itself = _owner(folder, "", exercises)
    if itself.platform or class_list.fits(itself):
        return False
    owners = [owner for item in folder.items if (owner := _owner(item, folder.shown, exercises))]
    platform = [owner.text for owner in owners if owner.platform]
    if 2 * len(platform) > len(folder.items) and (alone or len(set(platform)) > 1):
        return True
    if alone and any(map(class_list.fits, owners)):
        return True
    if not alone and not _exercise(folder.name, exercises):
        return False
    if any(item.kind != "folder" and _may_be_notebook(item) for item in folder.items):
        return False
    inner = [item for item in folder.items if item.is_open]
    parts_of_one = any(_exercise(item.name, exercises) or _version(item.name) for item in inner)
    return not parts_of_one and any(_may_be_notebook(leaf) for item in inner for _, leaf in _leaves(item))


# --- Who that is ---


class _ClassList:
    """Finds students on the roster."""

    def __init__(self, students: Sequence[Student]):
        self.students = students
        self.folders, self.logins, self.ids, self.names = (defaultdict(list) for _ in range(4))
        for student in students:
            _add(self.folders, [student.folder], student)
            _add(self.logins, map(_plain, [student.login, student.key, *student.aliases]), student)
            _add(self.ids, map(_plain, [student.id, *student.aliases]), student)
            _add(self.names, _forms(student.name), student)

    def called(self, name: str) -> list[Student]:
        """The students whose whole name this is, in any order of its words."""
        return self.names.get(" ".join(sorted(_words_of_name(name))), [])

    def fits(self, owner: _Owner, by_name: bool = True, unique: bool = True) -> list[Student]:
        """The students whom an owner's name fits: by folder, else by login, else by id, else by name.

        A platform that writes names is asked for its number first, since the name of one student may be the login of
        another. A whole name counts more than a number and a part of the name, if it is `unique` among the hand-ins.
        """
        by_login = [(self.logins, _plain(owner.text))]
        words, letters = _words_of_name(owner.text), "".join(_words_of_name(owner.text))
        named = [(self.names, " ".join(sorted(words))), (self.names, letters)]
        by_folder = [(self.folders, owner.whole), (self.folders, owner.text)]
        if not owner.id:
            return _first([*by_folder, *by_login, (self.ids, _plain(owner.text)), *named])
        if fits := _first(by_folder):
            return fits
        numbered = self.ids.get(_plain(owner.id), [])  # whose name is no other
        fits = [one for one in numbered if owner.nameless or not one.name or _is_part(one.name, letters)]
        exact = self.called(owner.text)
        if fits and unique and not owner.nameless and len(exact) == 1:
            return exact
        return fits or (_first([*named, *by_login]) if by_name and not owner.nameless else [])


def _first(searches: list[tuple[dict[str, list[Student]], str]]) -> list[Student]:
    """What the first search finds that finds anything."""
    return next((index[text] for index, text in searches if text and text in index), [])


def _is_part(name: str, letters: str) -> bool:
    """Whether a word of a name is in these letters."""
    return any(word in letters for word in _words_of_name(name))


def _add(index: dict[str, list[Student]], texts: Iterable[str], student: Student) -> None:
    for text in {text for text in texts if text}:
        index[text].append(student)


def _plain(text: str) -> str:
    """A login or id, for comparison."""
    return unicodedata.normalize("NFC", text).casefold().strip()


def _words_of_name(name: str) -> list[str]:
    """The words of a name without case, accents and punctuation."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    letters = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return "".join(letter if letter.isalnum() else " " for letter in letters).split()


def _forms(name: str) -> Iterator[str]:
    """The words of a name in alphabetical order, and all letters from each word on (Canvas writes "doejane")."""
    words = _words_of_name(name)[:20]
    yield " ".join(sorted(words))
    for start in range(len(words)):
        yield "".join(words[start:] + words[:start])


def _identify(owned: list[tuple[_Owner, _Item]], class_list: _ClassList, collected: Collected) -> dict[_Owner, str]:
    """The key of each owner. Students who are not on the roster are added."""
    numbers = defaultdict(set)  # of all students with the same name
    for owner, _ in owned:
        if owner.id:
            numbers[owner.scope, owner.text].add(owner.id)
    shared = {text for (_, text), ids in numbers.items() if len(ids) > 1}
    ids = {owner: _plain(owner.id) in class_list.ids for owner, _ in owned if owner.id}
    scopes = {owner.scope for owner in ids}
    numbered = {scope for scope in scopes if 2 * _known(ids, scope) >= sum(owner.scope == scope for owner in ids)}
    listed = {student.key for student in class_list.students}
    title = _end_of_title([owner.text for owner, _ in owned if owner.platform == "blackboard"])
    keys, remarks = {}, {}
    for owner, _ in owned:
        decided = owner.text in shared or owner.scope in numbered  # by the number, so the name is no help
        fits = class_list.fits(owner, by_name=not decided, unique=owner.text not in shared)
        if not fits and owner.platform == "blackboard":
            fits = class_list.fits(replace(owner, text=owner.text.removeprefix(title)))
        if not fits and owner.platform == "moodle" and not decided:
            fits = next(filter(None, map(class_list.called, _without_group(owner.text))), [])
        if len(fits) == 1:
            keys[owner] = fits[0].key
            continue
        keys[owner] = key = _own_key(owner, shared, listed)
        name = owner.text if owner.platform in ("moodle", "brightspace") and not owner.nameless else ""
        collected.students.setdefault(key, Student(key, _shown(name), owner.id))
        if class_list.students:
            detail = f"fits {' and '.join(student.key for student in fits)}" if fits else ""
            if not fits and decided and (named := class_list.called(owner.text)):
                detail = f"{named[0].key} has this name, but another number than {owner.id}"
            remarks[key, detail] = (key, Remark("unknown student", detail))
    collected.remarks += remarks.values()
    return keys


def _without_group(text: str) -> list[str]:
    """What may be the name in `Group A-Jane Doe`, as Moodle writes it for classes with groups."""
    parts = text.split("-")
    names = ["-".join(parts[start:]) for start in range(1, len(parts))]
    return [name for name in names if len(_words_of_name(name)) > 1]


def _known(ids: dict[_Owner, bool], scope: str) -> int:
    """How many numbers of a scope are on the roster. If half are, a number says who somebody is, and no name does."""
    return sum(known for owner, known in ids.items() if owner.scope == scope)


def _end_of_title(texts: list[str]) -> str:
    """What an assignment's title with "_" leaves before all logins (Blackboard: "4_" of "Lab_4_doejane_attempt_")."""
    if len(set(texts)) < 2:
        return ""
    columns = zip(*(text.split("_")[:-1] for text in texts), strict=False)
    return "".join(f"{column[0]}_" for column in takewhile(lambda column: len(set(column)) == 1, columns))


def _own_key(owner: _Owner, shared: set[str], listed: set[str]) -> str:
    """A key for somebody who is not on the roster, which nobody else has."""
    key = _shown(owner.text)
    if owner.id and (owner.text in shared or owner.nameless or key in listed):
        key = f"{key}_{owner.id}"
    if key in listed or any("\udc80" <= letter <= "\udcff" for letter in owner.text):  # bytes that are no UTF-8
        key = f"{key}-{hashlib.sha256(os.fsencode(owner.text)).hexdigest()[:8]}"
    return key


# --- What it is ---


def _notebook_name(name: str) -> bool | None:
    """Whether a name is that of a notebook; None if only the contents can say."""
    name = name.casefold()
    if name.startswith(".") or name.endswith(OTHER_ARCHIVES) or _is_zip(name):
        return False
    return True if ".ipynb" in name else None if os.path.splitext(name)[1] in ("", ".json", ".txt") else False


def _may_be_notebook(item: _Item) -> bool:
    """Whether to mark a file. Folders and links with the name of a notebook are refused later, with the reason."""
    by_name = _notebook_name(item.name)
    if item.trouble or not item.path or by_name is False:
        return False
    return by_name or (item.kind == "file" and _begins_as_json(item.path))


def _begins_as_json(path: Path) -> bool:
    """Whether the first character of a file is a brace, in UTF-8 or UTF-16."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(4096).lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").startswith(b"{")
    except OSError:
        return False


def roster_date(student: Student, exercise: str | None, exercises: Collection[str]) -> datetime | None:
    """When a student handed in an exercise, if the roster says so."""
    dates = {_exercise(text, exercises) if text else "": date for text, date in student.handed_in}
    return (dates.get(exercise) if exercise else None) or dates.get("")


def _hand_in(
    student: Student, owner: _Owner, parents: tuple[str, ...], item: _Item, exercises: Collection[str]
) -> HandIn:
    """A file as an attempt.

    Args:
        student: who handed it in.
        owner: what the platform's name says about it.
        parents: the folders around it, the student's first.
        item: the file.
        exercises: the names of all exercises.
    """
    own_name = item.name if parents else owner.rest
    folders = parents[:0:-1]  # those in the student's folder, the nearest first
    names = (own_name, *folders, owner.rest)
    exercise = next((named for name in names if (named := _exercise(name, exercises))), None)
    version = next(filter(None, map(_version, folders)), 0)
    order = (owner.date or datetime.min, owner.attempt, version, _copy(_stem(own_name))[1], item.time, item.shown)
    handed_in = owner.date or roster_date(student, exercise, exercises)
    return HandIn(student.key, item.path, item.shown, exercise, order, handed_in, owner.late)


def _version(name: str) -> int:
    """The number of a folder such as "Version 2" (of Teams); 0 if it has none."""
    words = _words(name)
    return int(words[1]) if len(words) == 2 and words[0] in ("version", "attempt") and _is_number(words[1]) else 0


def _stem(name: str) -> str:
    """A file's name in lower case, without the suffixes of a notebook and without %20 and + for spaces."""
    stem = unquote_plus(name).casefold().strip()
    while stem.endswith((".ipynb", ".json", ".txt")):
        stem = os.path.splitext(stem)[0].strip()
    return stem


def _copy(stem: str) -> tuple[str, int]:
    """A stem without what browsers, systems and Canvas add to a copy, and the number of the copy."""
    for start in COPY:
        if stem.startswith(start):
            return stem.removeprefix(start), 1
    text = stem.rstrip(") ")
    head = text.rstrip(DIGITS)
    digits = text[len(head) :]
    if head.rstrip(" (").endswith(("-copy", "- copy", "_copy")):
        return head.rstrip(" (").removesuffix("copy").rstrip(" -_"), int(digits[:4] or 1)
    if 0 < len(digits) <= 3 and head.endswith(("(", "-")):
        return head.rstrip("( -"), int(digits)
    return stem, 0


@lru_cache(maxsize=1000)
def _words(text: str) -> tuple[str, ...]:
    """The words and numbers of a name, in lower case."""
    text = unicodedata.normalize("NFC", text).casefold()
    return tuple("".join(letter if letter.isalnum() else " " for letter in text).split())


def _exercise(name: str, exercises: Collection[str]) -> str | None:
    """The exercise that a name says: its whole name, else "ex04" or "lab 4", else nothing but its number or topic."""
    stem = _stem(name)
    words, bare = _words(stem), _words(_copy(stem)[0])
    numbers = set(_numbers(words))
    for says in (
        lambda known: f" {' '.join(known)} " in f" {' '.join(words)} ",
        lambda known: "".join(known) == "".join(bare),
        lambda known: bool(numbers & set(_numbers(known))),
        lambda known: bare[1:] in ((), known[1:]) and bare[:1] != () and _number(bare[0]) in _numbers(known),
        lambda known: bare == known[1:] != (),
    ):
        fits = [exercise for exercise in exercises if says(_words(exercise))]
        if fits:
            return fits[0] if len(fits) == 1 else None
    return None


def _numbers(words: tuple[str, ...]) -> Iterator[int]:
    """The numbers that follow "ex", "lab" and the like, in one word or two."""
    for word, after in zip(words, (*words[1:], ""), strict=False):
        kind = word.rstrip(DIGITS)
        number = _number(word[len(kind) :] or after)
        if kind in KINDS_OF_WORK and number is not None:
            yield number


def _number(text: str) -> int | None:
    return int(text) if len(text) <= 3 and _is_number(text) else None


def _without_exercise(name: str, exercises: Collection[str]) -> str:
    """The rest of a file's name, which may be a student's."""
    stem = re.split(r"\.ipynb", name, maxsplit=1, flags=re.IGNORECASE)[0].strip()
    stem = next((stem[len(start) :] for start in COPY if stem.lower().startswith(start)), stem)
    about = set(_words(_exercise(name, exercises) or "")) | KINDS_OF_WORK | {"late", "copy", "final"}
    parts = [part for part in re.split(r"[\s_.()+-]", stem) if part]
    kept = [part for part in parts if part.casefold() not in about and not _is_numbered_work(part)]
    return stem if kept == parts else " ".join(kept)


def _is_numbered_work(word: str) -> bool:
    """Whether it is a short number, alone or after "ex", "lab" and the like."""
    kind = word.casefold().rstrip(DIGITS)
    return kind in KINDS_OF_WORK | {""} and len(word) - len(kind) <= 3


def _listed(items: list[_Item]) -> str:
    """The number of files, and the names of the first."""
    named = []
    for item in items[:NAMED]:
        note = item.note or ("only zip archives are opened" if item.name.casefold().endswith(OTHER_ARCHIVES) else "")
        named.append(f"{item.shown} ({note})" if note else item.shown)
    return f"{len(items):,}: {', '.join(named)}{', …' if len(items) > NAMED else ''}"


def _nothing_found(source: Path, tree: _Item, exercises: Collection[str], left: list[tuple[str, _Item]]) -> str:
    """What is there instead of hand-ins, and what was expected."""
    names = [printable(_shown(item.name)) + "/" * (item.kind == "folder") for item in tree.items]
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    holds = f"it holds {', '.join(names[:5])}{more}" if names else "it is empty"
    reason = next((f" ({printable(item.shown)}: {printable(item.trouble)})" for _, item in left if item.trouble), "")
    example = min(exercises, default="EXERCISE")
    return (
        f"{printable(_shown(str(source)))}: no notebooks were found; {holds}{reason}. Expected: a folder for each "
        f"student (such as ann/{example}.ipynb), or what Canvas, Moodle, Blackboard or Brightspace downloads"
    )


# --- The roster ---


def read_roster(path: Path) -> list[Student]:
    """Read the list of a class: a CSV file, such as Canvas' gradebook or Moodle's grading worksheet.

    Args:
        path: the file. It has a column for the id, the login, the folder or the name; and may have others.

    Returns:
        The students, in the order of the file.

    Raises:
        GradingError: it is no such file, a date cannot be read, or a student is there twice.
    """
    path = Path(path)
    shown = printable(_shown(path.name))
    try:
        text = _decoded(path.read_bytes())
        lines = [line for line in _records(text) if any(cell.strip() for cell in line[1])]
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise GradingError(f"the roster {shown} cannot be read ({reason})") from error
    header = lines[0][1] if lines else []
    columns = _columns(header)
    if not columns.keys() & {"id", "login", "folder", "name", "first", "last"}:
        found = ", ".join(printable(cell.strip()) for cell in header[:10]) or "nothing"
        raise GradingError(f"the roster {shown} needs a column id, login, folder or name; its first line has: {found}")
    dated = _dated_columns(header)
    students, seen = [], {}
    for line, cells in lines[1:]:
        place = f"the roster {shown}, line {line}"
        student = _student(cells, columns, dated, place)
        if student:
            _refuse_second(student, line, seen, place)
            students.append(student)
    return students


def _decoded(data: bytes) -> str:
    """The text of a file in UTF-8, UTF-16 or Latin-1."""
    if data.startswith(b"PK\x03\x04"):
        raise ValueError("it is a spreadsheet or an archive; save it as CSV")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    if b"\0" in data[:2]:  # UTF-16 without a mark
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _records(text: str) -> list[tuple[int, list[str]]]:
    """The lines of a CSV file, with their numbers. The delimiter is the one with which most columns are known."""

    def read(delimiter):
        rows = csv.reader(io.StringIO(re.sub("^sep=.", "", text), newline=""), delimiter=delimiter)  # Excel's
        return [(rows.line_num, row) for row in rows]

    def known(records):
        header = next((row for _, row in records if any(map(str.strip, row))), [])
        return sum(map(len, _columns(header).values())), sum(len(row) == len(header) for _, row in records)

    return max(map(read, ",;\t"), key=known)


def _squeezed(text: str) -> str:
    return "".join(_words(text))


def _columns(header: list[str]) -> dict[str, list[int]]:
    """Where each kind of column is, the best of its kind first."""
    places = [_squeezed(cell) for cell in header]
    columns = {
        kind: [places.index(name) for name in names.split() if name in places] for kind, names in COLUMNS.items()
    }
    return {kind: found for kind, found in columns.items() if found}


def _dated_columns(header: list[str]) -> dict[int, str]:
    """Columns such as "handed in ex04": what follows "handed in"."""
    dated = {}
    for place, cell in enumerate(header):
        for start in ("handedin", "submitted"):
            exercise = _squeezed(cell).removeprefix(start)
            if exercise and exercise != _squeezed(cell):
                dated[place] = exercise
    return dated


def _student(cells: list[str], columns: dict[str, list[int]], dated: dict[int, str], place: str) -> Student | None:
    """The student of a line. None if it names nobody (Canvas has such lines)."""
    row = dict(enumerate(map(str.strip, cells)))
    values = {kind: [row[at] for at in columns.get(kind, ()) if row.get(at)] for kind in COLUMNS}
    ids, logins = (list(filter(None, map(_bare, values[kind]))) for kind in ("id", "login"))
    name = next(iter(values["name"]), "") or " ".join(values["first"][:1] + values["last"][:1])
    folder, section = (next(iter(values[kind]), "") for kind in ("folder", "section"))
    key = next(filter(None, (*logins, *ids, folder, name)), "")
    if not key or name.casefold() == "points possible":
        return None
    mail = [login.partition("@")[0] for login in logins if "@" in login]
    handed_in = [("", text) for text in values["handed in"][:1]] + [(dated[at], row.get(at, "")) for at in dated]
    handed_in = [(exercise, _date(text, place)) for exercise, text in handed_in]
    return Student(
        key,
        name,
        next(iter(ids), ""),
        next(iter(logins), ""),
        section,
        _date(next(iter(values["due"]), ""), place, end_of_day=True),
        folder,
        (*ids[1:], *logins[1:], *filter(None, mail)),
        tuple((exercise, date) for exercise, date in handed_in if date),
    )


def _bare(text: str) -> str:
    """An id or login without Brightspace's "#", a spreadsheet's "'", and Moodle's word ("Participant 123456")."""
    text = text.lstrip("#'").strip()
    word, _, number = text.rpartition(" ")
    return number if word.replace("/", "").isalpha() and _is_number(number) else text


def _date(text: str, place: str, end_of_day: bool = False) -> datetime | None:
    """A date of the roster; None if it is empty."""
    if not text.strip("- "):
        return None
    for form in DATES:
        if date := _parsed(text, form):
            return date
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        message = f"{place}: {printable(text)} is no date such as 2026-10-05 23:59"
        raise GradingError(f"{message} (correct it, or remove the column)") from None
    is_day = end_of_day and date.time() == time() and len(text) <= len("2026-10-05")
    return date.replace(hour=23, minute=59, second=59) if is_day else date


def _refuse_second(student: Student, line: int, seen: dict[tuple[str, str], int], place: str) -> None:
    """Raise an error if a student is there twice."""
    for kind, text in (
        ("login", student.login),
        ("id", student.id),
        ("folder", student.folder),
        ("name or id", student.key),
    ):
        first = seen.setdefault((kind, text if kind == "folder" else _plain(text)), line) if text else line
        if first != line:
            raise GradingError(f"{place}: the {kind} {printable(text)} is already in line {first}")
