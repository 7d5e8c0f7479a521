"""Run the command line: `python -m explorer` is `unclip`."""

from explorer import interrupts


def main() -> None:
    """Run the command `unclip`, and end with one line when it is interrupted, even in imports."""
    interrupts.install()
    try:
        from explorer.cli import main as run

        run()
    except BaseException:
        if interrupts.is_ending():
            interrupts.end()
        raise


if __name__ == "__main__":
    main()
