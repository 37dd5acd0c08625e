"""OpenSearch from its Maven artifacts: resolved in one run of mvn, laid out as a server's home, kept in the cache.

The server as a whole is published as an archive and a Docker image only; its core, its modules and some plugins are Maven artifacts. Left
out: index-management, alerting and others that are published nowhere else.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tests.servers import places

VERSION = "3.8.0"
"""The newest whose core and modules are all to be had."""
SECURE_VERSION = "3.4.0"
"""The newest whose security plugin is to be had."""
SECURITY = ("opensearch-security", "opensearch-job-scheduler")

_LOG4J = {VERSION: "2.25.4", SECURE_VERSION: "2.21.0"}
"""log4j-core is optional in the server's POM: the version of its log4j-api."""
_ICU = "77.1"
"""Word boundaries of Thai, without which no index can be made: the server tries all its analyzers, and small Java runtimes leave Thai out."""
_MODULES = {
    "transport-netty4": ("transport-netty4-client", "transport.Netty4"),
    "analysis-common": ("analysis-common", "analysis.common.CommonAnalysis"),
    "lang-painless": ("lang-painless", "painless.Painless"),
    "parent-join": ("parent-join-client", "join.ParentJoin"),
    "percolator": ("percolator-client", "percolator.Percolator"),
    "reindex": ("reindex-client", "index.reindex.Reindex"),
    "aggs-matrix-stats": ("aggs-matrix-stats-client", "search.aggregations.matrix.MatrixAggregation"),
    "rank-eval": ("rank-eval-client", "index.rankeval.RankEval"),
    "mapper-extras": ("mapper-extras-client", "index.mapper.MapperExtras"),
    "ingest-common": ("ingest-common", "ingest.common.IngestCommon"),
    "lang-mustache": ("lang-mustache-client", "script.mustache.Mustache"),
    "lang-expression": ("lang-expression", "script.expression.Expression"),
    "geo": ("geo", "geo.Geo"),
}
"""Folder -> (artifact of org.opensearch.plugin, plugin class below org.opensearch without its ending)."""
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>dev</groupId><artifactId>{name}</artifactId><version>1</version><packaging>pom</packaging>{body}</project>"""
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"
_EXTENDS_PAINLESS = "META-INF/services/org.opensearch.painless.spi.PainlessExtension"


def home(version: str = VERSION, plugins: Sequence[str] = ()) -> Path:
    """The home of a server; made at first use (15 s). RuntimeError with Maven's own words when that fails."""
    target = _home(version, plugins)
    with places.locked("artifacts"):
        if not target.is_dir():
            _make(target, version, plugins)
    return target


def cached(version: str = VERSION, plugins: Sequence[str] = ()) -> bool:
    """Whether it needs no mvn any more."""
    return _home(version, plugins).is_dir()


def _home(version: str, plugins: Sequence[str]) -> Path:
    return places.cache() / "_".join([version, *sorted(plugins)])  # "+" in it would break URLs of Java policies


def _make(target: Path, version: str, plugins: Sequence[str]) -> None:
    if not shutil.which("mvn"):
        raise RuntimeError(f"mvn is not on PATH and {target} is not there: install the package maven")
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        work = Path(name)
        parts = _parts(version, plugins)
        _resolve(work / "maven", parts)
        made = work / "home"
        for part in parts:
            _lay_out(work / "maven" / part / "jars", made / part)
        for module in _MODULES:
            _drop_doubles(made / "modules" / module, made / "lib")
            _describe(made / "modules" / module, version)
        for plugin in plugins:
            _free_from_rule_framework(made / "plugins" / plugin / "plugin-descriptor.properties")
        for folder in ("bin", "plugins", "extensions"):  # the server wants them to be there
            (made / folder).mkdir(exist_ok=True)
        _let_others_read(made)
        made.rename(target)


