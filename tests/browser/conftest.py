import pytest
from lab import LESSONS, Lesson, chromium, load_course, server


def pytest_configure():
    if load_course().chromium() is None:
        pytest.exit("No Chromium was found: run `python course.py test-browser`, which says what to install.", 1)


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    with server(tmp_path_factory.mktemp("course")) as running:
        yield running


@pytest.fixture(scope="session")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="session", params=LESSONS)
def lesson(request, lab, browser):
    opened = Lesson(lab, browser, request.param)
    yield opened
    opened.close()
