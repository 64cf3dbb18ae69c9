"""Measure the service under load: its capacity, and what happens to twice as many requests.

Run: python benchmarks/serve_load.py [--seconds 60] [PICTURE]

Two measurements take turns: the plain detector, in as many threads as the service has workers, and `s3fd
serve` on a free loopback port with a few requests at a time, which gives its capacity. Then twice as many
requests are sent, whether they are answered or not. Each turn has new processes, because one process can be
up to 4 % faster than the next for as long as it runs, with the same code. The load generator runs on the same
machine and takes a part of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from s3fd.inference import pictures
from s3fd.inference.detector import Detector, needed
from s3fd.inference.runtime import open_runtime, processors

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
MOST_OPEN = 400
"""Most requests at a time, so that a service that hangs does not fill this process."""

MOST_SECONDS = 600

ROUNDS = 7
"""Turns of the plain detector and of the service at capacity, so that both see the same conditions."""


@dataclass
class Load:
    """Outcomes of some requests.

    Attributes:
        statuses: number of answers with each HTTP status; 0 is a connection that broke.
        seconds: time that each accepted request took.
        clock: seconds from the first request to the last answer.
        busy: processor seconds of the service in this time.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    clock: float = 0.0
    busy: float = 0.0

    def rate(self) -> float:
        """Return the pictures answered per second."""
        return self.statuses[200] / self.clock

    def each(self) -> float:
        """Return the processor seconds per picture answered."""
        return self.busy / self.statuses[200]


class Generator:
    """Sends one picture again and again over connections that stay open."""

    def __init__(self, url: str, body: bytes) -> None:
        """Prepare the request."""
        host, port = url.removeprefix("http://").split(":")
        self._address = host, int(port)
        head = f"POST /v1/detect HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/jpeg\r\n"
        self._request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, load: Load) -> None:
        """Send the picture and count the answer; a connection that breaks counts as status 0."""
        start = time.perf_counter()
        try:
            reader, writer = await self._connection()
            writer.write(self._request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        except (OSError, asyncio.IncompleteReadError):
            load.statuses[0] += 1
            return
        status = int(head.split(b" ", 2)[1])
        load.statuses[status] += 1
        if status == 200:
            load.seconds.append(time.perf_counter() - start)
        if b"connection: close" in head:
            writer.close()
        else:
            self._idle.append((reader, writer))

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return an idle connection that the service has not closed, or open a new one."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(*self._address)

    async def keep(self, at_once: int, seconds: float) -> Load:
        """Keep `at_once` requests open for `seconds`."""
        load, start = Load(), time.perf_counter()

        async def one() -> None:
            while time.perf_counter() < start + seconds:
                await self.send(load)

        await asyncio.gather(*(one() for _ in range(at_once)))
        load.clock = time.perf_counter() - start
        return load

    async def at_rate(self, rate: float, seconds: float) -> Load:
        """Send `rate` requests per second for `seconds`, without waiting for answers.

        Only when `MOST_OPEN` requests are open does it wait for one of them.
        """
        load, start = Load(), time.perf_counter()
        waiting: set[asyncio.Task[None]] = set()
        for i in range(int(rate * seconds)):
            await asyncio.sleep(max(0, start + i / rate - time.perf_counter()))
            while len(waiting) >= MOST_OPEN:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self.send(load))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        sent = time.perf_counter()
        await asyncio.gather(*waiting)
        load.clock = max(sent, start + seconds) - start
        return load


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path, nargs="?")
    parser.add_argument("--width", type=int, default=640, help="width of the picture if none is given")
    parser.add_argument("--seconds", type=float, default=60, help="of overload; a quarter for the rest")
    parser.add_argument("--workers", type=int, default=processors())
    parser.add_argument("--batch", type=int, default=1, help="most pictures in a pass of the service")
    parser.add_argument("--deadline", type=float, default=10)
    args = parser.parse_args()
    seconds = min(args.seconds, MOST_SECONDS)
    body = args.picture.read_bytes() if args.picture else made(args.width)
    asyncio.run(measure(body, args, seconds))


