import asyncio
import txcql

async def main():
    async with txcql.aio.connect(["127.0.0.1"]) as session:
        print((await session.execute("SELECT release_version FROM system.local")).one())

asyncio.run(main())
