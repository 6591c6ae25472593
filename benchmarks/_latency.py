"""A proxy that lets a server seem far away: whatever a client sends arrives later. A process of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

CHUNK = 256 * 1024


@contextmanager
def far_away(endpoint: str, seconds: float) -> Iterator[str]:
    """Return the endpoint of a proxy that adds `seconds` to each request and passes the answers on at once."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(urlsplit(endpoint).hostname, urlsplit(endpoint).port, seconds, theirs))
    process.daemon = True
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()


def _run(host: str, port: int, seconds: float, told: Connection) -> None:
    asyncio.run(_serve(host, port, seconds, told))


async def _serve(host: str, port: int, seconds: float, told: Connection) -> None:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onwards_reader, onwards = await asyncio.open_connection(host, port)
        await asyncio.gather(_delayed(reader, onwards, seconds), _at_once(onwards_reader, writer))

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    told.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _delayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Pass on what comes, each piece so much later; the end too."""
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):
        while piece := await reader.read(CHUNK):
            loop.call_later(seconds, writer.write, piece)
    loop.call_later(seconds, writer.close)


async def _at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(CHUNK):
            writer.write(piece)
    writer.close()
