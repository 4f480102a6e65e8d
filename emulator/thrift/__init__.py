"""The SQL warehouse's Thrift protocol over HTTP, as the SQL connector speaks it: POST /sql/1.0/warehouses/{id}.

A statement runs in a thread of its own; the call that began it waits a moment, so that a small result comes back
with it.
Results are streamed from Spark and handed out in bounded pieces, as Arrow or (for a client without Arrow) as columns.
"""
