"""One node of a cluster: a process that can be killed, paused and started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import java, places

_LOG4J = """status=error
appender.c.type=Console
appender.c.name=c
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=[%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level=info
rootLogger.appenderRef.c.ref=c
"""
_JVM = (
    "-XX:+UseG1GC", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError", "-Xlog:disable", "-Djava.awt.headless=true", "-Djava.locale.providers=CLDR,SPI",
    "-Dlog4j2.disable.jmx=true", "-Dlog4j.shutdownHookEnabled=false", "-Dopensearch.distribution.type=tar",
    "-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1",
)  # fmt: skip


@dataclass(frozen=True)
class Node:
    """A node and its folder: config, data, logs, tmp, `process` (who it is), out.log."""

    name: str
    folder: Path
    home: Path
    """The server's home."""
    url: str
    heap: str = "512m"
    fast: bool = True
    """C1 compiler only: up in half the time, slower in runs of minutes."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """More variables of the process."""

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """The folders and opensearch.yml."""
        for name in ("config", "data", "logs", "tmp"):
            (self.folder / name).mkdir(parents=True)
        conf = {"node.name": self.name, "path.data": str(self.folder / "data"), "path.logs": str(self.folder / "logs"), **settings}
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in conf.items())
        (self.folder / "config" / "opensearch.yml").write_text(text, encoding="utf-8")
        (self.folder / "config" / "log4j2.properties").write_text(_LOG4J, encoding="utf-8")

    @property
    def process(self) -> str:
        """Identity of the process started last; "" before the first start."""
        try:
            return (self.folder / "process").read_text(encoding="utf-8")
        except OSError:
            return ""

    @property
    def pid(self) -> int:
        """Of the process started last."""
        return int(self.process.partition(":")[0])

    @property
    def running(self) -> bool:
        """Also true while paused."""
        return places.alive(self.process)

    @property
    def paused(self) -> bool:
        """Between `pause` and `resume`."""
        return self.running and places.state(self.pid) == "T"

    def start(self) -> None:
        """Start the process; it answers a few seconds later (`Cluster.wait`)."""
        places.hand_over(self.folder)
        pid = places.detached(self._command(), self.folder, user=places.NOBODY if os.getuid() == 0 else None, env=self.environment)
        (self.folder / "process").write_text(places.identity(pid), encoding="utf-8")

    def kill(self) -> None:
        """kill -9: no farewell to the cluster, nothing flushed."""
        self._signal(signal.SIGKILL)
        self._gone(10)

    def pause(self) -> None:
        """Answers nothing, but its connections stay open: a node that hangs."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End in good order, by force after 30 s; what the JVM wrote for quicker starts is kept."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        if not self._gone(30):
            self.kill()
        elif (self.folder / "classes.jsa").is_file():
            shutil.move(self.folder / "classes.jsa", self._archive)

    @property
    def first_of_its_kind(self) -> bool:
        """Whether a good end would leave an archive that halves later starts."""
        return self.name == "n1" and not self._archive.exists()

    def output(self, last: int = 3000) -> str:
        """The end of what the process printed."""
        with suppress(OSError):
            return (self.folder / "out.log").read_text(encoding="utf-8", errors="replace")[-last:]
        return ""

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _gone(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.running:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    @property
    def _archive(self) -> Path:
        """Class-data archive of the JVM: fits one Java and one server."""
        return self.home.with_name(f"{self.home.name}-{java.find().version}-{'fast' if self.fast else 'full'}.jsa")

    def _command(self) -> list[str]:
        runtime = java.find().home / "bin" / "java"
        (bootstrap,) = (self.home / "agent").glob("opensearch-agent-bootstrap*.jar")
        words = [str(runtime), f"-Xms{self.heap}", f"-Xmx{self.heap}", *_JVM, f"-Xbootclasspath/a:{bootstrap}"]
        words += ["-XX:TieredStopAtLevel=1"] if self.fast else []
        if self._archive.exists():
            words.append(f"-XX:SharedArchiveFile={self._archive}")
        elif self.first_of_its_kind:
            words.append(f"-XX:ArchiveClassesAtExit={self.folder / 'classes.jsa'}")
        words += [f"-Djava.io.tmpdir={self.folder / 'tmp'}", f"-Dopensearch.path.home={self.home}"]
        words += [
            f"-Dopensearch.path.conf={self.folder / 'config'}",
            "-cp",
            f"{self.home / 'lib'}/*",
            "org.opensearch.bootstrap.OpenSearch",
        ]
        return words
