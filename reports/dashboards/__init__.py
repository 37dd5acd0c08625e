"""Saved objects for OpenSearch Dashboards, as NDJSON for Dashboards Management > Saved objects > Import.

- objects.py: how index patterns, visualizations, searches and dashboards are written
- charts.py: what is asked and how it is drawn: aggregations and the kinds of panels
- boards.py: the three dashboards: overview, source health, alerts by unit and technique
"""

from __future__ import annotations

import orjson

from reports.dashboards.boards import objects


def ndjson(prefix: str) -> bytes:
    """All saved objects, one a line, in the language of the process; `prefix` = `index_prefix` of the store.

    Ids are stable: importing again (with "overwrite") replaces what is there.
    """
    return b"".join(orjson.dumps(one, option=orjson.OPT_SORT_KEYS) + b"\n" for one in objects(prefix))
