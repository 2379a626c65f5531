"""The page about a class and the pages of students: the numbers, and what students wrote in them."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from vae_course.grading.marking import Marked, Result, unmarked
from vae_course.grading.remarks import KINDS, Remark
from vae_course.grading.statistics import class_statistics, page_template, remarks_for_students, write_class_page
from vae_course.grading.submissions import Exercise, Submission
from vae_course.notebooks import answer_id
from vae_course.tasks import EXERCISES
from vae_course.visible.outcomes import Kind

KL, ELBO = "ex04_kl_divergence", "ex05_jensen_elbo"
TASKS = list(EXERCISES[KL])
STUB = "def stub(x):\n    a = 0\n    b = 0\n    c = 0\n    raise NotImplementedError\n"
LONG = "def f(x):\n    a = x + 1\n    b = a * 2\n    c = b - a\n    return a, c\n"
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
HOSTILE = ["<script>alert(1)</script>", "a\u202egnp.exe", "\x1b[2Jgone", "two\nlines", "x" * 10_000]
WRITTEN = ["&lt;script&gt;", "a\\u202egnp.exe", "\\x1b[2Jgone", "two\\nlines", "x" * 199 + "…"]


def exercise(name=KL):
    cells = {answer_id(task): nbformat.v4.new_code_cell(STUB) for task in EXERCISES[name]}
    return Exercise(name, {}, cells, (), "written", ())


COURSE = {name: exercise(name) for name in (KL, ELBO)}


def submission(student, name=KL):
    return Submission(student, name, Path(student, f"{name}.ipynb"))


def marked(*faults, answers=None, seconds=0.0, remarks=(), name=KL):
    """A notebook with these faults (verdict, hint) in its first tasks; None and the rest: passed."""
    results = []
    for number, (task, points) in enumerate(EXERCISES[name].items()):
        fault = faults[number] if number < len(faults) else None
        verdict, hint = fault or (Kind.PASSED, "")
        results.append(Result(task, 0.0 if fault else float(points), float(points), verdict, hint))
    return Marked(results, answers or {}, list(remarks), seconds)


def unreadable():
    return unmarked(exercise(), "it is empty")


def statistics(notebooks, students=(), **named):
    """The statistics of notebooks of one exercise, by student."""
    return class_statistics({submission(who): each for who, each in notebooks.items()}, students, COURSE, **named)


def of_exercise(notebooks, students=(), **named):
    return statistics(notebooks, students, **named)["exercises"][KL]


def page(tmp_path, found, troubles=()):
    write_class_page(tmp_path / "class.html", found, troubles)
    return (tmp_path / "class.html").read_text(encoding="utf-8")


def feedback(student, *parts):
    return page_template("feedback.html").render(student=student, parts=[(COURSE[name], each) for name, each in parts])


MISTAKE = (Kind.MISTAKE, "forgot the ½\nWhich factor stands there?")
NOT_WRITTEN = (Kind.NOT_WRITTEN, "not written yet\nStuck?")


def raised(error, line="return x"):
    return Kind.RAISED, f"your function stopped with an error\nline 2, in f: {line}\n{error}"


# Numbers


def test_points_agree_with_those_computed_by_hand():
    # Of 14 points: ann 14, bob 12, cy 10, dee 0
    notebooks = {"ann": marked(), "bob": marked(MISTAKE), "cy": marked(MISTAKE, MISTAKE), "dee": marked(*[MISTAKE] * 6)}
    points = of_exercise(notebooks)["points"]
    assert (points["max"], points["mean"], points["median"]) == (14, 9.0, 11.0)
    assert points["quartiles"] == [7.5, 12.5]
    assert [bar["points"] for bar in points["distribution"]] == list(range(15))
    assert {bar["points"]: bar["count"] for bar in points["distribution"] if bar["count"]} == {
        0: 1,
        10: 1,
        12: 1,
        14: 1,
    }


def test_points_that_are_no_whole_numbers_have_a_bar_too():
    half = marked()
    half.results[0] = Result(TASKS[0], 1.5, 2.0, Kind.PASSED)
    bars = of_exercise({"ann": half})["points"]["distribution"]
    assert {"points": 13.5, "count": 1} in bars
    assert len(bars) == 16


def test_who_handed_in_and_who_did_not():
    found = statistics({"bob": marked(), "guest": marked()}, ["dee", "bob", "ann"])
    assert (found["students"], found["handed_in"], found["submissions"]) == (4, 2, 2)
    assert found["exercises"][KL]["handed_in"] == 2
    assert found["exercises"][KL]["not_handed_in"] == ["ann", "dee"]


def test_exercises_that_nobody_handed_in_are_left_out_and_the_others_are_apart():
    grades = {submission("bob", ELBO): marked(MISTAKE, name=ELBO), submission("ann"): marked()}
    found = class_statistics(grades, [], COURSE)
    assert list(found["exercises"]) == [KL, ELBO]
    assert found["exercises"][ELBO]["not_handed_in"] == ["ann"]
    assert found["exercises"][KL]["points"]["mean"] == 14
    assert list(statistics({"ann": marked()})["exercises"]) == [KL]


def test_shares_and_verdicts_of_a_task():
    notebooks = {"ann": marked(), "bob": marked(MISTAKE), "cy": marked(NOT_WRITTEN), "dee": marked(MISTAKE)}
    tasks = of_exercise(notebooks)["tasks"]
    assert list(tasks) == TASKS
    assert (tasks[TASKS[0]]["passed"], tasks[TASKS[0]]["share"]) == (1, 0.25)
    assert tasks[TASKS[0]]["verdicts"] == {"passed": 1, "mistake": 2, "not written": 1}
    assert tasks[TASKS[1]]["verdicts"] == {"passed": 4}


def test_the_commonest_mistake_is_first_with_its_whole_hint():
    notebooks = {"ann": marked(NOT_WRITTEN), "bob": marked(MISTAKE), "cy": marked(MISTAKE), "dee": marked()}
    first, second = of_exercise(notebooks)["tasks"][TASKS[0]]["mistakes"]
    assert first == {
        "verdict": "mistake",
        "title": "forgot the ½",
        "hint": "Which factor stands there?",
        "count": 2,
        "share": 0.5,
        "points": 4.0,
    }
    assert (second["title"], second["hint"], second["count"]) == ("not written yet", "", 1)


def test_five_mistakes_are_named_and_the_others_counted():
    notebooks = {f"s{n}": marked((Kind.MISTAKE, f"mistake {n}\nHint")) for n in range(7)}
    task = of_exercise(notebooks | {"again": marked((Kind.MISTAKE, "mistake 6\nHint"))})["tasks"][TASKS[0]]
    assert [mistake["title"] for mistake in task["mistakes"]] == [f"mistake {n}" for n in (6, 0, 1, 2, 3)]
    assert task["others"] == 2


def test_the_same_error_is_one_mistake_whatever_the_lines():
    notebooks = {f"s{n}": marked(raised(f"NameError: name 'x{n % 3}' is not defined", f"y{n}")) for n in range(40)}
    (mistake,) = of_exercise(notebooks)["tasks"][TASKS[0]]["mistakes"]
    assert (mistake["title"], mistake["count"]) == ("stopped with NameError", 40)
    assert mistake["hint"] == "NameError: name 'x0' is not defined"  # the commonest: 14 of 40


@pytest.mark.parametrize(
    ("error", "title"),
    [
        ("NameError: name 'x' is not defined\nWas the cell run? The imports are in the first cell.", "NameError"),
        ("RuntimeError: sizes differ\nNote: this has\nFour: lines", "RuntimeError"),
        ("my.Own_Error: oh", "my.Own_Error"),
        ("KeyboardInterrupt: ", "KeyboardInterrupt"),
        ("", "an error"),
    ],
)
def test_an_error_is_named_by_its_type(error, title):
    (mistake,) = of_exercise({"ann": marked(raised(error))})["tasks"][TASKS[0]]["mistakes"]
    assert mistake["title"] == f"stopped with {title}"


def test_the_five_mistakes_that_lost_most_points():
    # Tasks are worth 2, 2, 2, 2, 3, 3. In task 5, 3 students lose 9 points; in task 1, 4 lose 8.
    faults = [("a", 4), ("b", 1), ("c", 2), ("d", 3), ("e", 3), ("f", 1)]
    notebooks = {
        f"s{n}": marked(*[(Kind.MISTAKE, f"{name}\nhint {name}") if n < many else None for name, many in faults])
        for n in range(5)
    }
    lost = statistics(notebooks)["most_points_lost"]
    assert [(each["title"], each["count"], each["points"]) for each in lost] == [
        ("e", 3, 9),
        ("a", 4, 8),
        ("d", 3, 6),
        ("c", 2, 4),
        ("f", 1, 3),
    ]
    assert (lost[0]["exercise"], lost[0]["task"], lost[0]["hint"]) == (KL, TASKS[4], "hint e")


def test_times_and_the_slowest():
    seconds = {"ann": 1.0, "bob": 9.0, "cy": 2.0, "dee": 5.0, "eve": 5.0}
    found = of_exercise({who: marked(seconds=time) for who, time in seconds.items()})["seconds"]
    assert found["median"] == 5.0
    assert [each["student"] for each in found["slowest"]] == ["bob", "dee", "eve"]
    assert found["slowest"][0]["seconds"] == 9.0


def test_failures_name_students_and_tasks():
    slow, crash = (Kind.TIMEOUT, "It took longer than 10 s."), (Kind.CRASHED, "It ended its process.")
    notebooks = {
        "bob": marked(slow, slow),
        "ann": marked(None, slow, crash),
        "cy": unreadable(),
        "dee": marked(MISTAKE),
    }
    assert of_exercise(notebooks)["failures"] == {
        "unreadable": [{"student": "cy", "tasks": TASKS}],
        "timeout": [{"student": "ann", "tasks": TASKS[1:2]}, {"student": "bob", "tasks": TASKS[:2]}],
        "crashed": [{"student": "ann", "tasks": TASKS[2:3]}],
    }


def test_notebooks_that_could_not_be_read_count_in_no_other_number():
    found = of_exercise({"ann": marked(MISTAKE, seconds=3.0), "bob": unreadable()})
    assert (found["handed_in"], found["marked"]) == (2, 1)
    assert found["points"]["mean"] == 12
    assert found["tasks"][TASKS[1]]["share"] == 1
    assert found["seconds"]["median"] == 3
    assert statistics({"ann": marked(), "bob": unreadable()})["most_points_lost"] == []


def test_late_submissions():
    late = {submission("bob"): 1.5, submission("ann"): 0.25, submission("cy"): 0.0, submission("gone"): 3.0}
    found = of_exercise({who: marked() for who in ("dee", "cy", "bob", "ann")}, late=late | {submission("dee"): None})
    days = {each["student"]: each["days"] for each in found["late"]}
    assert days == {"ann": 0.25, "bob": 1.5, "dee": None}


def test_the_order_of_submissions_changes_nothing():
    notebooks = {f"s{n}": marked(*[MISTAKE] * (n % 4), NOT_WRITTEN, answers={TASKS[0]: LONG}) for n in range(12)}
    turned = dict(reversed(notebooks.items()))
    assert json.dumps(statistics(notebooks, ["b", "a"])) == json.dumps(statistics(turned, ["a", "b"]))


# Identical answers


def identical(**sources):
    """Groups of students with identical answers to the first task."""
    found = of_exercise({who: marked(answers={TASKS[0]: source}) for who, source in sources.items()})
    assert all(group["tasks"] == TASKS[:1] for group in found["identical_answers"])
    return [group["students"] for group in found["identical_answers"]]


def test_comments_formatting_and_docstrings_make_no_difference():
    other = (
        'def f(x):\n  """What it does."""\n  a = (x+1)  # one\n\n\n  b = a*2\n  c = (b\n    -a)\n  return (a, c)\n# end'
    )
    assert identical(bob=other, ann=LONG) == [["ann", "bob"]]


def test_other_names_or_numbers_make_a_difference():
    assert identical(ann=LONG, bob=LONG.replace("a", "u")) == []
    assert identical(ann=LONG, bob=LONG.replace("1", "2")) == []


def test_short_answers_and_imports_are_not_compared():
    short = (
        "import torch\nimport math\nfrom math import e\n\ndef f(x):\n    '''Text'''\n    a = x\n    b = a\n    return b"
    )
    assert identical(ann=short, bob=short) == []
    longer = short.replace("return b", "c = b\n    return c")
    assert identical(ann=longer, bob=longer) == [["ann", "bob"]]


def test_stubs_are_not_compared():
    assert identical(ann=STUB, bob=STUB + "# Help\n") == []
    assert identical(ann=STUB.replace("raise NotImplementedError", "return a"), bob=STUB) == []


def test_what_is_not_python_is_compared_line_by_line():
    broken = "".join(f"!echo {n}\n" for n in range(8))
    assert identical(ann=broken, bob=broken.replace("\n", "  \n\n")) == [["ann", "bob"]]
    assert identical(ann=broken, bob=broken.replace("7", "8")) == []
    assert identical(ann="def f(:", bob="def f(:") == []


@pytest.mark.parametrize(
    "source",
    ["(" * 9000, "-" * 19_999 + "1", "a" + ".b" * 9990, "not " * 4999 + "1", "\0", "\ud800", "x = " + "1" * 9000, ""],
)
def test_no_source_stops_the_comparison(source):
    assert identical(ann=source, bob=source, cy=LONG, dee=LONG) == [["cy", "dee"]]


def test_groups_that_agree_in_more_tasks_come_first():
    first, second = LONG, LONG.replace("2", "3")
    answers = {
        "ann": {TASKS[0]: first, TASKS[1]: first},
        "bob": {TASKS[0]: second, TASKS[1]: first, TASKS[2]: second},
        "cy": {TASKS[0]: first, TASKS[2]: second},
        "dee": {TASKS[0]: first, TASKS[1]: first},
    }
    found = of_exercise({who: marked(answers=each) for who, each in answers.items()})["identical_answers"]
    assert found == [
        {"students": ["ann", "dee"], "tasks": TASKS[:2]},
        {"students": ["ann", "bob", "dee"], "tasks": [TASKS[1]]},
        {"students": ["ann", "cy", "dee"], "tasks": [TASKS[0]]},
        {"students": ["bob", "cy"], "tasks": [TASKS[2]]},
    ]


def test_the_page_accuses_nobody_and_stays_short(tmp_path):
    notebooks = {f"s{n:02}": marked(answers={TASKS[0]: LONG.replace("2", str(n // 2))}) for n in range(24)}
    text = page(tmp_path, statistics(notebooks))
    assert "may have innocent reasons" in text
    assert not re.search("plagiar|cheat|copied|suspect", text, re.I)
    assert "s18; s19" in text
    assert "s20, s21" not in text
    assert "2 other groups" in text


# Pages


class Page(HTMLParser):
    """Checks that tags are balanced, and collects what the tests ask about."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.headings, self.scopes, self.attributes = [], [], [], [], [], []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.attributes += [(tag, *each) for each in attrs]
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.scopes += [found.get("scope")] if tag == "th" else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def assert_sound(text):
    found = Page(text)
    assert len(found.ids) == len(set(found.ids))
    assert {link[1:] for link in found.links} <= set(found.ids)
    assert {link[0] for link in found.links} <= {"#"}
    assert found.headings[0] == 1
    assert found.headings.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in zip(found.headings, found.headings[1:], strict=False))
    assert set(found.scopes) <= {"row", "col"}
    assert "script" not in {tag for tag, *_ in found.attributes}
    assert not {name for _, name, _ in found.attributes if name == "src" or name.startswith("on")}
    named = {value for _, name, value in found.attributes if name == "aria-labelledby"}
    assert named <= set(found.ids)
    assert ("html", "lang", "en") in found.attributes
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069]", text)
    return found


