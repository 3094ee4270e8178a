-- The toplevel of the last manifest that each node got: it may still be fetched after another is applied.

CREATE TABLE handed_out (
    node     TEXT PRIMARY KEY,
    toplevel TEXT NOT NULL,
    time     INTEGER NOT NULL
);
