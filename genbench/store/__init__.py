"""The store: DuckDB over records, cards and suites. It can be rebuilt from them at any time and gives the same answers.

schema.sql, views.sql   tables and views, commented: public interface
store                   open, rebuild, query
sources, ingest, rows   which files changed, and what they become
access                  several processes, one file
ddl                     the SQL files' comments as DuckDB's own
"""

from genbench.store.store import Rows, Store

__all__ = ["Rows", "Store"]
