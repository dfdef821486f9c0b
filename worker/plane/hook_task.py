"""Tasks that run one hook's coroutine after the other, each from its first step in the middle of a call.

A task of asyncio is dear to make, and begins only when the loop comes round to it. These are kept. Between hooks one
waits for a future that is not quite one: what the task leaves there to be woken by is called when the next hook comes.
So each step of a hook is a step of a real task, for `current_task()`, timeouts, cancelling and whatever else asks for
it.
"""

import asyncio
from asyncio.tasks import _enter_task, _leave_task
from types import CoroutineType
from weakref import getweakrefcount

import cython
from cython.cimports.cpython.ref import Py_DECREF, PyObject, _Py_REFCNT

from pingpy.log import logger

IDLE_TASKS = 64  # so many are kept; where more hooks wait at once, the others are made again


@cython.cclass
class Gate:
    """What an idle task waits for; to asyncio a future, by the protocol of asyncio.isfuture()."""

    def __cinit__(self, loop):
        self.loop = loop

    def get_loop(self):
        """The loop of the task that waits."""
        return self.loop

    def add_done_callback(self, wake, context=None):
        """The task rests now."""
        self.wake = wake

    def result(self):
        """What the task asks when it is woken. Raises CancelledError when it was told to end."""
        if self.closed:
            raise asyncio.CancelledError
        return None

    def cancel(self, msg=None):
        """Somebody cancels the task while it has no hook, as asyncio.Runner does at the end."""
        if not self.closed and self.wake is not None:
            self.closed = True
            self.loop.call_soon(self.wake, self)
        return True


@cython.cclass
class HookTask:
    """One task, and the hook that it runs now or has run last."""

    def __cinit__(self, owner: HookTasks, hook):
        """The first hook of a task begins in the loop's next turn."""
        self.owner = owner
        self.hook = hook
        self.context = PyContext_CopyCurrent()
        self.gate = Gate(owner.loop)
        self.task = owner.loop.create_task(self.live())

    def begin(self, hook):
        """Run this hook until it waits or ends; False: the task is at its own end and takes none."""
        gate: Gate = self.gate
        wake = gate.wake
        gate.wake = None
        if wake is None or gate.closed:
            return False
        self.over = self.cancelled = False
        self.result = self.error = self.done = None
        self.hook = hook
        self.context = PyContext_CopyCurrent()
        try:
            wake(gate)
        except (
            RuntimeError
        ):  # nothing has happened: it is called in another task, of which it is no part
            around = asyncio.current_task(self.owner.loop)
            if around is None:
                raise
            _leave_task(self.owner.loop, around)
            try:
                wake(gate)
            finally:
                _enter_task(self.owner.loop, around)
        return True

    def cancel(self):
        """Nobody waits for this hook any more."""
        self.cancelled = not self.over
        if not self.begun and not self.over:  # closed, or Python would warn that nobody awaited it
            self.hook.close()
            self.over = True
            self.owner.waiting.discard(self)
        self.task.cancel()

    async def live(self):
        """What the task runs."""
        return await self

    def __await__(self):
        """Hook after hook; once somebody else knows the task, it ends as a task of that hook alone would."""
        self.begun = True
        self.alone = self.acquaintances()
        while True:
            given = raised = None
            while self.advance(given, raised):
                try:
                    raised = None
                    given = yield self.waits_for
                except GeneratorExit:
                    self.hook.close()
                    raise
                except BaseException as error:
                    given = None
                    raised = error
            if not self.rest():
                break
            self.gate._asyncio_future_blocking = True
            yield self.gate
        if self.raised is None:
            return self.result
        self.task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        raise self.raised

    def advance(self, given, raised):
        """A step of the hook in its own context; False: it was the last one."""
        answer: cython.pointer(PyObject) = cython.NULL
        how: cython.int = PYGEN_NEXT
        PyContext_Enter(self.context)
        try:
            if raised is None:
                how = PyIter_Send(self.hook, given, cython.address(answer))
                if answer != cython.NULL:
                    given = cython.cast(object, answer)
                    Py_DECREF(given)
            else:
                given = self.hook.throw(raised)
        except StopIteration as end:
            how = PYGEN_RETURN
            given = end.value
        except BaseException as error:
            self.raised = error
            return False
        finally:
            PyContext_Exit(self.context)
        if how == PYGEN_RETURN:
            self.result = given
            return False
        self.waits_for = given
        return True

    def rest(self):
        """The hook has ended: tell of it. Returns whether the task waits for another."""
        owner: HookTasks = self.owner
        self.hook = self.waits_for = self.context = None
        self.over = True
        if self.raised is not None:
            self.error = as_exception(self.raised)
            if not isinstance(self.raised, asyncio.CancelledError):
                self.raised = self.error
        if self.done is not None and not self.cancelled:
            self.tell()
        owner.waiting.discard(self)
        if (
            len(owner.idle) >= IDLE_TASKS
            or self.acquaintances() != self.alone
            or self.task.cancelling()
            or self.task._callbacks
        ):
            return False
        self.raised = None
        owner.idle.append(self)
        return True

    def tell(self):
        """What follows the hook's answer is no longer a part of its task."""
        _leave_task(self.owner.loop, self.task)
        try:
            self.done(self.result, self.error)
        except Exception:
            logger.exception("the exchange could not take a hook's answer")
        finally:
            _enter_task(self.owner.loop, self.task)
        return 0

    def acquaintances(self):
        """How many references to the task there are, weak ones included."""
        known: cython.Py_ssize_t = getweakrefcount(self.task)
        return known + _Py_REFCNT(cython.cast(cython.pointer(PyObject), self.task))


@cython.cclass
class HookTasks:
    """The tasks of one loop."""

    def __init__(self, loop):
        self.loop = loop
        self.waiting = (
            set()
        )  # the loop keeps only weak references: a waiting hook could be collected
        self.idle = []

    def __len__(self):
        return len(self.waiting)

    def start(self, awaitable):
        """Run it as far as it goes without waiting."""
        task: HookTask
        hook = awaitable if type(awaitable) is CoroutineType else awaited(awaitable)
        while self.idle:
            task = self.idle.pop()
            if task.begin(hook):
                if not task.over:
                    self.waiting.add(task)
                return task
        task = HookTask(self, hook)
        self.waiting.add(task)
        return task

    def cancel_all(self):
        """Nobody waits for any hook any more."""
        for task in (*self.waiting, *self.idle):
            task.cancel()


async def awaited(awaitable):
    """A coroutine, of anything that can be awaited."""
    return await awaitable


def as_exception(raised):
    """What would end the worker, or the task, is an error of the hook's like any other."""
    if isinstance(raised, Exception):
        return raised
    error = RuntimeError(f"a hook raised {raised!r}")
    error.__cause__ = raised
    return error
