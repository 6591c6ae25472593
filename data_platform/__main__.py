"""``python -m data_platform`` is the command line."""

from data_platform.cli import main

main(prog_name="data-platform")
