"""Tables of experiments that are too long for a lesson: made by their scripts, in the form that the lesson reads."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vae_lessons import data

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "benchmarks" / "long").glob("[0-9]*.py"))
TABLES = ROOT / "vae_lessons" / "long_runs"
FEWER_SEEDS = {"11_convolutions": 3}  # of which each takes 40 minutes of a core


def test_every_script_has_its_table_and_every_table_its_script_and_a_lesson():
    assert SCRIPTS
    assert [script.stem for script in SCRIPTS] == sorted(path.stem for path in TABLES.glob("*.json"))
    for script in SCRIPTS:
        (lesson,) = (ROOT / "sources" / "lessons").glob(f"{script.stem[:2]}_*.py")
        assert f'data.long_run("{script.stem}")' in lesson.read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_in_miniature_makes_a_table_of_the_stored_form(script, tmp_path):
    target = tmp_path / "table.json"
    arguments = [sys.executable, script, "--small", "--seeds", "1", "--output", target]
    subprocess.run(arguments, check=True, capture_output=True, cwd=tmp_path)
    made, stored = (json.loads(path.read_text(encoding="utf-8")) for path in (target, TABLES / f"{script.stem}.json"))
    assert made["about"].keys() == stored["about"].keys()
    assert {frozenset(row) for row in made["rows"]} == {frozenset(row) for row in stored["rows"]}
    words = [
        {frozenset((k, v) for k, v in row.items() if isinstance(v, str)) for row in table["rows"]}
        for table in (made, stored)
    ]
    assert words[0] == words[1]  # the same arms


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_table_says_how_it_was_made(script):
    rows, about = data.long_run(script.stem)
    assert re.fullmatch(rf"python benchmarks/long/{script.stem}\.py --seeds \d+", about["command"])
    assert {row["seed"] for row in rows} == set(range(about["seeds"]))
    assert about["seeds"] >= FEWER_SEEDS.get(script.stem, 5)
    assert about["seconds"] > 0


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_small_run_does_not_replace_the_lessons_table(script):
    done = subprocess.run([sys.executable, script, "--small"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "name another file by --output" in " ".join(done.stderr.replace("│", " ").split())


def test_an_unknown_table_is_named():
    with pytest.raises(ValueError, match=r"name: expected one of .*, got '01_other'"):
        data.long_run("01_other")