def made(width: int) -> bytes:
    """Encode the example photograph as a JPEG, `width` pixels wide and three quarters as high."""
    size = (width, width * 3 // 4)
    pixels = cv2.resize(cv2.imread(str(EXAMPLE))[:384], size, interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


@contextmanager
def serving(workers: int, batch: int, deadline: float) -> Iterator[str]:
    """Run the service for the length of the block; yields its address."""
    command = [sys.executable, "-m", "s3fd", "serve", "--port", "0", "--per-client", "0", "--no-log"]
    command += ["--workers", str(workers), "--batch", str(batch), "--deadline", str(deadline)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    if "http://" not in line:
        raise SystemExit(line + process.stderr.read())
    try:
        yield line.split()[1]
    finally:
        process.terminate()
        process.wait(30)


async def measure(body: bytes, args: argparse.Namespace, seconds: float) -> None:
    """Measure plain detector, capacity and overload, and print the tables."""
    part = max(2.0, seconds / 4 / ROUNDS)
    plain, capacity = [], []
    for turn in range(ROUNDS):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            plain.append(alone.submit(detector, body, args.workers, part).result())
        with serving(args.workers, args.batch, args.deadline) as url:
            generator = Generator(url, body)
            await generator.keep(args.workers, 1)
            capacity.append(await timed(url, generator.keep(2 * args.workers + 1, part)))
            if turn == ROUNDS - 1:
                twice = 2 * float(np.median([load.rate() for load in capacity]))
                await generator.at_rate(twice, 3)  # so that the memory of a full queue is allocated
                before = memory(url)
                overload = await timed(url, generator.at_rate(twice, seconds))
                after = memory(url)

    print(f"{args.workers} workers, {len(body)} bytes a picture, deadline {args.deadline:g} s\n")
    print("| | pictures/s | of the plain detector's | processor time, to the plain detector's |")
    print("|---|---:|---:|---:|")
    for name, loads in (
        ("plain detector", plain),
        (f"service, {2 * args.workers + 1} requests at a time", capacity),
        ("service, twice as many as it can answer", [overload] * ROUNDS),
    ):
        turns = list(zip(loads, plain, strict=True))
        rate = np.median([load.rate() for load in loads])
        share = np.median([load.rate() / alone.rate() for load, alone in turns])
        busy = np.median([load.each() / alone.each() for load, alone in turns])
        print(f"| {name} | {rate:.1f} | {share:.2f} | {busy:.2f} |")
    p50, p99 = np.percentile(overload.seconds, [50, 99])
    print(f"\n| at twice its capacity, {seconds:g} s | |\n|---|---:|")
    for status, count in sorted(overload.statuses.items()):
        print(f"| answered {status} | {count} |")
    print(f"| accepted requests, p50 | {p50:.2f} s |\n| accepted requests, p99 | {p99:.2f} s |")
    print(f"| memory before | {before / 2**20:.0f} MB |\n| memory after | {after / 2**20:.0f} MB |")


def detector(body: bytes, workers: int, seconds: float) -> Load:
    """Measure the detector without a service: from a file's bytes to faces, one thread per picture."""
    cv2.setNumThreads(1)
    plain = Detector(open_runtime("slim", workers, streams=workers))
    for _ in range(3 * workers):
        plain.find(pictures.load(body, needed("vga")))
    load, end = Load(), time.perf_counter() + seconds

    def one() -> int:
        count = 0
        while time.perf_counter() < end:
            json.dumps(plain.find(pictures.load(body, needed("vga"))).to_dicts())
            count += 1
        return count

    clock, busy = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(workers) as pool:
        load.statuses[200] = sum(each.result() for each in [pool.submit(one) for _ in range(workers)])
    load.clock, load.busy = time.perf_counter() - clock, time.process_time() - busy
    return load


async def timed(url: str, work: object) -> Load:
    """Await a load and add the service's processor time to it."""
    before = metric(url, "process_cpu_seconds_total")
    load: Load = await work  # type: ignore[misc]
    load.busy = metric(url, "process_cpu_seconds_total") - before
    return load


def memory(url: str) -> float:
    """Return the resident memory of the service, in bytes."""
    return metric(url, "process_resident_memory_bytes")


def metric(url: str, name: str) -> float:
    """Return one of the service's metrics."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


if __name__ == "__main__":
    main()
