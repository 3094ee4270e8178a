-- What the firmware's log told of the PCRs that were quoted (tpm::event_log::Thing), to be compared with the next: of an enrolment
-- until it is a node's, and of the node by what it started from (domain::measured::Start).
ALTER TABLE enrolments ADD COLUMN things TEXT;
CREATE TABLE measured (
    node   TEXT NOT NULL REFERENCES nodes (name) ON DELETE CASCADE,
    start  TEXT NOT NULL,
    things TEXT NOT NULL,
    PRIMARY KEY (node, start)
);

-- What the TPM of the node told of the starts of its system (tpm::Starts).
ALTER TABLE nodes ADD COLUMN starts TEXT;
