-- The ledger: one row for every job that was ever accepted, and for every message that was refused.
--
-- All times are UTC by the database's own clock. `attempt` is the fencing token: it grows with every lease, and a write
-- that names an older one matches no row. Nothing sets `waiting`, `cancelled` and `expired` yet.
CREATE TABLE downpipe_jobs (
    id              CHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    request_id      VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    requested_by    VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    export          VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    message_id      VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    message         MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    state           ENUM('queued', 'running', 'waiting', 'ready', 'failed', 'cancelled', 'expired')
                    CHARACTER SET ascii NOT NULL DEFAULT 'queued',
    attempt         INT UNSIGNED NOT NULL DEFAULT 0,
    lease_owner     VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
    lease_until     DATETIME(6) NULL,
    row_count       BIGINT UNSIGNED NOT NULL DEFAULT 0,
    byte_count      BIGINT UNSIGNED NOT NULL DEFAULT 0,
    failure         JSON NULL,
    receipt         JSON NULL,
    created_at      DATETIME(6) NOT NULL,
    started_at      DATETIME(6) NULL,
    finished_at     DATETIME(6) NULL,
    -- Whoever tells the requester holds this right until then; a crash before the telling lets it run out.
    notice_until    DATETIME(6) NULL,
    notified_at     DATETIME(6) NULL,
    PRIMARY KEY (id),
    KEY downpipe_jobs_created (created_at),
    KEY downpipe_jobs_requester (requested_by, created_at),
    KEY downpipe_jobs_leases (state, lease_until)
) ENGINE = InnoDB;
