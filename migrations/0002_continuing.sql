-- Continuing, cancelling, and asking twice.
--
-- `version` grows with every write: a change is written on condition that nobody else has written since it was read. `attempt` stays
-- the fencing token of leases. `tries` counts attempts since there was progress that is kept, `continuations` runs that ended at a
-- checkpoint.
ALTER TABLE downpipe_jobs
    ADD COLUMN version          BIGINT UNSIGNED NOT NULL DEFAULT 0,
    ADD COLUMN tries            INT UNSIGNED NOT NULL DEFAULT 0,
    ADD COLUMN continuations    INT UNSIGNED NOT NULL DEFAULT 0,
    ADD COLUMN cancel_wanted    BOOLEAN NOT NULL DEFAULT FALSE,
    -- Text, because JSON would put the fields in another order and read every number anew; it is as long as the upload has parts.
    ADD COLUMN checkpoint       MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    -- What makes two requests the same: requester, definition, parameters, output. In `exclusive` only while the job has not ended,
    -- so that there is one at a time.
    ADD COLUMN sameness         CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN exclusive        CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN expires_at       DATETIME(6) NULL,
    ADD COLUMN updated_at       DATETIME(6) NULL,
    ADD UNIQUE KEY downpipe_jobs_exclusive (exclusive),
    ADD KEY downpipe_jobs_sameness (sameness, finished_at),
    ADD KEY downpipe_jobs_updated (state, updated_at);

UPDATE downpipe_jobs SET
    tries = attempt,
    updated_at = COALESCE(finished_at, started_at, created_at),
    expires_at = CAST(LEFT(REPLACE(receipt ->> '$.expires_at', 'T', ' '), 19) AS DATETIME(6));

-- Requests that were made while the same one was under way: their ids are other names for that job.
CREATE TABLE downpipe_other_names (
    id              CHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    job             CHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at      DATETIME(6) NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB;
