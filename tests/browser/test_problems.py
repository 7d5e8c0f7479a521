"""What the other stories take for a problem."""

import pytest
from conftest import standing

pytestmark = pytest.mark.browser


def test_a_missing_image_is_a_problem_for_as_long_as_it_is_shown(chromium):
    image = "http://127.0.0.1:9/media/0f.png"
    problems = [f"console: 404 (Not Found) {image}", "script: x is not defined"]
    page = chromium.new_page()
    page.route("**/*", lambda route: route.fulfill(status=404))
    page.set_content(f"<img src='{image}'>")
    assert standing(problems, [page]) == problems
    page.set_content("<img src='http://127.0.0.1:9/media/1e.png'>")
    assert standing(problems, [page]) == problems[1:]
    page.close()
