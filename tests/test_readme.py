"""What the README says is what the commands wrote."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tables_of_results_are_those_that_the_report_wrote():
    marked = re.findall(r"<!-- (results/\S+) -->\n(.*?)\n<!-- end -->", README, re.DOTALL)
    assert marked
    for path, text in marked:
        assert text.strip() == (ROOT / path).read_text(encoding="utf-8").strip(), path


def test_every_file_that_is_linked_to_is_there():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_no_result_names_a_folder_of_the_machine_that_made_it():
    for path in (ROOT / "results").rglob("*"):
        if path.suffix in {".json", ".csv", ".md", ".html"}:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r'["\s(](/(home|root|tmp|work|Users)/)', text), path
