"""The agent as a process of its own, for tests: state directory, short id, gateway's socket."""

import logging
import sys
from pathlib import Path

from statera.agent.daemon import AgentSettings, main
from statera.agent.haproxy.settings import HaproxySettings

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main(
        AgentSettings(
            state_dir=Path(sys.argv[1]),
            installation=sys.argv[2],
            gateway_socket=Path(sys.argv[3]),
            retry_longest=1.0,
        ),
        HaproxySettings(),
    )
