"""Hooks' coroutines on a task that is used again: what a coroutine may expect of a task of its own holds there too."""

import asyncio
import contextvars
import weakref

import pytest
import uvloop

from worker.hook_runner import HookRunner
from worker.plane.hook_task import IDLE_TASKS, HookTask

WHO = contextvars.ContextVar("who", default="nobody")


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def run(request):
    def whole(scenario):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(scenario())

    return whole


async def answer_of(task: HookTask):
    """What the plane gets to hear: the result, or raised."""
    if not task.over:
        told = asyncio.get_running_loop().create_future()
        task.done = lambda result, error: told.set_result((result, error))
        result, error = await asyncio.wait_for(told, 30)
        assert (task.result, task.error) == (result, error)
    if task.error is not None:
        raise task.error
    return task.result


async def warm() -> HookRunner:
    """A runner with a task that waits for a hook."""
    runner = HookRunner(asyncio.get_running_loop())

    async def nothing():
        return None

    task = runner.start(nothing())
    assert not task.over
    await answer_of(task)
    return runner


def test_a_hook_that_does_not_wait_ends_in_the_call(run):
    async def scenario():
        runner = await warm()
        ran = []

        async def hook(number):
            ran.append(number)
            return number

        tasks = set()
        for number in range(100):
            task = runner.start(hook(number))
            assert (task.over, task.result, len(runner), ran[-1]) == (True, number, 0, number)
            tasks.add(task)
        assert len(tasks) == 1
        assert len(asyncio.all_tasks()) == 2  # the test's own, and this

    run(scenario)


def test_hooks_that_wait_use_tasks_again(run):
    async def scenario():
        runner = await warm()

        async def hook(number):
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            return number

        tasks = set()
        for number in range(20):
            task = runner.start(hook(number))
            assert (task.over, len(runner)) == (False, 1)
            assert await answer_of(task) == number
            tasks.add(task)
        assert (len(tasks), len(runner)) == (1, 0)
        many = [runner.start(hook(number)) for number in range(2 * IDLE_TASKS)]
        assert len(set(many)) == len(many) == len(runner)
        assert await asyncio.gather(*map(answer_of, many)) == [*range(2 * IDLE_TASKS)]
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1 + IDLE_TASKS  # the others have ended

    run(scenario)


def test_the_current_task_is_one_and_the_same(run):
    async def scenario():
        runner = await warm()
        around = asyncio.current_task()

        async def hook():
            first = asyncio.current_task()
            await asyncio.sleep(0)
            return first, asyncio.current_task(), asyncio.get_running_loop()

        task = runner.start(hook())
        assert asyncio.current_task() is around
        first, second, loop = await answer_of(task)
        assert first is second is not around
        assert isinstance(first, asyncio.Task)
        assert loop is asyncio.get_running_loop()

    run(scenario)


def test_a_task_that_somebody_knows_ends_with_its_hook(run):
    """What hangs on the current task must not fall to the next hook; who waits for it must hear of its end."""

    async def scenario():
        runner = await warm()
        kept, ended = [], []

        async def keeps():
            kept.append(asyncio.current_task())
            return 1

        async def weakly():
            kept.append(weakref.ref(asyncio.current_task(), lambda ref: ended.append("collected")))

        async def calls_back():
            asyncio.current_task().add_done_callback(lambda task: ended.append("ended"))
            await asyncio.sleep(0)

        async def raises():
            kept.append(asyncio.current_task())
            await asyncio.sleep(0)
            raise KeyError("x")

        assert await answer_of(runner.start(keeps())) == 1
        assert await kept.pop() == 1
        await answer_of(runner.start(weakly()))
        await answer_of(runner.start(calls_back()))
        with pytest.raises(KeyError):
            await answer_of(runner.start(raises()))
        with pytest.raises(KeyError):
            await kept.pop()
        await asyncio.sleep(0)
        assert "ended" in ended

    run(scenario)


def test_a_timeout_ends_what_the_hook_waits_for_and_nothing_else(run):
    async def scenario():
        runner = await warm()

        async def hook():
            try:
                async with asyncio.timeout(0.01):
                    await asyncio.sleep(60)
            except TimeoutError:
                pass
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.sleep(60), 0.01)
            async with asyncio.TaskGroup() as group:
                child = group.create_task(asyncio.sleep(0, "child"))
            return child.result(), asyncio.current_task().cancelling()

        tasks = {runner.start(hook()) for _ in range(3)}
        for task in tasks:
            assert await answer_of(task) == ("child", 0)
        again = runner.start(hook())
        assert again in tasks
        assert await answer_of(again) == ("child", 0)

    run(scenario)


