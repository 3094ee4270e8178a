-- Times are milliseconds since 1970. JSON columns hold types of the protocol crate.

CREATE TABLE nodes (
    name        TEXT PRIMARY KEY,
    spec        TEXT,
    record      TEXT NOT NULL,      -- lifecycle::Record
    key_sha256  TEXT UNIQUE,        -- SPKI hash of the machine that is the node
    enrolment   INTEGER,
    plan        TEXT,               -- state::nodes::HeldPlan
    installed   TEXT,               -- InstalledReport
    ready       TEXT,               -- ReadyReport
    created     INTEGER NOT NULL
);

CREATE TABLE enrolments (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    session_sha256 TEXT NOT NULL UNIQUE,
    key_sha256     TEXT NOT NULL,
    spki           BLOB NOT NULL,
    code           TEXT NOT NULL,
    state          TEXT NOT NULL,   -- pending, approved, rejected, conflict, superseded
    node           TEXT,
    claims         TEXT NOT NULL,
    inventory      TEXT NOT NULL,
    run            TEXT NOT NULL,
    agent_version  TEXT NOT NULL,
    address        TEXT NOT NULL,
    certificate    TEXT,
    created        INTEGER NOT NULL,
    heard          INTEGER NOT NULL
);
CREATE INDEX enrolments_by_state ON enrolments (state);
CREATE INDEX enrolments_by_key ON enrolments (key_sha256);

CREATE TABLE runs (
    id      TEXT PRIMARY KEY,
    session TEXT,                   -- SHA-256 of the enrolment session that first used it
    node    TEXT,
    created INTEGER NOT NULL,
    heard   INTEGER NOT NULL,
    address TEXT NOT NULL DEFAULT '',
    step    TEXT,
    failure TEXT,                   -- Failure, while the last event is one
    rss     INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX runs_by_node ON runs (node);
CREATE INDEX runs_by_session ON runs (session);

-- Events (kind 0) and log lines (kind 1) in the order of their arrival: append only.
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      TEXT NOT NULL,
    kind     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    received INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (run, kind, seq)
);
CREATE INDEX journal_of_run ON journal (run, id);

CREATE TABLE certificates (
    serial     TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    key_sha256 TEXT NOT NULL,
    issued     INTEGER NOT NULL,
    not_after  INTEGER NOT NULL
);

CREATE TABLE audit (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    time  INTEGER NOT NULL,
    actor TEXT NOT NULL,
    node  TEXT,
    text  TEXT NOT NULL
);
CREATE INDEX audit_of_node ON audit (node, id);

CREATE TABLE tokens (
    sha256  TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    created INTEGER NOT NULL
);
