"""The questions that people bring: in both languages the same questions, links and numbers, and each number is printed
in the section that its link leads to. The glossary: each term stands in the section that its link leads to.
"""

import functools
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ENGLISH, RUSSIAN, GLOSSARY = DOCS / "questions.md", DOCS / "ru" / "questions.md", DOCS / "glossary.md"
both_pages = pytest.mark.parametrize("page", [ENGLISH, RUSSIAN], ids=["English", "Russian"])

LINK = r"\[([^\]]*)\]\(([^)\s]*)\)"
NUMBER = r"(?<![\w.])(?<!e[-+])[-−]?\d+(?:\.\d+)?(?!\w|\.\d)"
WORDS = {ENGLISH: ("lesson", "section"), RUSSIAN: ("урок", "раздел")}


def slug(heading):
    """The anchor that the site gives a heading."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"\$[^$]*\$", "", heading).lower()).replace(" ", "-")


@functools.cache
def sections(path):
    """Of each section of a lesson, by its anchor: all its text, and what its cells printed."""
    text, printed, here = {"": ""}, {"": ""}, ""
    for cell in nbformat.read(path, as_version=4).cells:
        for line in cell.source.splitlines():
            if cell.cell_type == "markdown" and line.startswith("## "):
                here = slug(line.removeprefix("## "))
                assert here not in text, here
                text[here] = printed[here] = ""
            text[here] += f"{line} "
        for output in cell.get("outputs", []):
            if output.get("name") == "stdout":
                text[here] += output.text
                printed[here] += output.text
    return text, printed


def numbers(text):
    """The numbers in a text outside its formulas, with a decimal point."""
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", re.sub(r"\$[^$]*\$", "", text))
    return [number.replace("−", "-") for number in re.findall(NUMBER, text)]


def is_printed(number, printed):
    """Whether a printed number, or it as a percentage, rounds to this one. Those that every text has pass: 0, 1, 2."""
    off = 0.5 * 10.0 ** -len(number.partition(".")[2]) + 1e-9
    known = [float(n) for n in numbers(printed)]
    return number in ("0", "1", "2") or any(abs(s * n - float(number)) <= off for n in known for s in (1, 100))


def read(page):
    """The page's text; Russian numbers get a decimal point."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"(?<=\d),(?=\d)", ".", text) if page == RUSSIAN else text


def questions(text):
    """Of each question: heading, the answer's links (words before it, label, target), and the words after the last."""
    for part in re.split(r"(?m)^### ", text)[1:]:
        heading, _, answer = re.split(r"(?m)^## |^```", part)[0].partition("\n")
        pieces = re.split(LINK, " ".join(answer.split()))
        yield heading, list(zip(pieces[:-1:3], pieces[1::3], pieces[2::3], strict=True)), pieces[-1]


def faults(text, page):
    """What is wrong with the links and numbers of the answers."""
    found = []
    for heading, parts, end in questions(text):
        if not any("." in n for words, _, _ in parts for n in numbers(words)) or numbers(end):
            found.append(f"{heading} no measured number, or one without a link")
        for words, label, target in parts:
            name, _, anchor = target.partition("#")
            path = (page.parent / name).resolve()
            printed = sections(path)[1] if path.parent == ROOT / "notebooks" and path.exists() else {}
            lesson, section = WORDS[page]
            if anchor not in printed or label != f"{lesson} {path.name[:2]}, {section} {anchor.partition('-')[0]}":
                found.append(f"{heading} link {label}: {target}")
            else:
                missing = [n for n in numbers(words) if not is_printed(n, printed[anchor])]
                found += [f"{heading} {n} is not printed in {target}" for n in missing]
    return found


def outline(text, up=""):
    """What both languages share: numbers of headings, numbers and target of each link, links to each question."""
    shown = [
        (sorted(numbers(heading)), [(sorted(numbers(words)), target.removeprefix(up)) for words, _, target in parts])
        for heading, parts, _ in questions(text)
    ]
    return len(re.findall(r"(?m)^## ", text)), shown


@both_pages
def test_28_questions_end_in_a_question_mark(page):
    headings = [heading for heading, _, _ in questions(read(page))]
    assert len(set(headings)) == len(headings) == 28
    assert all(heading.endswith("?") for heading in headings)


