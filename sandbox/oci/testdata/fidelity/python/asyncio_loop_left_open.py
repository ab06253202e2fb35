import asyncio

loop = asyncio.new_event_loop()


async def waiter():
    try:
        await asyncio.sleep(100)
    finally:
        print("waiter finally")


task = loop.create_task(waiter())
loop.run_until_complete(asyncio.sleep(0))
print("end of main")
