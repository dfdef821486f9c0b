# Tasks that run one hook's coroutine after the other.
from cpython.ref cimport PyObject

cdef extern from "Python.h":
    int PYGEN_RETURN, PYGEN_NEXT
    int PyIter_Send(object generator, object given, PyObject** answer) except -1
    object PyContext_CopyCurrent()
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1

cdef class Gate:
    cdef public bint _asyncio_future_blocking
    cdef object loop
    cdef object wake          # makes a step of the task; None: it is not here
    cdef bint closed          # the task was told to end

cdef class HookTask:
    cdef readonly bint over                # the hook has ended: with `result`, or with `error`
    cdef readonly object result, error
    cdef public object done                # told of the end, unless cancel() comes first; set when start() has come back
    cdef HookTasks owner
    cdef object task, hook, context
    cdef object waits_for, raised
    cdef Gate gate
    cdef bint begun, cancelled
    cdef Py_ssize_t alone                  # acquaintances() when nobody knows the task
    cdef bint begin(self, object hook) except -1
    cdef bint advance(self, object given, object raised) except -1
    cdef bint rest(self) except -1
    cdef int tell(self) except -1
    cdef Py_ssize_t acquaintances(self) except -1

cdef class HookTasks:
    cdef object loop
    cdef set waiting
    cdef list idle