def a_class():
    fault = (Kind.MISTAKE, "a title\nA hint")
    notebooks = {f"s{n}": marked(*[fault] * (n % 5), raised("E: x"), answers={TASKS[0]: LONG}) for n in range(9)}
    grades = {submission(who): each for who, each in notebooks.items()} | {submission("u"): unreadable()}
    grades[submission("s0", ELBO)] = marked((Kind.TIMEOUT, "It took longer than 10 s."), name=ELBO)
    return class_statistics(
        grades, ["absent"], COURSE, {submission("s1"): 2.0, submission("s2"): 0.1, submission("s3"): None}
    )


def test_the_page_of_a_class_is_sound_and_has_everything(tmp_path):
    text = assert_sound(page(tmp_path, a_class(), ["nobody on the roster: x"])).text
    for words in (
        "10 of 11 students handed in 11 notebooks.",
        "1 notebook could not be read, so it has no points yet.",
        "1 student did not hand it in",
        "absent",
        "a title",
        "A hint",
        "stopped with E",
        "unreadable: u",
        "timeout: s0 (elbo/jensen_gap)",
        "s0; s1; s2; s3; s4; s5; s6; s7; s8: kl/discrete",
        "s1 (2 days), s2 (2 hours), s3 (late).",
        "nobody on the roster: x",
    ):
        assert words in text, words


