"""Stream sound in an asyncio program: each chunk is computed in a thread."""

import asyncio

import tts_cli


async def main() -> None:
    """Count the chunks of a sentence while the event loop stays free."""
    with tts_cli.load("builtin") as tts:
        chunks = tts.stream("Nothing here blocks the event loop.")
        count = 0
        while await asyncio.to_thread(next, chunks, None) is not None:
            count += 1
    print(f"{count} chunks")


asyncio.run(main())
