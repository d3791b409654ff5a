# E-mails about the end of a job.

ready-state = Ready
ready-subject = Your export "{ $title }" is ready
ready-heading = Your export "{ $title }" is ready.
ready-action = Download
ready-fetch = Get it here

failed-state = Failed
failed-subject = Your export "{ $title }" could not be prepared
failed-heading = Your export "{ $title }" could not be prepared.
unnamed-subject = Your export could not be prepared
unnamed-heading = Your export could not be prepared.
failed-action = See the details

cancelled-state = Cancelled
cancelled-subject = Your export "{ $title }" was cancelled
cancelled-heading = Your export "{ $title }" was cancelled.
cancelled-happened = Its cancellation was requested. There is no file.
cancelled-advice = Ask for it again when you need it.
cancelled-action = Prepare it again

operator-state = Needs you
operator-subject = Export "{ $title }" failed and needs you
operator-heading = An export failed for a reason that its requester cannot fix.
operator-notified = The requester has been notified.
operator-action = Open the job
operator-look = Where to look
operator-status = shows the database's or the store's own words
operator-log = the worker's log
operator-log-under = has more, under the job's number

refusal-state = Needs you
refusal-subject = An e-mail about export "{ $title }" was refused
refusal-heading = The e-mail about an export was refused for what is in it.
refusal-instead = A short one is sent in its place, which says how the export ended and no more.

short-ready = Your export is ready
short-failed = Your export could not be prepared
short-cancelled = Your export is cancelled
short-body = The e-mail that says more could not be sent. The people who run this export can tell you more: tell them the job number.

happened = What happened
advice = What to do
asked-for = What was asked for
asked-for-more = and { $more } more
not-given = (not given)

export = Export
requester = Asked for by
failure = Failure
attempts = Attempts
file = File
files = Files
file-with-rows = { $file } ({ GROUPED($rows) } rows)
rows = Rows
size = Size
bytes = { $bytes ->
    [one] { GROUPED($bytes) } byte
   *[other] { GROUPED($bytes) } bytes
}
as-of = Data as of
until = Read until
until-several-runs = { $moment }, in several runs
kept-until = Kept until
time-zone = Time zone
time-zone-of-file = { $zone }; times in the file are { $file }
job = Job

changes = Not as in the database
changes-more = and { $more } more columns, which the receipt has
change = { $what }: { GROUPED($count) }
change-formulas_guarded = an apostrophe in front of what begins like a formula
change-numbers_as_text = numbers kept as text, so that no digit is lost
change-dates_as_text = dates kept as text, because a spreadsheet does not know them
change-zero_dates_as_null = dates left empty, because they are none (0000-00-00)
change-microseconds_hidden = times cut to the millisecond
change-times_as_text = times with more than three digits after the seconds, which Excel leaves as text
change-texts_too_long = texts of more than 32,767 characters, which Excel cuts
change-nulls_as_empty = NULL written as the empty string, because readers skip blank lines
change-lookalike_characters = characters replaced by others that look the same
change-unmappable_characters = characters replaced by ?, because the encoding does not have them
change-invalid_text = cells with bytes that are no text
change-masked = cells masked

footer-requester = You get this e-mail because this export was asked for with your address.
footer-operator = You get this e-mail because you run these exports.