def test_numbers_of_the_page_are_those_of_the_class(tmp_path):
    found = a_class()
    text = page(tmp_path, found)
    first = found["most_points_lost"][0]
    assert f"{first['count']} students lost {first['points']:g} points" in text
    for task, results in found["exercises"][KL]["tasks"].items():
        assert f"{results['passed']} ({results['share']:.0%}".replace("%", "\N{NO-BREAK SPACE}%)") in text, task
    heights = [float(height) for height in re.findall(r'width="16" height="([\d.]+)"', text)][:15]
    counts = [bar["count"] for bar in found["exercises"][KL]["points"]["distribution"]]
    assert heights == pytest.approx([80 * count / max(counts) for count in counts], abs=0.1)


def test_statistics_survive_json(tmp_path):
    found = a_class()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again == found
    assert page(tmp_path, again) == page(tmp_path, found)


@pytest.mark.parametrize("students", [[], ["ann", "bob"]])
def test_a_class_that_handed_in_nothing(tmp_path, students):
    found = statistics({}, students)
    assert (found["submissions"], found["exercises"], found["most_points_lost"]) == (0, {}, [])
    assert f"0 of {len(students)} students" in assert_sound(page(tmp_path, found)).text


def test_a_class_of_one(tmp_path):
    found = statistics({"ann": marked(MISTAKE)})
    assert found["exercises"][KL]["points"]["quartiles"] == [12, 12]
    assert "1 of 1 student handed in 1 notebook." in assert_sound(page(tmp_path, found)).text


