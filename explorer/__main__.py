"""Run the command line: `python -m explorer` is `unclip`."""

from explorer.cli import main

if __name__ == "__main__":
    main()
