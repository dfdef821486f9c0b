# Answers of our own as HTTP/1 bytes.
from worker.plane.route cimport HeaderEdits

# `lines`: whole field lines, or None for an error answer; `persistence`: h1_write.Persistence.
cdef bytes render_reply(int status, bytes lines, bytes body, HeaderEdits edits, bint head_only, int persistence)
cdef bytes reply_body(int status, bytes body)
