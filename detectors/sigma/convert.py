"""A rule as an OpenSearch query, for those who run it there themselves: pySigma's own backend, with its modifiers mended."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sigma.backends.opensearch.opensearch import OpensearchLuceneBackend
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.pipelines.elasticsearch.windows import ecs_windows
from sigma.processing.pipeline import ProcessingPipeline

from detectors.sigma import load, mend
from domain.errors import ContentError, UsageError

mend.install()
PIPELINES: Final = ("ecs_windows", "none")


def convert(file: Path, pipeline: str) -> list[str]:
    """Lucene queries of the rules in a file. `ecs_windows`: field names as Winlogbeat writes them. ContentError when it cannot be said."""
    if pipeline not in PIPELINES:
        raise UsageError(f"--pipeline {pipeline}: {' | '.join(PIPELINES)}")
    chosen = ecs_windows() if pipeline == "ecs_windows" else ProcessingPipeline()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(error.strerror or str(error), where=str(file), hint="soc rules convert RULE-FILE") from None
    for broken in load.load([(str(file), content)]).broken:
        raise ContentError(f"cannot be converted: {broken.reason}", where=f"{file}:{broken.line}", hint=f"soc rules lint {file}")
    try:
        rules = SigmaCollection.from_yaml(content.decode("utf-8-sig"))
        queries = [str(query) for query in OpensearchLuceneBackend(chosen).convert(rules)]
    except (SigmaError, NotImplementedError) as error:
        raise ContentError(f"cannot be converted: {str(error).splitlines()[0]}", where=str(file)) from None
    if not queries:
        raise ContentError("cannot be converted: the file holds no rule", where=str(file))
    return queries
