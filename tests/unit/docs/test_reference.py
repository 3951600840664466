"""The generated pages are those of the code, and say something about all of it."""

from __future__ import annotations

from tests.docs import answers_page, cli_page, demo

OUTDATED = "run `bin/docs reference`"


def test_the_page_of_the_command_line_is_that_of_the_commands() -> None:
    assert cli_page.PAGE.read_text() == cli_page.page(), OUTDATED


def test_the_page_of_the_answers_is_that_of_the_dataclasses() -> None:
    assert answers_page.PAGE.read_text() == answers_page.page(), OUTDATED


def test_the_picture_is_that_of_its_source() -> None:
    assert demo.PICTURE.read_text() == demo.picture(), OUTDATED


def test_the_answer_of_every_verb_with_json_is_described() -> None:
    json = {
        name
        for name, command in cli_page.verbs()
        if any("--json" in parameter.opts for parameter in command.params)
    }
    described = {name.partition(" --")[0] for name in answers_page.ANSWERS}
    assert json - set(answers_page.FOREIGN) <= described <= json


def test_only_verbs_that_exist_have_exit_codes_of_their_own() -> None:
    names = {name for name, _ in cli_page.verbs()}
    assert set(cli_page.SPECIAL) <= names
    assert set(cli_page.PASSED_ON) <= names


def test_every_option_has_a_description() -> None:
    for name, command in cli_page.verbs():
        for parameter in command.params:
            if parameter.param_type_name == "option" and not getattr(parameter, "hidden", False):
                assert parameter.help, f"{name} {parameter.opts}"
