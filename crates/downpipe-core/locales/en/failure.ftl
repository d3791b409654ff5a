# Why a job has no file. A message's name is `failure-CODE` or `failure-CODE-CASE`; its attribute `advice` says what to do.

-ask-again = Please ask for it again. If that fails too, tell the people who run this export the job number.
-ask-operator = Asking again will not help. Tell the people who run this export the job number.
-ask-for-less = Ask for less at once, for example a shorter period.

failure-tried = { $attempts ->
    [one] It was tried once.
   *[other] It was tried { $attempts } times.
}

failure-rejected = The request was refused: { $rejections }.
    .advice = Correct the request and send it again.
failure-rejection = { $field }: expected { $expected }, got { $actual }
failure-rejection-separator = ;{ " " }
failure-rejection-more = and { $more } more

failure-too_long = The export was not ready after { $runs } runs.
    .advice = { -ask-for-less }
failure-crashed = The export broke off each time it was tried.
    .advice = { -ask-operator }
failure-ledger = The export could not be recorded.
    .advice = { -ask-again }

failure-database_unavailable = The database could not be reached.
    .advice = { -ask-again }
failure-database_untrusted = The database did not prove that it is the right one.
    .advice = { -ask-operator }
failure-login_refused = The database refused the login.
    .advice = { -ask-operator }
failure-query_failed = The database could not answer the query (error { $error }).
    .advice = { -ask-operator }
failure-database_busy = The database cannot take the export at the moment (error { $error }).
    .advice = { -ask-again }
failure-locked = A table that the export reads is locked by another session, which did not give it back in time.
    .advice = { -ask-again }
failure-unknown_type = The query returns a column of a type that cannot be read, such as VECTOR.
    .advice = Asking again will not help. Its definition must convert the column: VECTOR_TO_STRING(column) for people, CAST(column AS BINARY) for the bytes.
failure-stopped = The export was stopped.
    .advice = Ask for it again when you need it.
failure-killed = The query was stopped in the database.
    .advice = { -ask-again }
failure-short_result = The database's answer ended before its end.
    .advice = { -ask-again }
failure-session = The result cannot be trusted: the database's session is not as it must be: { $variable }: expected "{ $expected }", got "{ $actual }".
    .advice = { -ask-operator }
failure-session_changed = The export was not finished: the database's settings have changed since the file was begun: { $variable }: expected "{ $expected }", got "{ $actual }".
    .advice = Please ask for it again.
failure-unseen_warnings = A value may have been cut: the server counted { $counted } warnings of the query, and kept { $listed } of them.
    .advice = Asking again will not help. The people who run this export can change its query so that it warns less, raise max_error_count on the server, or grant SESSION_VARIABLES_ADMIN to its user.
failure-columns_changed = The columns were changed in the database while the export was on its way.
    .advice = Please ask for it again.

failure-definition-no_columns = The export's definition does not fit its purpose: its statement returns no columns, so there is nothing to write.
    .advice = { -ask-operator }
failure-definition-database = The export's definition does not fit its database: { $reason }.
    .advice = { -ask-operator }
failure-definition-query = The export's definition does not fit its query: { $reason }.
    .advice = { -ask-operator }
failure-definition-data = The export's definition does not fit its data: { $reason }.
    .advice = { -ask-operator }
failure-resume_key-null = The rows do not come in the order by which the export could be continued: row { $row }, resume column "{ $column }": it is NULL, and no key may be.
    .advice = Asking again will not help. The query must order by the resume column, ascending, and no value of it may come twice.
failure-resume_key-not_ascending = The rows do not come in the order by which the export could be continued: row { $row }, resume column "{ $column }": it is not greater than the key of the row before.
    .advice = Asking again will not help. The query must order by the resume column, ascending, and no value of it may come twice.

failure-timed_out = The query took longer than it may.
    .advice = { -ask-for-less }
failure-timed_out-held_back = The query took longer than it may. For { $seconds } s of that time, { $key } held it back.
    .advice = { -ask-for-less } Or ask the people who run this export to change { $key }.
failure-timed_out-no_resume = The export took longer than one run may, and it cannot be continued in another run.
    .advice = { -ask-for-less } Or the people who run this export can make it resumable: a [resume] in its definition.
failure-timed_out-format = The export took longer than one run may, and a file of this format cannot be continued in another run.
    .advice = Ask for csv, tsv or jsonl, and no zip, which can be continued; or for less at once.
failure-timed_out-resume_key = The export took longer than one run may, and its resume column has values after which it cannot be resumed.
    .advice = Ask for less at once. The people who run this export can choose another resume column: whole numbers, decimals, dates, bytes, or texts of plain letters, digits and hyphens.
failure-timed_out-too_slow = The export took longer than one run may, and it had not written enough to be continued.
    .advice = Ask for less at once. The people who run this export can make its query send rows sooner: an index on the resume column, or a higher cap in its [throttle].

failure-too_large-rows = The result is larger than allowed: more than { GROUPED($most) } rows.
    .advice = { -ask-for-less }
failure-too_large-bytes = The result is larger than allowed: more than { GROUPED($most) } bytes.
    .advice = { -ask-for-less }
failure-sheet_full = The result has more than the { GROUPED($most) } rows that a sheet takes, and only one file may be written.
    .advice = Ask for less at once, for the compression "zip", which takes several sheets, or for the profile "plain".
failure-does_not_fit = The result cannot be written in this format: { $place }: { $format } takes { $expected }, got { $actual }.
    .advice = Ask for another format, such as csv, which takes every value.
failure-compression = The file could not be compressed.
    .advice = { -ask-operator }
failure-disk_full = The file is too large for the worker's disk, on which a workbook is put together.
    .advice = Ask for less at once, or for another format, such as csv.
failure-disk = The file could not be put together on the worker's disk.
    .advice = { -ask-operator }
failure-storage = The file could not be stored.
    .advice = { -ask-again }
failure-storage-refused = The file could not be stored.
    .advice = { -ask-operator }

# A code that this version does not know.
failure-unknown = The export could not be prepared.
    .advice = { -ask-again }
