"""Log set-up of every process: oslo.log, as text or JSON, to standard error or to a file.

Messages are short event names with `key=value` pairs and are never rewritten on the way.  Libraries
that would write request bodies, tokens or SQL parameters are held at warnings.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from statera.service.settings import option

_TEXT = "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s %(message)s"
_QUIET = (
    "urllib3=WARNING",
    "requests=WARNING",
    "keystoneauth=WARNING",
    "sqlalchemy=WARNING",
    "websockets=WARNING",
    "asyncio=WARNING",
    "alembic=WARNING",
    "stevedore=WARNING",
    "_granian=WARNING",
)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Group DEFAULT."""

    debug: bool = option(False, "Log debug messages; off, because they are many.", mutable=True)
    use_json: bool = option(False, "One JSON object per line; off, because people read text first.")
    log_dir: Path | None = option(  # noqa: RUF009
        None, "Write <log_dir>/<process>.log instead of standard error, which is the supervisor's."
    )


def setup(settings: LogSettings, process: str) -> None:
    """Point the root logger of this process, called `process`, to where `settings` says."""
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    conf([], project="statera", default_config_files=[], default_config_dirs=[])
    conf.set_override("debug", settings.debug)
    conf.set_override("use_json", settings.use_json)
    conf.set_override("logging_default_format_string", _TEXT)
    conf.set_override(
        "logging_exception_prefix", "%(asctime)s.%(msecs)03d %(process)d ERROR %(name)s "
    )
    conf.set_override("default_log_levels", list(_QUIET))
    conf.set_override("logging_debug_format_suffix", "")
    if settings.log_dir is None:
        conf.set_override("use_stderr", True)
    else:
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        conf.set_override("log_file", str(settings.log_dir / f"{process}.log"))
    log.setup(conf, "statera")
    logging.captureWarnings(True)
