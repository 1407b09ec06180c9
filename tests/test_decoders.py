"""The pool of child processes, with real children that crash, hang and disappear."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing

import pytest

from melodai.data.cache import build_cache
from melodai.data.decoders import WORKER, run_jobs
from melodai.errors import MelodaiError
from tests.conftest import noise, write_audio

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")

# Speaks the protocol; what it does with a job is in the job.
CHILD = """
import ctypes, json, os, signal, sys, time
say = lambda **v: print(json.dumps(v), flush=True)
say(event="ready")
for line in sys.stdin:
    job = json.loads(line)
    once = job.get("once")
    if once and os.path.exists(once):
        job["do"] = "work"
    elif once:
        open(once, "w").close()
    if job["do"] == "crash":
        ctypes.string_at(0)
    elif job["do"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif job["do"] == "exit":
        sys.exit("something went wrong")
    elif job["do"] == "exit slowly":
        os.close(1)
        time.sleep(0.2)
        os._exit(3)
    elif job["do"] == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True: pass
    elif job["do"] == "slow":
        for _ in range(5):
            time.sleep(0.3)
            say(event="alive")
    say(event="done", answer=job["number"], pid=os.getpid())
"""


@pytest.fixture
def child(tmp_path):
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    return [sys.executable, str(script)]


def run(child, *deeds, num_decoders=2, stall_seconds=10.0):
    jobs = [{"do": deed, "number": number} for number, deed in enumerate(deeds)]
    return dict(
        run_jobs(jobs, num_decoders=num_decoders, command=child, stall_seconds=stall_seconds)
    )


def is_alive(pid):
    listed = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip()[:1] not in ("", "Z")


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_every_job_is_answered_once(child):
    results = run(child, *["work"] * 50, num_decoders=3)
    assert sorted(results) == list(range(50))
    assert all(result["answer"] == number for number, result in results.items())
    assert len({result["pid"] for result in results.values()}) <= 3


def test_no_jobs_start_no_children():
    assert list(run_jobs([], num_decoders=4, command=["/nowhere/at/all"])) == []


def test_a_crash_costs_only_the_job_that_caused_it(child):
    results = run(child, "work", "crash", "work", "kill", "exit", "work")
    assert [results[n]["answer"] for n in (0, 2, 5)] == [0, 2, 5]
    assert results[1]["failure"] == "killed its decoder (signal 11, SIGSEGV)"
    assert results[3]["failure"] == "killed its decoder (signal 9, SIGKILL)"
    assert results[4]["failure"] == "killed its decoder (exit code 1: something went wrong)"


def test_a_child_that_takes_its_time_to_end_is_not_said_to_be_killed(child):
    results = run(child, "exit slowly", num_decoders=1)
    assert results[0]["failure"] == "killed its decoder (exit code 3)"


def test_all_jobs_may_crash(child):
    results = run(child, *["kill"] * 7)
    assert len(results) == 7
    assert all("signal 9" in result["failure"] for result in results.values())


def test_a_hang_is_ended_and_named(child):
    started = time.monotonic()
    results = run(child, "hang", "work", "work", stall_seconds=0.5)
    assert results[0]["failure"] == "hung its decoder"
    assert [results[n]["answer"] for n in (1, 2)] == [1, 2]
    assert time.monotonic() - started < 30


def test_a_slow_job_that_shows_signs_of_life_is_left_alone(child):
    assert run(child, "slow", stall_seconds=1.2)[0]["answer"] == 0


def test_a_job_whose_child_was_killed_by_chance_is_tried_again(child, tmp_path):
    job = {"do": "kill", "number": 7, "once": str(tmp_path / "once")}
    [(_, result)] = run_jobs([job], num_decoders=1, command=child)
    assert result["answer"] == 7


def test_a_child_that_does_not_start_says_why():
    command = [sys.executable, "-c", "import a_module_that_is_not_there"]
    with pytest.raises(MelodaiError, match="No module named 'a_module_that_is_not_there'"):
        list(run_jobs([{}], num_decoders=1, command=command))


def test_closing_ends_all_children_at_once(child):
    jobs = [{"do": "work", "number": 0}, *[{"do": "hang", "number": n} for n in (1, 2)]]
    with closing(run_jobs(jobs, num_decoders=1, command=child, stall_seconds=60)) as results:
        _, result = next(results)
        assert is_alive(result["pid"])
    assert not is_alive(result["pid"])


def test_a_caller_that_takes_its_time_is_not_held_against_the_children(child):
    jobs = [{"do": "slow", "number": number} for number in range(2)]
    with closing(run_jobs(jobs, num_decoders=1, command=child, stall_seconds=1.0)) as results:
        next(results)
        time.sleep(2.5)
        assert next(results)[1]["answer"] == 1


def test_another_thread_can_stop_it(child):
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    jobs = [{"do": "work", "number": 0}, {"do": "hang", "number": 1}]
    started = time.monotonic()
    results = run_jobs(
        jobs, num_decoders=1, command=child, stall_seconds=60, is_stopped=stop.is_set
    )
    assert [position for position, _ in results] == [0]
    assert time.monotonic() - started < 10


def children_of(pid):
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in listed.stdout.split()]


def start_build(songs, cache_dir, **options):
    """A process that builds a cache of the songs and says 'started' at the first one."""
    code = f"""
        import pathlib
        from melodai.data.cache import build_cache
        songs = sorted(pathlib.Path({str(songs)!r}).glob("*"))
        def on_progress(done, total, path):
            if done == 1:
                print("started", flush=True)
        report = build_cache(songs, sample_rate=22050, cache_dir=pathlib.Path({str(cache_dir)!r}),
                             num_decoders=2, on_progress=on_progress, stall_seconds=60)
        print("built", len(report.entries), report.num_decoded, flush=True)
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.fixture
def songs(tmp_path):
    """Enough songs for a build to be met in the middle."""
    data = write_audio(tmp_path / "song.mp3", noise(120, 0, 8000), 8000).read_bytes()
    (tmp_path / "songs").mkdir()
    for number in range(12):
        (tmp_path / "songs" / f"{number}.mp3").write_bytes(data + b"%d" % number)
    return tmp_path / "songs"


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_child_outlives_the_program(tmp_path, songs, sign):
    build = start_build(songs, tmp_path / "cache", start_new_session=True)
    assert build.stdout.readline() == "started\n"
    pids = children_of(build.pid)
    assert len(pids) == 2
    if sign == signal.SIGINT:
        os.killpg(build.pid, sign)  # as Ctrl-C does: the whole group
    else:
        build.send_signal(sign)
    build.communicate(timeout=10)
    wait_until(lambda: not any(is_alive(pid) for pid in pids), seconds=5)


def test_a_hanging_child_whose_parent_was_killed_ends_itself(tmp_path):
    # The real worker, stuck on reading a pipe that nobody writes.
    os.mkfifo(tmp_path / "song.mp3")
    worker = subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert b"ready" in worker.stdout.readline()
    job = f'{{"path": "{tmp_path}/song.mp3", "folder": "{tmp_path}/c", "sample_rate": 22050}}\n'
    worker.stdin.write(job.encode())
    worker.stdin.flush()
    time.sleep(0.3)
    assert worker.poll() is None
    worker.stdin.close()
    assert worker.wait(timeout=5) == 0
    worker.stdout.close()


def test_a_pipe_is_named_and_does_not_hang_the_real_worker(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp3")
    good = write_audio(tmp_path / "good.wav", noise(4))
    report = build_cache(
        [tmp_path / "pipe.mp3", good],
        sample_rate=22050,
        cache_dir=tmp_path / "cache",
        num_decoders=2,
        stall_seconds=1.0,
    )
    assert [failure.reason for failure in report.failures] == ["a pipe, not a file"]
    assert list(report.entries) == [good]


def test_the_worker_loads_no_heavy_package():
    code = "import sys, melodai.data.decoder_worker; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "librosa", "sklearn", "scipy", "matplotlib"} & set(modules)


def test_a_script_needs_no_main_guard_and_is_not_run_again(tmp_path):
    write_audio(tmp_path / "song.wav", noise(4))
    # A module of this name in the working folder must not reach the workers either.
    (tmp_path / "soxr.py").write_text("raise SystemExit('not this one')")
    script = tmp_path / "script" / "script.py"
    script.parent.mkdir()
    script.write_text(
        "import pathlib\n"
        "print('once')\n"
        "from melodai.data.cache import build_cache\n"
        "report = build_cache([pathlib.Path('song.wav')], sample_rate=8000,\n"
        "                     cache_dir=pathlib.Path('cache'))\n"
        "print(len(report.entries))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["once", "1"]
