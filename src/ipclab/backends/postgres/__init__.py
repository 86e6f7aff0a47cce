"""PostgreSQL: a table as a queue, and a row as a counter. Needs the extra ``postgres`` (psycopg 3)."""
