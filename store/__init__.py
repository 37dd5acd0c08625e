"""The only place that knows Parquet, DuckDB, SQLite and OpenSearch. `open_store` picks the engine by URL."""