@both_pages
def test_each_number_is_printed_in_the_section_behind_its_link(page):
    assert not faults(read(page), page)


def test_both_languages_have_the_same_numbers_and_links():
    assert outline(read(ENGLISH)) == outline(read(RUSSIAN), up="../")


@both_pages
def test_the_list_at_the_top_has_each_theme_and_question_once_in_order(page):
    text = page.read_text(encoding="utf-8")
    linked = [target[1:] for _, target in re.findall(LINK, text) if target.startswith("#")]
    assert linked == [slug(heading) for heading in re.findall(r"(?m)^###? (.*)", text)]


@pytest.mark.parametrize("page", [ENGLISH, RUSSIAN, GLOSSARY, ROOT / "README.md"], ids=lambda page: str(page.name))
def test_links_to_files_lead_somewhere(page):
    targets = [target.partition("#")[0] for _, target in re.findall(LINK, page.read_text(encoding="utf-8"))]
    assert not [target for target in targets if "://" not in target and not (page.parent / target).exists()]


def test_the_findings_of_the_first_page_are_printed_where_they_link_to():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    findings = re.split(r"(?m)^- ", text.partition("## Three findings")[2].partition("\n\nEvery")[0])[1:]
    assert len(findings) == 3
    for finding in findings:
        words, target = re.fullmatch(r"(.*)\(\[[^]]*\]\((.*)\)\)\.\s*", finding, re.S).groups()
        name, _, anchor = target.partition("#")
        found = [n for n in numbers(words) if n not in ("784", "20")]  # of pixels and of latents
        printed = sections((DOCS / name).resolve())[1][anchor]
        assert found
        assert not [number for number in found if not is_printed(number, printed)]


def test_the_readme_links_to_both_languages_and_the_glossary():
    targets = {target for _, target in re.findall(LINK, (ROOT / "README.md").read_text(encoding="utf-8"))}
    assert targets >= {"docs/questions.md", "docs/ru/questions.md", "docs/glossary.md"}


@both_pages
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"128\.2", "128.3"),
        (r"−45\.86", "45.86"),
        (r"#4-wide-up-to-where", "#4-wide-down-to-where"),
        (r"#4-wide-up-to-where", "#6-the-direction"),
        (r"(?<=\)\.\n\n)### ", "### 12.5 "),
        (r"\[(lesson|урок) 03, (section|раздел) 6\]", "[03]"),
    ],
)
def test_a_wrong_number_or_link_is_found(page, old, new):
    text, changes = re.subn(old, new, read(page))
    assert changes
    assert faults(text, page) or outline(text) != outline(read(page))


def test_a_number_has_to_be_rounded_and_keeps_its_sign():
    printed = "bound -1.6094 nats, share 0.298, 1,024 pixels, 6.2e-08, ESS 938"
    for right in ("-1.609", "-1.61", "0.298", "29.8", "1024", "938"):
        assert is_printed(right, printed), right
    for wrong in ("-1.60", "1.609", "29.7", "1023", "6.2", "8", "93", "94"):
        assert not is_printed(wrong, printed), wrong


# The glossary


def rows():
    lines = [line for line in GLOSSARY.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [[column.strip() for column in line.strip("|").split(" | ")] for line in lines[1:]]


def test_terms_are_in_alphabetical_order_with_all_columns():
    terms = [columns[0].casefold().replace("β", "beta") for columns in rows()]
    assert len(terms) >= 40
    assert terms == sorted(set(terms))
    assert all(len(columns) == 4 and all(columns) for columns in rows())
    assert all(re.search("[а-я]|VAE", columns[1]) for columns in rows())


@pytest.mark.parametrize("columns", rows(), ids=lambda columns: columns[0])
def test_a_term_stands_in_the_section_that_it_links_to(columns):
    ((label, target),) = re.findall(LINK, columns[3])
    name, _, anchor = target.partition("#")
    text = sections((DOCS / name).resolve())[0][anchor]
    text = " ".join(re.sub(r"[*_]", "", text).split()).casefold()
    assert label == ", ".join([Path(name).name[:2], *([anchor.partition("-")[0]] if anchor else [])])
    for term in re.split(r" ?[()]", columns[0].casefold()):
        assert re.search(rf"\b{re.escape(term)}", text), term
