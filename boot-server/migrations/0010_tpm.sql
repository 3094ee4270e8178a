-- The TPM that a machine claims to have, or has proven (domain::tpm::Tpm); and the one that the node proved last (ProvenTpm).
ALTER TABLE enrolments ADD COLUMN tpm TEXT;
ALTER TABLE nodes ADD COLUMN tpm TEXT;
