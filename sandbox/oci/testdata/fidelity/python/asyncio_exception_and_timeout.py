import asyncio


async def main():
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(5)
    except TimeoutError as e:
        print("timeout", repr(e))
    async with asyncio.TaskGroup() as g:
        g.create_task(asyncio.sleep(5))
        raise ValueError("in the group")


asyncio.run(main())
