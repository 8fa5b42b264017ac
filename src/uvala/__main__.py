"""`python -m uvala` and the `uvala` command."""

from uvala.cli.main import main

if __name__ == "__main__":
    main()
