import pytest

from sidkit.cli import main


@pytest.fixture
def sid(capsys, monkeypatch):
    """Type a command; gives its exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "200")

    def type_command(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        written = capsys.readouterr()
        return caught.value.code or 0, written.out, written.err

    return type_command
