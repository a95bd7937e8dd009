"""The store: DuckDB over records, cards, suites and published figures.

It can be rebuilt from them at any time and gives the same answers.

schema.sql, views.sql   tables and views, commented: public interface
published.sql           those of published figures and of the claims of cards
store                   open, rebuild, query
sources, ingest, rows   which files changed, and what they become
literature              published figures and claims as rows
access                  several processes, one file
ddl                     the SQL files' comments as DuckDB's own
"""

from genbench.store.store import Rows, Store

__all__ = ["Rows", "Store"]
