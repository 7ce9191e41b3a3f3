import pytest

from sidkit.cli import main


@pytest.fixture
def sid(capsys, monkeypatch):
    """Run a command; returns its exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "200")
    # On a slow machine log lines would appear in standard error.
    monkeypatch.setattr("sidkit.cli.progress._SECONDS_BETWEEN_LINES", float("inf"))

    def type_command(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        written = capsys.readouterr()
        return caught.value.code or 0, written.out, written.err

    return type_command
