-- Creates the ledger: a row for every job that was accepted, and for every message that was rejected.
--
-- Until the first release this is the only migration, and it is edited in place. MySQL commits each statement by itself, so each can
-- be repeated after a failure in the middle. Every table names its ROW_FORMAT. Otherwise a server whose default is COMPACT
-- allows keys of 767 bytes only, and a requester's address alone has more.
--
-- All times are UTC by the database's own clock.
CREATE TABLE IF NOT EXISTS downpipe_jobs (
    id                      CHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    request_id              VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    requested_by            VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    export                  VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    message_id              VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    message                 MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    -- How the request came, and the app whose token brought it.
    via                     ENUM('queue', 'page', 'api', 'app') CHARACTER SET ascii NOT NULL DEFAULT 'queue',
    app                     VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    -- The language that the requester reads, where the request says so.
    language                CHAR(2) CHARACTER SET ascii COLLATE ascii_bin NULL,
    -- The version of the definition: as the job was accepted, and then as its file was made.
    definition_sha256       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    expected_rows           BIGINT UNSIGNED NULL,
    state                   ENUM('queued', 'running', 'waiting', 'ready', 'failed', 'cancelled', 'expired')
                            CHARACTER SET ascii NOT NULL DEFAULT 'queued',
    -- Grows with every write. A change is written only if the row still has the version that was read.
    version                 BIGINT UNSIGNED NOT NULL DEFAULT 0,
    -- The fencing token: grows with every lease. A write that names an older attempt is refused.
    attempt                 INT UNSIGNED NOT NULL DEFAULT 0,
    -- Counts attempts since a checkpoint last kept more rows than the one before.
    attempts_since_progress INT UNSIGNED NOT NULL DEFAULT 0,
    -- Counts runs that ended at a checkpoint.
    resume_count            INT UNSIGNED NOT NULL DEFAULT 0,
    owner_message_id        VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
    lease_until             DATETIME(6) NULL,
    cancel_requested        BOOLEAN NOT NULL DEFAULT FALSE,
    row_count               BIGINT UNSIGNED NOT NULL DEFAULT 0,
    byte_count              BIGINT UNSIGNED NOT NULL DEFAULT 0,
    -- Text, because MySQL's JSON reorders fields and rewrites numbers. Grows with the parts of the upload.
    checkpoint              MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    -- A code and its arguments. Words are made when they are shown, in the reader's language.
    failure                 JSON NULL,
    receipt                 JSON NULL,
    -- Digest of requester, definition, parameters and output. Requests with the same digest are the same request.
    fingerprint             CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    -- The fingerprint until the job ends, so that one such job is open at a time.
    active_fingerprint      CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    -- Digest of definition, parameters and output, where requesters share results.
    shared_fingerprint      CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    -- Whether the job works for all requests of its shared fingerprint. The others wait until it has ended.
    leads                   BOOLEAN NOT NULL DEFAULT FALSE,
    -- The shared fingerprint while a leader is active, so that one such job works at a time.
    lead_fingerprint        CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    created_at              DATETIME(6) NOT NULL,
    -- When the queue took the message of a job that did not come as one.
    sent_at                 DATETIME(6) NULL,
    started_at              DATETIME(6) NULL,
    finished_at             DATETIME(6) NULL,
    -- Until then one worker may notify the requester. After a crash the right expires by itself.
    notify_lease_until      DATETIME(6) NULL,
    notified_at             DATETIME(6) NULL,
    expires_at              DATETIME(6) NULL,
    updated_at              DATETIME(6) NULL,
    PRIMARY KEY (id),
    UNIQUE KEY downpipe_jobs_active_fingerprint (active_fingerprint),
    UNIQUE KEY downpipe_jobs_lead_fingerprint (lead_fingerprint),
    KEY downpipe_jobs_created (created_at),
    KEY downpipe_jobs_requester (requested_by, created_at),
    KEY downpipe_jobs_unended (requested_by, finished_at),
    KEY downpipe_jobs_definition (definition_sha256, finished_at),
    KEY downpipe_jobs_leases (state, lease_until),
    KEY downpipe_jobs_fingerprint (fingerprint, finished_at),
    KEY downpipe_jobs_shared_fingerprint (shared_fingerprint, finished_at),
    KEY downpipe_jobs_updated (state, updated_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- Keeps other ids of a job: those of equal requests that came while it was open.
CREATE TABLE IF NOT EXISTS downpipe_job_aliases (
    alias_id                CHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    job_id                  CHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at              DATETIME(6) NOT NULL,
    PRIMARY KEY (alias_id),
    KEY downpipe_job_aliases_job (job_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- Keeps who downloaded what, for a year. The job may be forgotten before, so a row names it in full.
CREATE TABLE IF NOT EXISTS downpipe_downloads (
    id                      BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    job_id                  CHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    export                  VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    title                   TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    -- The number of the file among the job's files, from 1.
    file                    INT UNSIGNED NOT NULL,
    -- NULL for the holder of a link that asks for no login.
    requester               VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    via                     ENUM('link', 'page', 'api', 'app') CHARACTER SET ascii NOT NULL,
    app                     VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    address                 VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    downloaded_at           DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    KEY downpipe_downloads_job (job_id, downloaded_at),
    KEY downpipe_downloads_age (downloaded_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- Keeps digests of sessions that ended before their cookie did, until it ends as well.
CREATE TABLE IF NOT EXISTS downpipe_ended_sessions (
    digest                  CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    good_until              DATETIME(6) NOT NULL,
    PRIMARY KEY (digest),
    KEY downpipe_ended_sessions_age (good_until)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