def test_a_class_in_which_nothing_could_be_read(tmp_path):
    found = statistics({"ann": unreadable(), "bob": unreadable()})
    part = found["exercises"][KL]
    assert (part["marked"], part["points"]["median"], part["tasks"][TASKS[0]]["share"]) == (0, None, None)
    assert json.dumps(found, allow_nan=False)
    text = assert_sound(page(tmp_path, found)).text
    assert "2 notebooks could not be read, so they have no points yet." in text
    assert "–\u00a0of" in text or "– of" in text  # no median


@pytest.mark.parametrize(("text", "written"), list(zip(HOSTILE, WRITTEN, strict=True)))
def test_names_and_troubles_are_shown_harmlessly(tmp_path, text, written):
    slow = (Kind.TIMEOUT, "slow")
    notebooks = {text: marked(slow, answers={TASKS[0]: LONG}), "ann": marked(answers={TASKS[0]: LONG})}
    found = statistics(notebooks, [f"{text}!"], late={submission(text): 1.0})
    shown = page(tmp_path, found, [text])
    assert_sound(shown)
    places = 4 + ("…" not in written) * 2  # failure, identical, late, slowest; also absent and trouble
    assert shown.count(written) >= places
    page_of_student = feedback(text, (KL, marked(slow)))
    assert_sound(page_of_student)
    assert page_of_student.count(written) == 2


