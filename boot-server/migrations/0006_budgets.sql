-- What a run has told: up to where it is acknowledged, whether it is kept or not, and how many bytes of lines are kept.
ALTER TABLE runs ADD COLUMN events_through INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN lines_through INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN line_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET
    events_through = coalesce((SELECT max(seq) FROM journal WHERE run = runs.id AND kind = 0), 0),
    lines_through = coalesce((SELECT max(seq) FROM journal WHERE run = runs.id AND kind = 1), 0),
    line_bytes = coalesce((SELECT sum(length(body)) FROM journal WHERE run = runs.id AND kind = 1), 0);
