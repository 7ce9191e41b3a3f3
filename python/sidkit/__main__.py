"""`python -m sidkit`: the command line."""

from sidkit.cli import main

if __name__ == "__main__":
    main()
