"""`python -m statera.cli`: the `statera` command, as the supervisor starts its children."""

import sys

from statera.cli.main import main

sys.exit(main())