@pytest.mark.parametrize(("text", "written"), list(zip(HOSTILE, WRITTEN, strict=True)))
def test_hints_and_answers_are_shown_harmlessly(tmp_path, text, written):
    written = {"two\\nlines": "two\nlines", WRITTEN[-1]: HOSTILE[-1][:3999] + "…"}.get(written, written)
    faults = (Kind.MISTAKE, f"title\n{text}"), (Kind.DIFFERENT, f"title\n{text}"), raised(text, text)
    shown = page(tmp_path, statistics({"ann": marked(*faults)}))
    assert_sound(shown)
    assert shown.count(written) >= 2
    page_of_student = feedback("ann", (KL, marked(*faults, answers={TASKS[0]: text})))
    assert_sound(page_of_student)
    assert written[:3900] in page_of_student


def test_long_hints_are_cut():
    text = feedback("ann", (KL, marked((Kind.MISTAKE, "y" * 20_000))))
    assert "y" * 3999 + "…" in text
    assert "y" * 4000 not in text


# Pages of students


def test_feedback_says_what_to_look_at_next():
    text = feedback("ann", (KL, marked(None, MISTAKE, MISTAKE)), (ELBO, marked(name=ELBO)))
    found = assert_sound(text)
    assert found.text.count("Look next at") == 1
    assert f"Look next at {TASKS[1]}, the first task that is not passed." in found.text
    assert f"#{TASKS[1]}" in found.links
    assert found.text.count("All tasks are passed.") == 1
    assert [found.text.index(f"{task}:") for task in TASKS] == sorted(found.text.index(f"{task}:") for task in TASKS)


