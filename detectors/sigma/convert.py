"""A rule as an OpenSearch query, for those who run it there themselves: pySigma's own backend, with its modifiers mended."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sigma.backends.opensearch.opensearch import OpensearchLuceneBackend
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.pipelines.elasticsearch.windows import ecs_windows
from sigma.processing.pipeline import ProcessingPipeline

from detectors.sigma import mend
from domain.errors import ContentError, UsageError

mend.install()
PIPELINES: Final = ("ecs_windows", "none")


def convert(file: Path, pipeline: str) -> list[str]:
    """Lucene queries of the rules in a file. `ecs_windows`: field names as Winlogbeat writes them. ContentError when it cannot be said."""
    if pipeline not in PIPELINES:
        raise UsageError(f"--pipeline {pipeline}: {' | '.join(PIPELINES)}")
    chosen = ecs_windows() if pipeline == "ecs_windows" else ProcessingPipeline()
    try:
        return [
            str(query) for query in OpensearchLuceneBackend(chosen).convert(SigmaCollection.from_yaml(file.read_text(encoding="utf-8")))
        ]
    except (SigmaError, NotImplementedError, OSError, UnicodeDecodeError) as error:
        raise ContentError(f"cannot be converted: {str(error).splitlines()[0]}", where=str(file)) from None
