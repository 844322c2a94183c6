"""python -m pbdb.cli is the command pbdb."""

from pbdb.cli import main

main()