def test_feedback_on_a_notebook_that_could_not_be_read_says_why_once():
    text = assert_sound(feedback("ann", (KL, unreadable()))).text
    assert text.count("The file could not be marked: it is empty.") == 1
    assert "none yet" in text
    assert "Look next" not in text


def test_code_keeps_its_lines_and_tabs():
    text = feedback("ann", (KL, marked(MISTAKE, answers={TASKS[0]: "def f(x):\r\n\treturn x\u00a0< 1"})))
    assert "def f(x):\n    return x\\xa0&lt; 1" in text


def test_remarks_are_grouped_the_most_important_first():
    remarks = [Remark("locked", "b"), Remark("missing", "kl"), Remark("locked", "a"), Remark("locked", "b")]
    lines = remarks_for_students([*remarks, Remark("moved")])
    assert lines == [
        "An answer is missing: kl",
        "A locked cell was changed; the change was ignored: b, a",
        "Cells were moved; they were run in their new order.",
    ]
    assert remarks_for_students([]) == []
    found = assert_sound(feedback("ann", (KL, marked(remarks=remarks))))
    assert "An answer is missing: kl" in found.text


def test_remarks_are_short_and_harmless():
    (line,) = remarks_for_students([Remark("line failed", f"{n}\u202e\n" + "z" * 500) for n in range(8)])
    assert line.endswith(", and 3 more")
    assert line.startswith("A line failed here; the rest of its cell was run: 0\\u202e\\nz")
    assert len(line) < 1200


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_remark_is_a_line(kind):
    (line,) = remarks_for_students([[kind, ""]])  # as read from JSON
    assert line[0].isupper()
    assert line.endswith(".")
