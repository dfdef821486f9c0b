"""When the disk is full or descriptors run out, requests go on, and somebody is told."""

from __future__ import annotations

import http.client
import resource
import shutil

from rig import until

LOG_DIRECTORY = "/var/log/pingpy"


def test_a_full_disk_stops_no_request_and_is_counted(rig):
    rig.edge.run("mkdir", "-p", LOG_DIRECTORY)
    rig.edge.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", LOG_DIRECTORY)
    try:
        with rig.pingpy() as server:
            result = rig.exactly(20_000, "/api/on-a-full-disk")
            assert (result["requests"], result["errors"]) == (20_000, 0)
            path = rig.edge.path(f"{LOG_DIRECTORY}/access.log")
            assert path.stat().st_size <= 64 << 10
            assert shutil.disk_usage(path).free < 8192

            def dropped() -> float:
                lines = rig.get("/metrics").body.decode().splitlines()
                found = [line for line in lines if "dropped" in line and not line.startswith("#")]
                return sum(float(line.split()[-1]) for line in found)

            until(lambda: dropped() > 10_000, 5, "the metrics tell how many lines are lost")
            until(lambda: "access log: " in server.said(), 10, "and so does the error log")
    finally:
        rig.edge.run("umount", LOG_DIRECTORY)


def test_no_descriptor_left_is_survived_and_logged(rig):
    with rig.pingpy() as server:
        for pid in server.workers():
            used = 64
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, used))
        clients: list[http.client.HTTPConnection] = []

        def crowd() -> None:
            for _ in range(400):
                client = http.client.HTTPConnection("127.0.0.1", 80, timeout=5)
                client.connect()
                clients.append(client)

        rig.edge.call(crowd)
        until(lambda: "Too many open files" in server.said(), 10, "it is told")
        for client in clients:
            client.close()
        until(lambda: all(rig.get("/api/x").status == 200 for _ in range(8)), 10, "it serves again")