def _parts(version: str, plugins: Sequence[str]) -> dict[str, str]:
    """Folder of the home -> its dependencies as XML."""
    lib = [
        _dependency("org.opensearch", "opensearch", version), _dependency("org.opensearch", "opensearch-plugin-classloader", version),
        _dependency("org.apache.logging.log4j", "log4j-core", _LOG4J[version]),
        _dependency("com.ibm.icu", "icu4j-localespi", _ICU),
        _dependency("org.locationtech.spatial4j", "spatial4j", "0.7"), _dependency("org.locationtech.jts", "jts-core", "1.15.0"),
    ]  # fmt: skip
    parts = {"lib": "".join(lib), "agent": _dependency("org.opensearch", "opensearch-agent", version)}
    parts |= {f"modules/{name}": _dependency("org.opensearch.plugin", artifact, version) for name, (artifact, _) in _MODULES.items()}
    parts |= {f"plugins/{name}": _dependency("org.opensearch.plugin", name, f"{version}.0", "zip") for name in plugins}
    if "opensearch-security" in plugins:  # otherwise it comes with the module rule-framework, which is not published
        parts["plugins/opensearch-security"] += _dependency("org.apache.commons", "commons-collections4", "4.4")
    return parts


def _dependency(group: str, artifact: str, version: str, kind: str = "jar") -> str:
    return f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version><type>{kind}</type></dependency>"


def _resolve(folder: Path, parts: dict[str, str]) -> None:
    """One POM a part, so that each gets its own versions; jars land in PART/jars."""
    for part, dependencies in parts.items():
        (folder / part).mkdir(parents=True)
        body = f"<dependencies>{dependencies}</dependencies>"
        (folder / part / "pom.xml").write_text(_POM.format(name=part.replace("/", "-"), body=body), encoding="utf-8")
    modules = "".join(f"<module>{part}</module>" for part in parts)
    (folder / "pom.xml").write_text(_POM.format(name="all", body=f"<modules>{modules}</modules>"), encoding="utf-8")
    words = ["mvn", "-B", "-q", "-f", str(folder / "pom.xml"), "-DoutputDirectory=jars", "-DincludeScope=runtime", _COPY]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        raise RuntimeError(f"mvn could not resolve OpenSearch:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")


def _lay_out(jars: Path, folder: Path) -> None:
    """Jars as they are, archives unpacked; native libraries of other systems left out."""
    folder.mkdir(parents=True)
    for path in sorted(jars.iterdir()):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        elif not re.search(r"osx|windows", path.name):
            path.rename(folder / path.name)


def _stem(jar: Path) -> str:
    return re.sub(r"-\d.*", "", jar.name)


def _drop_doubles(module: Path, lib: Path) -> None:
    """The server refuses to start when a class is in lib and in a module."""
    common = {_stem(jar) for jar in lib.iterdir()}
    for jar in module.iterdir():
        if _stem(jar) in common:
            jar.unlink()


def _describe(module: Path, version: str) -> None:
    """The descriptor that the distribution's build writes."""
    base = module.name != "lang-painless" and any(_EXTENDS_PAINLESS in zipfile.ZipFile(jar).namelist() for jar in module.glob("*.jar"))
    lines = {
        "name": module.name, "description": module.name, "version": version, "opensearch.version": version, "java.version": "21",
        "classname": f"org.opensearch.{_MODULES[module.name][1]}ModulePlugin", "extended.plugins": "lang-painless" if base else "",
    }  # fmt: skip
    text = "".join(f"{key}={value}\n" for key, value in lines.items())
    (module / "plugin-descriptor.properties").write_text(text, encoding="utf-8")


def _let_others_read(home: Path) -> None:
    """The server runs as another user, whatever the umask is here."""
    for path in (home, *home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _free_from_rule_framework(descriptor: Path) -> None:
    """That module is not published; nothing here uses what it adds."""
    text = descriptor.read_text(encoding="utf-8")
    descriptor.write_text(re.sub(r"\brule-framework\b(?!;)", "rule-framework;optional=true", text), encoding="utf-8")
