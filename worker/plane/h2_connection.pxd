# One HTTP/2 connection, whichever side opened it: what its two roles share.
#
# A role is a subclass of each of the two classes below. H2Downstream (h2_downstream) is the server; a client role
# * sets `client`, calls begin(), and opens a stream by giving it an odd id above the last one and calling open_stream();
# * sends fields by h2_blocks.put_block and bodies by h2_flow.send_data / send_trailers, whatever the windows say now: what
#   they do not let pass is kept in order, and the stream is asked to hold_sender() until it is gone;
# * gets fields in take_fields(): decoded, in h2_blocks.pairs(), valid for the call; h2_heads turns them into text;
# * gets bodies in deliver() / deliver_trailers(), never before ready() says so and never between hold() and go_on();
# * hears of ends in was_reset() (the stream is closed already), peer_leaves() (GOAWAY) and lost() (no connection any more).
from worker.plane.buffer cimport Chain
from worker.plane.connection cimport Handler
from worker.plane.exchange cimport Services, Side
from worker.plane.h2_frames cimport Frame, FrameOrder, Purse
from worker.plane.hpack cimport Decoder
from worker.plane.hpack_encoder cimport Encoder

cdef enum:
    STREAM_WINDOW = 262144        # what one stream may send before we have passed it on: all that is ever kept of it
    CONNECTION_WINDOW = 1048576   # the same for all streams of a connection together
    RESETS_KEPT = 128             # streams that we reset lately: frames of theirs may still be on their way

cdef class H2Stream(Side):
    cdef H2Connection owner
    cdef unsigned int id
    cdef bint open                         # in owner.streams
    # what comes in
    cdef bint remote_done                  # END_STREAM has come, with all before it
    cdef bint told_end                     # and was delivered
    cdef bint held                         # between hold() and go_on()
    cdef long long receive_window, uncredited
    cdef long long length_left             # of the body that Content-Length promised, -1: none did
    cdef long long received, receive_mark
    cdef long long loan                    # of `early`, for which the connection's window was opened already
    cdef Chain early                       # came before it could be delivered: at most STREAM_WINDOW
    cdef long long late, late_size         # trailers behind `early`, a block of field lines; 0: none
    # what goes out
    cdef bint end_queued                   # nothing follows what is queued
    cdef bint end_sent
    cdef bint waiting                      # in owner.waiting
    cdef bint sender_held                  # hold_sender() was said
    cdef long long send_window
    cdef long long sent, sent_mark
    cdef Chain unsent                      # for which there was no window
    cdef long long trailers, trailers_size # behind `unsent`, a block of field lines; 0: none
    cdef long long receive_due_ms, send_due_ms     # 0: none

    # for the role to implement
    cdef bint ready(self) except -1
    cdef int deliver(self, long long offset, long long size, bint last) except -1
    cdef int deliver_trailers(self, long long offset, long long size) except -1
    cdef int was_reset(self, unsigned int error) except -1
    cdef int hold_sender(self) except -1
    cdef int free_sender(self) except -1
    cdef int sent_all(self) except -1      # END_STREAM left before theirs came
    cdef int receive_overdue(self) except -1
    cdef int send_overdue(self) except -1  # too little was taken for too long

    cdef int close_stream(self) except -1  # forget it; both ends are closed, or one was reset
    cdef int reset_stream(self, unsigned int error) except -1      # RST_STREAM, then the same

cdef class H2Connection(Handler):
    cdef Services services
    cdef bint client                       # we have opened it
    cdef bint offers_connect               # we take extended CONNECT (RFC 8441)
    cdef bint preface_due                  # the client's 24 octets have not come
    cdef bint leaving                      # our last GOAWAY is out: what is open is finished
    cdef bint dying                        # no frame is looked at any more
    cdef dict streams                      # id -> H2Stream
    cdef list waiting                      # streams with output that only the connection holds up, in turn
    cdef unsigned int last_stream          # the highest id so far, of those that the client numbers
    cdef FrameOrder order
    cdef Frame frame
    cdef Purse purse
    cdef Decoder decoder
    cdef Encoder encoder
    cdef long long receive_window, uncredited
    cdef long long send_window, stream_window      # the other side's; the latter is what a new stream begins with
    cdef unsigned int peer_streams                 # how many the other side lets us open
    cdef bint peer_connect                         # it knows extended CONNECT
    cdef unsigned int resets[128]
    cdef int reset_count
    # a frame that has come in part
    cdef long long carry, carry_size
    cdef long long backlog, backlog_size   # not looked at yet: there is too much unsent output
    cdef long long payload_left, padding_left
    cdef H2Stream payload_stream           # None: nobody wants it
    cdef bint payload_last
    cdef long long block, block_size, block_room   # field block so far
    cdef bint block_last                   # with END_STREAM
    # output of this turn
    cdef long long run, run_end
    # 0: none. Without a stream; with our first GOAWAY out; within a field block; with output that is not taken
    cdef long long idle_due_ms, leave_due_ms, block_due_ms, blocked_due_ms
    # a sign of life (h2_alive): asked for after so long, 0 never; when to look; the last one; asked for one; there was none
    cdef long long ping_ms, watch_due_ms, heard_ms
    cdef long long answer_mark             # bytes that had come when the last PING was answered
    cdef bint asked, silent
    cdef int charge, charged               # what pay() took last, for which h2_faults.Why; how many points lately
    cdef long long bytes_mark              # bytes that were out when the last of them was set

    # for the role to implement
    cdef int take_fields(self, unsigned int stream, int count, bint last) except -1
    cdef int peer_leaves(self, unsigned int last_stream, unsigned int error) except -1
    cdef int settings_came(self) except -1
    cdef int emptied(self) except -1       # the last stream has closed
    cdef int idle_overdue(self) except -1  # or leave_due_ms has come
    cdef int lost(self) except -1          # called once, when it is closed or fails, before the streams are told
    cdef int blame(self, int why) except -1        # count and tell that the other side's fault ends it

    cdef int begin(self) except -1         # say our settings
    cdef int open_stream(self, H2Stream stream) except -1
    cdef int process(self, long long offset, long long end) except -1
    cdef int take_frame(self, long long at, long long end) except -2
    cdef int give_up(self, int why) except -2
    cdef int act(self, long long at) except -1
    cdef long long complete(self, long long offset, long long end) except -2
    cdef int keep_part(self, long long offset, long long size) except -1
    cdef long long needed(self) except -1
    cdef int keep_backlog(self, long long offset, long long size) except -1
    cdef int fail(self, int why) except -1             # h2_faults.Why: GOAWAY, and the end
    cdef int end_streams(self) except -1
    cdef int wind_up(self) except -1       # close when all is out
    cdef int expect(self, long long due_ms) except -1