def test_each_hook_has_a_context_of_its_own(run):
    async def scenario():
        WHO.set("caller")
        runner = await warm()

        async def inner():
            return WHO.get()

        async def hook(name):
            seen = [WHO.get()]
            WHO.set(name)
            await asyncio.sleep(0)
            seen += [WHO.get(), await inner(), await asyncio.create_task(inner())]
            return seen

        async def at_once(name):
            before = WHO.get()
            WHO.set(name)
            return before

        tasks = [runner.start(hook(name)) for name in "ab"]
        for name, task in zip("ab", tasks, strict=True):
            assert await answer_of(task) == ["caller", name, name, name]
        for name in "abc":
            assert await answer_of(runner.start(at_once(name))) == "caller"
        assert WHO.get() == "caller"

    run(scenario)


def test_a_cancelled_hook_is_cancelled_in_what_it_waits_for_and_never_answers(run):
    async def scenario():
        runner = await warm()
        answers, ends = [], []

        async def waits(inner):
            try:
                await inner
            finally:
                ends.append(asyncio.current_task().cancelling())

        async def stubborn(inner):
            try:
                await inner
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                ends.append("went on")

        for hook in (waits, stubborn):
            for _ in range(
                2
            ):  # the first step of the second is in the call, of the first it may be in the loop
                inner = asyncio.get_running_loop().create_task(asyncio.sleep(60))
                task = runner.start(hook(inner))
                task.done = lambda *answer: answers.append(answer)
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await inner
                for _ in range(5):
                    await asyncio.sleep(0)
                assert len(runner) == 0
        assert (answers, ends) == ([], [1, 1, "went on", "went on"])
        assert await answer_of(runner.start(asyncio.sleep(0, "next"))) == "next"

    run(scenario)


@pytest.mark.filterwarnings("error")  # "never awaited" would fill the error log of a busy worker
def test_a_hook_may_be_cancelled_before_its_first_step(run, caplog):
    async def scenario():
        runner = HookRunner(asyncio.get_running_loop())
        answers = []
        task = runner.start(asyncio.sleep(60))
        task.done = lambda *answer: answers.append(answer)
        runner.start(asyncio.sleep(60))
        task.cancel()
        runner.cancel_all()
        for _ in range(5):
            await asyncio.sleep(0)
        assert (answers, len(runner), len(asyncio.all_tasks())) == ([], 0, 1)

    run(scenario)
    assert caplog.messages == []


def test_what_a_hook_raises_is_an_answer(run):
    """What would end the worker or the task included; a hook that is cancelled by what it waits for has failed."""

    async def scenario():
        runner = await warm()
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()

        async def hook(error, waits):
            if waits:
                await asyncio.sleep(0)
            raise error

        async def awaits_gone():
            await gone

        async def cancels_itself():
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

        for waits in (False, True):
            with pytest.raises(KeyError):
                await answer_of(runner.start(hook(KeyError("x"), waits)))
            for error in (SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()):
                with pytest.raises(RuntimeError, match=type(error).__name__):
                    await answer_of(runner.start(hook(error, waits)))
        for hook_of in (awaits_gone, cancels_itself):
            with pytest.raises(RuntimeError, match="CancelledError"):
                await answer_of(runner.start(hook_of()))
        assert len(runner) == 0

    run(scenario)


def test_anything_that_can_be_awaited_is_a_hook(run):
    async def scenario():
        runner = await warm()

        class Awaitable:
            def __await__(self):
                yield from asyncio.sleep(0).__await__()
                return 7

        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, 8)
        assert await answer_of(runner.start(Awaitable())) == 7
        assert await answer_of(runner.start(future)) == 8
        assert await answer_of(runner.start(asyncio.ensure_future(asyncio.sleep(0, 9)))) == 9

    run(scenario)


def test_hooks_start_hooks(run):
    """The end of one phase begins the next one's hook, in the same call."""

    async def scenario():
        runner = await warm()
        told = asyncio.get_running_loop().create_future()
        seen = []

        async def hook(number):
            await asyncio.sleep(0)
            seen.append((number, asyncio.current_task()))

        def next_one(number):
            assert asyncio.current_task() is None
            task = runner.start(hook(number))
            follow = next_one if number < 3 else lambda number: told.set_result(None)
            task.done = lambda result, error: follow(number + 1)

        asyncio.get_running_loop().call_soon(next_one, 0)
        await told
        assert [number for number, _ in seen] == [0, 1, 2, 3]

    run(scenario)


def test_the_end_cancels_all_that_waits(run, caplog):
    async def scenario():
        runner = await warm()
        waiting = [runner.start(asyncio.sleep(60)) for _ in range(3)]
        await answer_of(runner.start(asyncio.sleep(0)))
        runner.cancel_all()
        for _ in range(5):
            await asyncio.sleep(0)
        assert (len(runner), len(asyncio.all_tasks())) == (0, 1)
        assert all(task.over for task in waiting)
        assert await answer_of(runner.start(asyncio.sleep(0, "late"))) == "late"

    run(scenario)
    assert caplog.messages == []
